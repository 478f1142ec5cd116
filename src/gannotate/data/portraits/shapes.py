"""Implicit shapes: approximate signed distances (negative inside, about unit slope at the border) on coordinate arrays.

Only additions, products, divisions and square roots are used on arrays: they round alike on every processor, which
keeps a seed's picture the same everywhere (vectorised exp, sin and pow do not).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Field = Float[np.ndarray, "h w"]

TINY = 1e-6


def ellipse(u: Field, v: Field, radius_u: float, radius_v: float, squareness: float = 0.0) -> Field:
    """Distance to an ellipse at the origin; `squareness` 0 is the ellipse, 1 the superellipse of power 4.

    The radial function k (1 on the border) is divided by its gradient's length, the first-order distance.
    """
    a, b = u / radius_u, v / radius_v
    a2, b2 = a * a, b * b
    k = np.sqrt(a2 + b2) + TINY
    gradient_u, gradient_v = a / k, b / k
    if squareness > 0:
        k4 = np.sqrt(np.sqrt(a2 * a2 + b2 * b2)) + TINY
        cube = k4 * k4 * k4
        gradient_u = (1 - squareness) * gradient_u + squareness * a * a2 / cube
        gradient_v = (1 - squareness) * gradient_v + squareness * b * b2 / cube
        k = (1 - squareness) * k + squareness * k4
    gradient_u, gradient_v = gradient_u / radius_u, gradient_v / radius_v
    return (k - 1) / (np.sqrt(gradient_u * gradient_u + gradient_v * gradient_v) + TINY)


def almond(u: Field, v: Field, half_width: float, up: float, down: float) -> Field:
    """Distance to the region between two parabolas that meet at (+-half_width, 0) and reach -up and +down."""
    t = u / half_width
    arch = 1 - t * t
    steep = 2 * max(up, down) / half_width
    return np.maximum(-(v + up * arch), v - down * arch) / np.sqrt(1 + steep * steep * t * t)


def strip(u: Field, half_width: float) -> Field:
    """Distance to the vertical strip |u| < half_width."""
    return np.abs(u) - half_width


def turned(u: Field, v: Field, cosine: float, sine: float) -> tuple[Field, Field]:
    """Coordinates in a frame turned clockwise (v points down) by the angle of that cosine and sine."""
    return cosine * u + sine * v, cosine * v - sine * u


def smooth(t: Field) -> Field:
    """Smoothstep of t clipped to [0, 1]."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)


def wave(t: Field) -> Field:
    """A smooth periodic wave in [0, 1] with period 1 (0 at whole numbers, 1 halfway)."""
    return smooth(1 - np.abs(2 * (t - np.floor(t)) - 1))
