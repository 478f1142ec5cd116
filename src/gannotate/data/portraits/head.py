"""Face, ears and the parts of the face, moved and foreshortened by the head's turn."""

from __future__ import annotations

import math

import numpy as np

from gannotate.data.portraits.canvas import Canvas, Frame, colour, mix
from gannotate.data.portraits.classes import EARS, EYEBROWS, EYES, FACE, GLASSES, IRIS, MOUTH, NOSE, TEETH
from gannotate.data.portraits.noise import smooth_noise
from gannotate.data.portraits.palette import Looks
from gannotate.data.portraits.person import Person
from gannotate.data.portraits.shapes import Field, almond, ellipse, smooth
from gannotate.data.portraits.surface import lambert
from gannotate.seeding import numpy_stream

DARK = colour(0.07, 0.04, 0.05)


def head_frame(canvas: Canvas, person: Person) -> Frame:
    """Head coordinates: the origin amid the face, u to the picture's right, v down; it rolls about the throat."""
    pose = person.pose
    return canvas.frame(pose.x + 0.3 * math.sin(pose.roll), pose.y, pose.scale, pose.roll)


def turn(person: Person, across: float, depth: float = 0.8) -> tuple[float, float]:
    """Where a point on the face `across` (-1 to 1) goes when the head turns by its yaw, and its foreshortening.

    The face is an ellipsoid of half-depth `depth`: x = width (a cos yaw + depth sqrt(1 - a^2) sin yaw).
    """
    sine, cosine = math.sin(person.pose.yaw), math.cos(person.pose.yaw)
    lift = math.sqrt(1 - across * across)
    place = person.face.width * (across * cosine + depth * lift * sine)
    return place, max(cosine - depth * across / lift * sine, 0.4)


def face_distance(person: Person, u: Field, v: Field) -> Field:
    """Distance to the face's outline: an egg whose chin moves with the turn."""
    face = person.face
    low = np.maximum(v, 0) / face.height
    chin = 0.2 * face.width * math.sin(person.pose.yaw)
    return ellipse((u - chin * low) / (1 - face.taper * smooth(low)), v, face.width, face.height, face.square * 0.6)


def paint_face(canvas: Canvas, seed: int, person: Person, looks: Looks, fine: bool) -> None:
    """Far ear, face, brows, eyes, mouth, nose, near ear, in that order."""
    rng = numpy_stream("portraits", seed, "skin", looks.style)
    frame = head_frame(canvas, person)
    near = -1 if person.pose.yaw > 0 else 1
    _paint_ear(frame, person, looks, -near, is_near=False)
    outline = face_distance(person, frame.u, frame.v)
    frame.paint(outline, _skin(canvas, frame, person, looks, rng), FACE)
    for side in (-1, 1):
        _paint_eye(frame, person, looks, side, fine)
        _paint_brow(frame, person, looks, side)
    _paint_mouth(frame, person, looks, fine)
    _paint_nose(frame, person, looks)
    _paint_ear(frame, person, looks, near, is_near=True)


def _skin(canvas: Canvas, frame: Frame, person: Person, looks: Looks, rng: np.random.Generator) -> np.ndarray:
    """Lit skin with blush, stubble and mottling."""
    if not looks.shaded:
        return looks.skin
    face, (u, v) = person.face, (frame.u, frame.v)
    light = lambert(u, v, face.width * 1.05, face.height * 1.05, looks)
    skin = looks.skin * (light + 0.035 * smooth_noise(rng, canvas.size, 12))
    blush = rng.uniform(0, 0.25)
    for side in (-1, 1):
        x, _ = turn(person, 0.55 * side)
        spot = smooth(1 - ((u - x) * (u - x) + (v - 0.16) * (v - 0.16)) * 28)
        skin = mix(skin, looks.lip, spot * blush)
    if looks.stubble:
        beard = smooth((v - 0.12) * 5) * looks.stubble
        skin = mix(skin, looks.brow, beard * (0.8 + 0.2 * smooth_noise(rng, canvas.size, 24)))
    return skin


