"""Feature vectors of single pixels, gathered straight from the native taps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.features.interpolation import Interpolation, check_interpolation, reads, route
from gannotate.generators.base import Tap


@dataclass(frozen=True)
class Pixels:
    """Places in a batch of pictures: index of the picture, row and column at picture size."""

    picture: Int[Tensor, " p"]
    y: Int[Tensor, " p"]
    x: Int[Tensor, " p"]

    def __len__(self) -> int:
        return len(self.picture)


def sample_pixels(
    taps: Mapping[str, Float[Tensor, "n k h w"]],
    read: Sequence[Tap],
    pixels: Pixels,
    size: int,
    interpolation: Interpolation = "bilinear",
) -> Float[Tensor, "p channels"]:
    """The features at `pixels` of the taps in `read`, one after the other: the full stack there, never built.

    Costs p times the channels times at most 4 reads (9 in a pyramid), whatever the picture's size. Taps in half
    precision are interpolated in float32.
    """
    check_interpolation(interpolation)
    sides = [(tap.height, tap.width) for tap in read]
    parts = [
        _sample(taps[tap.name], pixels, route(side, sides, size, interpolation), interpolation)
        for tap, side in zip(read, sides, strict=True)
    ]
    return torch.cat(parts, dim=1)


def _sample(
    tap: Tensor, pixels: Pixels, passed: tuple[tuple[int, int], ...], interpolation: Interpolation
) -> Float[Tensor, "p k"]:
    rows = reads(tuple(side[0] for side in passed), interpolation)
    columns = reads(tuple(side[1] for side in passed), interpolation)
    row, row_weight = rows.index.to(tap.device)[pixels.y], rows.weight.to(tap.device)[pixels.y]
    column, column_weight = columns.index.to(tap.device)[pixels.x], columns.weight.to(tap.device)[pixels.x]
    by_pixel = tap.permute(0, 2, 3, 1)  # (n, h, w, k): a vector is contiguous where the tap is channels_last
    working = torch.promote_types(tap.dtype, torch.float32)
    total = torch.zeros(len(pixels), tap.shape[1], dtype=working, device=tap.device)
    for i in range(row.shape[1]):
        for j in range(column.shape[1]):
            weight = row_weight[:, i] * column_weight[:, j]
            total = total + weight[:, None] * by_pixel[pixels.picture, row[:, i], column[:, j]].to(working)
    return total
