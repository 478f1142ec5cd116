"""Smooth random fields in normalised coordinates: the same field at every picture size."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float


@lru_cache(maxsize=64)
def _spline_weights(size: int, cells: int) -> Float[np.ndarray, "size cells+3"]:
    """Uniform cubic B-spline weights of `size` pixel centres on `cells` equal cells."""
    place = (np.arange(size) + 0.5) / size * cells
    cell = np.minimum(place.astype(int), cells - 1)
    t = place - cell
    weights = np.zeros((size, cells + 3))
    taps = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    for offset, tap in enumerate(taps):
        weights[np.arange(size), cell + offset] = tap / 6
    return weights


def smooth_noise(
    rng: np.random.Generator, size: int, cells_x: int, cells_y: int | None = None
) -> Float[np.ndarray, "size size"]:
    """Smooth noise over the picture, about -1 to 1 with mean 0: random values on a grid, B-spline between them."""
    cells_y = cells_x if cells_y is None else cells_y
    grid = rng.uniform(-1.6, 1.6, (cells_y + 3, cells_x + 3))
    # Double precision: the order of a matrix product's sums then never shows in a uint8 picture.
    return (_spline_weights(size, cells_y) @ grid @ _spline_weights(size, cells_x).T).astype(np.float32)


def lines(rng: np.random.Generator, t: Float[np.ndarray, "h w"], count: int, reach: float) -> Float[np.ndarray, "h w"]:
    """1-D random values in [-1, 1] at `count` knots on [-reach, reach], linear between them, looked up at `t`."""
    table = rng.uniform(-1, 1, count + 2).astype(np.float32)
    place = np.clip((t + reach) * (count / (2 * reach)), 0, count)
    knot = place.astype(np.int32)
    fraction = place - knot
    low = table[knot]
    return low + fraction * (table[knot + 1] - low)