def _paint_eye(frame: Frame, person: Person, looks: Looks, side: int, fine: bool) -> None:
    face = person.face
    x, narrow = turn(person, face.eye_spread * side)
    y = face.eye_v + person.pose.nod
    part = frame.window(x, y, 0.3)
    outline = face_distance(person, part.u, part.v)
    u, v = (part.u - x) / narrow, part.v - y
    if looks.shaded:
        socket = smooth(1 - (u * u * 18 + (v + 0.03) * (v + 0.03) * 60)) * part.cover(outline)
        part.blend(0.4 * socket, looks.shadow)
    v = v + face.eye_slant * side * u
    opening = almond(u, v, face.eye_width, face.eye_open, 0.65 * face.eye_open)
    lashes = np.maximum(
        almond(u, v, face.eye_width + 0.012, face.eye_open + 0.026, 0.65 * face.eye_open + 0.006), outline
    )
    part.paint(lashes, looks.lash, EYES)
    opening = np.maximum(opening, outline)
    part.paint(opening, looks.white * lambert(u, v, 0.22, 0.16, looks))
    gaze = face.gaze * face.eye_width
    iris = np.maximum(ellipse((u - gaze) * narrow, v + 0.008, 0.062 * narrow, 0.062), opening)
    part.paint(iris, looks.iris, IRIS if fine else None)
    part.paint(np.maximum(ellipse(u - gaze, v + 0.008, 0.028, 0.028), opening), DARK)
    glint = ellipse(u - gaze - 0.02, v + 0.03, 0.014, 0.014)
    part.paint(np.maximum(glint, opening), looks.white, opacity=0.9)


def _paint_brow(frame: Frame, person: Person, looks: Looks, side: int) -> None:
    face = person.face
    x, narrow = turn(person, (face.eye_spread + 0.02) * side)
    y = face.eye_v + person.pose.nod * 1.2 - face.brow_lift
    part = frame.window(x, y, 0.3)
    u, v = (part.u - x) / narrow, part.v - y
    bend = v + face.brow_slant * side * u - face.brow_arch * ((u * u) * 36 - 0.5)
    brow = ellipse(u, bend, 0.165, face.brow_thick, 0.5)
    part.paint(np.maximum(brow, face_distance(person, part.u, part.v)), looks.brow, EYEBROWS)


def _paint_mouth(frame: Frame, person: Person, looks: Looks, fine: bool) -> None:
    face = person.face
    x, narrow = turn(person, 0.0, 0.85)
    y = face.mouth_v + person.pose.nod * 0.6
    part = frame.window(x, y, 0.3)
    u, v = (part.u - x) / narrow, part.v - y
    width, gap = face.mouth_width, face.mouth_open
    bend = v + face.smile * ((u / width) * (u / width) - 0.5)
    outline = face_distance(person, part.u, part.v)
    if looks.shaded:
        below = smooth(1 - (u * u * 40 + (bend - 0.12 - gap) * (bend - 0.12 - gap) * 160))
        part.blend(0.3 * below * part.cover(outline), looks.shadow)
    lips = np.maximum(almond(u, bend, width, 0.85 * face.lip + 0.3 * gap, face.lip + gap), outline)
    light = 1.0 if not looks.shaded else 1 - 0.25 * smooth(0.5 - bend * 8)
    part.paint(lips, looks.lip * light, MOUTH)
    if gap == 0:
        line = np.maximum(np.abs(bend) - 0.011, almond(u, bend, width, 0.1, 0.1))
        part.paint(np.maximum(line, outline), looks.lip * 0.45)
        return
    opening = np.maximum(almond(u, bend, width * 0.86, 0.4 * gap + 0.008, gap + 0.01), outline)
    part.paint(opening, mix(DARK, looks.lip, 0.25))
    teeth = np.maximum(opening, bend - 0.3 * gap)
    part.paint(teeth, looks.white * 0.97, TEETH if fine else None)


