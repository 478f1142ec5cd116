"""How a tap of any resolution becomes a map of picture size: four fixed linear interpolations.

Linear and the same for every channel, so they commute with a 1x1 convolution. Separable, and each output row (and
column) reads a few source rows only, so that a band of rows or a single pixel can be had alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.errors import UsageError, nearest

Interpolation = Literal["bilinear", "corners", "nearest", "pyramid"]
"""bilinear: straight to picture size (torch's align_corners=False); corners: bilinear with align_corners=True; nearest;
pyramid: bilinear from each resolution to the next larger one that is read, as feature pyramids do."""

Side = tuple[int, int]
"""(height, width) in pixels."""


def check_interpolation(name: str) -> None:
    """Raises UsageError when `name` is not an interpolation."""
    known = get_args(Interpolation)
    if name not in known:
        raise UsageError(f"interpolation {name!r} is not known; use {', '.join(known)}{nearest(name, known)}")


def next_sides(sides: Iterable[Side], size: int, interpolation: Interpolation) -> dict[Side, Side]:
    """Where the maps of each resolution go next, (size, size) in the end.

    In a pyramid that is the next larger resolution among `sides` that fits the picture; else the picture itself.
    """
    picture = (size, size)
    if interpolation != "pyramid":
        return dict.fromkeys(sides, picture)
    ordered = sorted(set(sides))
    inside = [side for side in ordered if side[0] <= size and side[1] <= size] + [picture]
    return {side: next((larger for larger in inside if larger > side), picture) for side in ordered}


def route(side: Side, sides: Iterable[Side], size: int, interpolation: Interpolation) -> tuple[Side, ...]:
    """All resolutions that maps of `side` pass, from `side` to (size, size)."""
    following = next_sides(sides, size, interpolation)
    passed = [side]
    while passed[-1] != (size, size):
        passed.append(following[passed[-1]])
    return tuple(passed)


def resize(x: Float[Tensor, "n k h w"], side: Side, interpolation: Interpolation) -> Float[Tensor, "n k h2 w2"]:
    """`x` at another resolution; `x` itself when it has that already."""
    if tuple(x.shape[-2:]) == side:
        return x
    if interpolation == "nearest":
        return F.interpolate(x, side, mode="nearest")
    return F.interpolate(x, side, mode="bilinear", align_corners=interpolation == "corners")


@dataclass(frozen=True)
class Reads:
    """What each output row reads: the sum over j of weight[:, j] * source row index[:, j].

    `matrix` is the same, dense: zero where a row does not read.
    """

    index: Int[Tensor, "rows k"]
    weight: Float[Tensor, "rows k"]
    matrix: Float[Tensor, "rows sources"]

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """The source rows, first and one past the last, that output rows start..stop read."""
        index = self.index[start:stop]
        return int(index.min()), int(index.max()) + 1


@lru_cache(maxsize=256)
def reads(lengths: tuple[int, ...], interpolation: Interpolation) -> Reads:
    """What each row reads after passing through `lengths` (source first), taken from torch's own interpolation.

    The weights are what `F.interpolate` makes of the identity: one of 1 (nearest), two (bilinear) or three (pyramid).
    """
    with torch.inference_mode(False), torch.no_grad():  # kept for later passes, which may need gradients
        columns = torch.eye(lengths[0])[None, :, :, None]
        for length in lengths[1:]:
            columns = resize(columns, (length, 1), interpolation)
        matrix = columns[0, :, :, 0].T
        most = int((matrix != 0).sum(dim=1).max())
        weight, index = matrix.topk(most, dim=1)
        index = torch.where(weight > 0, index, index[:, :1])  # a weight of 0 must not widen the span
        return Reads(index, weight, matrix)


def resize_rows(
    x: Float[Tensor, "n k h w"],
    first: int,
    source_height: int,
    side: Side,
    rows: tuple[int, int],
    interpolation: Interpolation,
) -> Float[Tensor, "n k rows w2"]:
    """Rows `rows` (first, one past the last) of what `resize` makes of a taller map.

    `x` holds that map's rows from `first` on, at least those that are read (see `Reads.span`).
    """
    matrix = reads((source_height, side[0]), interpolation).matrix[rows[0] : rows[1], first : first + x.shape[2]]
    n, channels, read, width = x.shape
    # a few rows are summed as one small matrix product; the columns are torch's business
    flat = x.permute(0, 2, 3, 1).reshape(n, read, width * channels)
    summed = (matrix.to(x) @ flat).view(n, rows[1] - rows[0], width, channels).permute(0, 3, 1, 2)
    return resize(summed, (rows[1] - rows[0], side[1]), interpolation)
