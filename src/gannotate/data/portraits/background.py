"""Backgrounds: gradients, cloudy blobs, and clutter in the colours of skin, hair and cloth."""

from __future__ import annotations

import numpy as np

from gannotate.data.portraits.canvas import Canvas, Frame, mix
from gannotate.data.portraits.noise import smooth_noise
from gannotate.data.portraits.palette import Looks, body_like_colour
from gannotate.data.portraits.shapes import ellipse, turned, wave
from gannotate.seeding import numpy_stream


def paint_background(canvas: Canvas, seed: int, looks: Looks) -> None:
    """Fills the canvas (class 0)."""
    rng = numpy_stream("portraits", seed, "background", looks.style)
    frame = canvas.frame()
    first, second = body_like_colour(rng), body_like_colour(rng)
    canvas.planes[...] = first
    if not looks.shaded:
        return
    angle = rng.uniform(-1, 1)
    slope = 0.5 + 0.5 * (angle * frame.u + (1 - abs(angle)) * frame.v)
    frame.blend(slope * rng.uniform(0.2, 1.0), second)
    if rng.random() < 0.4:
        cloud = smooth_noise(rng, canvas.size, int(rng.integers(2, 6)))
        frame.blend(np.clip(0.5 + 0.8 * cloud, 0, 1) * rng.uniform(0.3, 0.9), body_like_colour(rng))
    softness = rng.uniform(0.0, 0.25)
    for _ in range(int(rng.integers(0, 6))):
        _paint_thing(frame, rng, softness)


def _paint_thing(frame: Frame, rng: np.random.Generator, softness: float) -> None:
    """One box, blob or row of slats, anywhere, more or less out of focus."""
    x, y = rng.uniform(-1.1, 1.1, 2).tolist()
    width, height = rng.uniform(0.1, 0.55, 2).tolist()
    sine = rng.uniform(-0.7, 0.7)
    kind, square, pitch = rng.random(), float(rng.integers(2)), rng.uniform(0.15, 0.3)
    paint, other = body_like_colour(rng), body_like_colour(rng)
    part = frame.window(x, y, 1.5 * max(width, height) + softness)
    if not part.u.size:
        return
    u, v = turned(part.u - x, part.v - y, float(np.sqrt(1 - sine * sine)), sine)
    if kind < 0.25:
        paint = mix(paint, other, wave(u / pitch))
    part.paint(ellipse(u, v, width, height, square), paint, opacity=0.9, softness=softness)
