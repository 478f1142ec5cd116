"""Neck, shoulders and clothes."""

from __future__ import annotations

import math

import numpy as np

from gannotate.data.portraits.canvas import Canvas, mix
from gannotate.data.portraits.classes import CLOTHES, NECK
from gannotate.data.portraits.noise import smooth_noise
from gannotate.data.portraits.palette import Looks
from gannotate.data.portraits.person import Person
from gannotate.data.portraits.shapes import Field, ellipse, smooth
from gannotate.data.portraits.surface import cloth_surface, lambert
from gannotate.seeding import numpy_stream


def paint_body(canvas: Canvas, seed: int, person: Person, looks: Looks) -> None:
    """Neck with the chin's shadow, then the clothes around the neckline."""
    rng = numpy_stream("portraits", seed, "cloth", looks.style)
    body, pose = person.body, person.pose
    frame = canvas.frame(pose.x + body.lean, 0.0, pose.scale)
    fine = smooth_noise(rng, canvas.size, 14)
    u, v = frame.u, frame.v
    drop = body.shoulder_drop
    shoulders = ellipse(u, v - drop - 0.8, body.shoulder_width, 0.8, 0.35)
    # The neck leans from the head above to the shoulders below and flares where it meets them.
    flare = np.maximum(v - (drop - 0.22), 0)
    bend = u + body.lean * np.clip((drop - v) * 1.5, 0, 1)
    neck = np.maximum(np.abs(bend) - body.neck_width - 0.9 * flare * flare - 0.25 * flare, -0.1 - v)
    skin = np.minimum(neck, shoulders + 0.02)
    shine = lambert(bend, 0 * v, body.neck_width * 1.15, 1.0, looks)
    frame.paint(skin, looks.skin * shine, NECK)
    if looks.shaded:
        _chin_shadow(canvas, person, looks, skin)
    opening = _neckline(u, v - drop, body.neckline, body.neck_depth, body.neck_width)
    cloth = np.maximum(shoulders, -opening)
    surface = cloth_surface(u, v, fine, frame.pixel, looks, rng)
    folds = lambert(u, v - drop - 0.55, body.shoulder_width * 1.05, 0.85, looks) * (
        1 + 0.1 * smooth_noise(rng, canvas.size, 5) if looks.shaded else 1
    )
    frame.paint(cloth, surface * folds, CLOTHES)
    edge = np.maximum(np.abs(opening - 0.025) - 0.025, cloth)
    rim = looks.trim if body.neckline == "collar" else mix(looks.cloth * 0.6, looks.trim, 0.2)
    frame.paint(edge, rim * folds, opacity=1.0 if body.neckline == "collar" else 0.6)


def _neckline(u: Field, v: Field, kind: str, depth: float, neck_width: float) -> Field:
    """Distance to the opening of the clothes; v is 0 at the top of the shoulders."""
    if kind == "vee":
        slope = 0.75 + 0.6 * (1 - depth)
        return (slope * np.abs(u) + v - 0.16 - 0.2 * depth) / math.sqrt(1 + slope * slope)
    width = {"crew": 1.1, "wide": 1.7, "collar": 1.05}[kind] * neck_width
    reach = {"crew": 0.1, "wide": 0.16, "collar": 0.04}[kind] + 0.08 * depth
    return ellipse(u, np.maximum(v + 0.04, 0), width, reach + 0.04)


def _chin_shadow(canvas: Canvas, person: Person, looks: Looks, skin: Field) -> None:
    """The head's cast shadow on the neck: the head's ellipse moved down and away from the light."""
    pose, face = person.pose, person.face
    head = canvas.frame(pose.x - 0.12 * looks.light[0], pose.y + 0.14, pose.scale, pose.roll)
    distance = ellipse(head.u, head.v, face.width * 0.9, face.height)
    shade = smooth(0.5 - distance * 5) * head.cover(skin)
    head.shade(1 - (0.5 * (1 - looks.ambient) + 0.15) * shade)