def _paint_nose(frame: Frame, person: Person, looks: Looks) -> None:
    """A wedge from the bridge to a ball at the tip, which stands out further than the face and so turns further."""
    face, sine = person.face, math.sin(person.pose.yaw)
    top, length = face.eye_v + person.pose.nod - 0.03, face.nose_length
    bridge, _ = turn(person, 0.0, 0.85)
    tip = bridge + 0.3 * face.width * sine
    part = frame.window((bridge + tip) / 2, top + length / 2, 0.36)
    u, v = part.u, part.v - top
    down = np.clip(v / length, 0, 1)
    middle = bridge + (tip - bridge) * down
    half = 0.04 + (0.8 * face.nose_width - 0.04) * down * down
    wedge = np.maximum(np.maximum(np.abs(u - middle) - half, -v), v - length)
    ball = ellipse(u - tip, v - length + 0.03, face.nose_width, 0.07)
    nose = np.minimum(wedge, ball)
    if looks.shaded:
        outside = smooth(0.5 - (nose - 0.02) * 14) * part.cover(face_distance(person, part.u, part.v))
        lit = looks.light[0]
        away = smooth(0.55 - (u - middle) * lit * 12)
        part.blend(outside * (0.25 + 0.4 * away), looks.shadow)
        across, below = (u - middle) / (half + 0.03), (v - length + 0.04) * 8
        facing = 1.02 + 0.28 * np.clip(across * lit, -1, 1) - 0.16 * smooth(below) - 0.06 * across * across
        skin = mix(looks.skin, looks.lip, 0.14) * (facing * (looks.ambient * 0.4 + 0.62))
    else:
        skin = looks.shadow
    part.paint(nose, skin, NOSE)
    for side in (-1, 1):
        hole = ellipse(u - tip - side * face.nose_width * 0.48, v - length - 0.005, 0.03, 0.018)
        part.paint(np.maximum(hole, nose), mix(DARK, looks.shadow, 0.35), opacity=0.85)


def _paint_ear(frame: Frame, person: Person, looks: Looks, side: int, is_near: bool) -> None:
    """The near ear comes forward over the cheek as the head turns; the far one goes behind the face."""
    if person.hair.covers_ears:
        return
    face, sine = person.face, abs(math.sin(person.pose.yaw))
    x = side * face.width * (1.05 - (0.3 if is_near else 0.35) * sine)
    y = 0.02 + person.pose.nod * 0.5
    width = face.ear_width * (1 + 0.35 * sine if is_near else 1 - 0.3 * sine)
    part = frame.window(x, y, 0.3)
    u, v = part.u - x, part.v - y
    tilt = u + 0.12 * side * v
    ear = ellipse(tilt, v, width, face.ear_height, 0.2)
    if looks.shaded:
        part.blend(0.3 * smooth(0.5 - (ear - 0.015) * 20), looks.shadow)
    light = 0.96 * lambert(u + 0.6 * x, v, face.width, 0.5, looks)
    part.paint(ear, mix(looks.skin, looks.lip, 0.12) * light, EARS)
    inner = ellipse(tilt + side * 0.015, v + 0.01, width * 0.5, face.ear_height * 0.6)
    part.paint(inner, mix(looks.shadow, looks.lip, 0.2), opacity=0.6, softness=0.04)


def paint_glasses(canvas: Canvas, person: Person, looks: Looks) -> None:
    """Frame, lenses and bridge; the lenses count as glasses too, whatever is seen through them."""
    glasses = person.glasses
    if glasses is None:
        return
    face, frame = person.face, head_frame(canvas, person)
    y = face.eye_v + person.pose.nod + 0.015
    inner = []
    for side in (-1, 1):
        x, narrow = turn(person, face.eye_spread * side, 0.86)
        part = frame.window(x, y, 0.35)
        u, v = (part.u - x) / narrow, part.v - y
        lens = ellipse(u, v, glasses.width, glasses.height, glasses.square)
        part.paint(lens, looks.lens, GLASSES, opacity=0.85 if glasses.dark else 0.16)
        ring = np.maximum(lens - glasses.frame, -lens - 0.004)
        part.paint(ring, looks.frame, GLASSES)
        inner.append(x - side * glasses.width * narrow)
    part = frame.window((inner[0] + inner[1]) / 2, y, 0.3)
    middle, half = (inner[0] + inner[1]) / 2, max((inner[1] - inner[0]) / 2, 0.0)
    bridge = np.maximum(np.abs(part.u - middle) - half, np.abs(part.v - y + 0.03) - glasses.frame * 0.75)
    part.paint(bridge, looks.frame, GLASSES)
