"""Light on round bodies, and the textures of skin, hair and cloth."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from gannotate.data.portraits.canvas import mix
from gannotate.data.portraits.noise import lines
from gannotate.data.portraits.palette import Looks
from gannotate.data.portraits.shapes import Field, wave

TEXTURES = ("plain", "stripes", "checks", "noise")


def lambert(u: Field, v: Field, radius_u: float, radius_v: float, looks: Looks) -> Field | float:
    """Light factor on the ellipsoid at the origin with those radii (outside it, that of its rim); 1 when not shaded."""
    if not looks.shaded:
        return 1.0
    a, b = u * (0.92 / radius_u), v * (0.92 / radius_v)
    square = a * a + b * b
    shrink = 1 / np.sqrt(np.maximum(square, 1) / 0.97)
    near = np.sqrt(np.maximum(1 - square, 0.03))
    x, y, z = looks.light
    facing = np.maximum((a * x + b * y) * shrink + near * z, 0)
    return looks.ambient + (1.12 - looks.ambient) * facing


def hair_surface(
    u: Field, v: Field, fine: Field, looks: Looks, rng: np.random.Generator, curly: bool
) -> Float[np.ndarray, "3 h w"]:
    """Hair with strands that fan out from the crown, and a band of shine."""
    if not looks.shaded:
        return looks.hair
    spread = 0.55 + 0.3 * np.minimum(np.maximum(v + 0.7, 0), 1)
    strands = lines(rng, u / spread + 0.06 * fine, 36, 1.6)
    if curly:
        strands = 0.4 * strands + fine
    radius = np.sqrt(u * u + (v + 0.05) * (v + 0.05))
    band = np.maximum(1 - np.abs(radius - 0.62) * 7, 0) * np.maximum(0.5 + u * looks.light[0] - v * 0.5, 0)
    surface = mix(looks.hair, looks.shine, np.clip(0.22 + 0.3 * strands + 0.7 * band, 0, 1))
    return surface * (1 + 0.14 * strands)


def cloth_surface(
    u: Field, v: Field, fine: Field, pixel: float, looks: Looks, rng: np.random.Generator
) -> Float[np.ndarray, "3 h w"]:
    """Plain, striped, checked or mottled cloth with soft folds; stripes no finer than four pixels."""
    texture = TEXTURES[int(rng.integers(len(TEXTURES)))]
    pitch = max(rng.uniform(0.16, 0.36), 4 * pixel)
    turn, strength, lean = int(rng.integers(3)), rng.uniform(0.5, 1.0), rng.uniform(0.4, 1.0)
    if not looks.shaded or texture == "plain":
        return looks.cloth
    if texture == "noise":
        return mix(looks.cloth, looks.trim, np.clip(0.4 + 0.6 * fine, 0, 1) * strength)
    along = (u, v, u * lean + v)[turn] / pitch
    bands = np.clip(3 * wave(along) - 1, 0, 1)
    if texture == "checks":
        across = (v, u, v * lean - u)[turn] / pitch
        bands = 0.5 * (bands + np.clip(3 * wave(across) - 1, 0, 1))
    return mix(looks.cloth, looks.trim, bands * strength)
