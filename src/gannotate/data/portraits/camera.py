"""From painted colours to a photograph: tone, colour cast, vignette, blur, sensor noise, 8 bits."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from gannotate.data.portraits.canvas import Canvas, colour
from gannotate.seeding import numpy_stream

Planes = Float[np.ndarray, "3 h w"]


def develop(canvas: Canvas, seed: int, style: str) -> UInt8[np.ndarray, "h w 3"]:
    """The finished picture; the flat style is only rounded to 8 bits."""
    planes = canvas.planes
    if style == "natural":
        rng = numpy_stream("portraits", seed, "camera")
        tone, cast = rng.uniform(-0.28, 0.28), colour(*rng.uniform(0.9, 1.1, 3))
        exposure, fall_off = rng.uniform(0.85, 1.1), rng.uniform(0, 0.12)
        blur, noise = rng.uniform(0, 0.22), rng.uniform(0.004, 0.02)
        planes = planes * (cast * exposure) * (1 - fall_off * (canvas.x * canvas.x + canvas.y * canvas.y))
        planes = np.clip(planes, 0, 1)
        planes = planes + tone * planes * (1 - planes)  # a gamma-like curve that fixes black and white
        planes = _blur(planes, blur)
        grain = numpy_stream("portraits", seed, "grain", canvas.size)
        planes = planes + np.float32(noise) * grain.standard_normal(planes.shape, dtype=np.float32)
    levels = np.clip(planes * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0))


def _blur(planes: Planes, side: float) -> Planes:
    """Three-tap blur (side, 1 - 2 side, side) along rows and columns; the border repeats."""
    centre = 1 - 2 * side
    padded = np.concatenate((planes[:, :1], planes, planes[:, -1:]), axis=1)
    planes = centre * planes + side * (padded[:, :-2] + padded[:, 2:])
    padded = np.concatenate((planes[:, :, :1], planes, planes[:, :, -1:]), axis=2)
    return centre * planes + side * (padded[:, :, :-2] + padded[:, :, 2:])
