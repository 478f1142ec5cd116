"""Pictures larger than what a network learned on, in overlapping tiles whose answers fade into each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8

from gannotate.errors import UsageError

LEAST_SCALE, MOST_SCALE = 0.1, 10.0


@dataclass(frozen=True, kw_only=True)
class View:
    """How a picture is shown to a network: whole or in tiles, and at which scales."""

    tile_px: int | None = None
    """Side of the tiles in px of the picture; whole pictures when not given. A smaller picture is shown whole."""
    overlap: float = 0.25
    """Part of a tile's side that the next one covers again, at least; 0 to 0.9."""
    scales: tuple[float, ...] = (1.0,)
    """The network sees the picture, or each tile, at so many times its own size; the answers are averaged."""

    def __post_init__(self) -> None:
        if self.tile_px is not None and self.tile_px < 8:
            raise UsageError(f"tiles of {self.tile_px} px were asked for; give at least 8, e.g. the network's own size")
        if not 0 <= self.overlap <= 0.9:
            raise UsageError(f"the overlap is {self.overlap}; give a part of the tile's side, 0 to 0.9")
        if not self.scales or not all(LEAST_SCALE <= scale <= MOST_SCALE for scale in self.scales):
            raise UsageError(f"the scales are {self.scales}; give one or more from {LEAST_SCALE} to {MOST_SCALE:g}")


def tile_starts(length: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin so that they cover 0 to `length`, evenly, each sharing at least `overlap` of its side."""
    if length <= tile:
        return [0]
    step = max(1, math.floor(tile * (1 - overlap)))
    count = math.ceil((length - tile) / step) + 1
    return [round(index * (length - tile) / (count - 1)) for index in range(count)]


def fade(tile: int) -> Float[np.ndarray, "t t"]:
    """Weights of a tile's pixels: most in the middle, falling linearly to the edges, where they stay above 0."""
    line = np.minimum(np.arange(tile) + 0.5, tile - np.arange(tile) - 0.5).astype(np.float32)
    return np.outer(line, line) / line.max() ** 2


def tiled(
    picture: UInt8[np.ndarray, "h w c"],
    view: View,
    answers: Callable[[list[np.ndarray]], Iterable[np.ndarray]],
) -> Float32[np.ndarray, "k h w"]:
    """Class probabilities of a picture from those of its tiles.

    Args:
        answers: class probabilities (k, t, t) of pictures (t, t, c), in order.

    A side shorter than the tile is filled up with its last pixels, and cut again.
    """
    assert view.tile_px is not None
    tile, (height, width) = view.tile_px, picture.shape[:2]
    down, right = max(0, tile - height), max(0, tile - width)
    padded = np.pad(picture, ((0, down), (0, right), (0, 0)), mode="edge")
    rows, columns = (tile_starts(length, tile, view.overlap) for length in padded.shape[:2])
    places = [(slice(y, y + tile), slice(x, x + tile)) for y in rows for x in columns]
    weight, total, summed = fade(tile), np.zeros(padded.shape[:2], np.float32), None
    for place, answer in zip(places, answers([padded[place] for place in places]), strict=True):
        if summed is None:
            summed = np.zeros((len(answer), *total.shape), np.float32)
        summed[:, place[0], place[1]] += answer * weight
        total[place] += weight
    assert summed is not None
    return (summed / total)[:, :height, :width]
