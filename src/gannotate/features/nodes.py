"""Bilinear upsampling of several coarse maps at once, exactly, for about the price of the finest of them.

Upsampled bilinearly, a map whose pixels are s px wide is linear between multiples of s / 2 px: between the centres of
its pixels, and level outside them. The nodes of coarser maps are among those of finer ones, so the sum of all is
linear between the finest one's nodes, too. It is summed there, coarse to fine, and upsampled to the picture once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gannotate.features.interpolation import Side, reads, resize

SPACING = 4
"""Maps are summed at nodes when their pixels are a multiple of so many px wide; 2 px ones have nodes at every pixel."""


def heights_for_nodes(sides: Iterable[Side], size: int) -> tuple[int, ...]:
    """Heights of the square maps that can be summed at nodes, small to large; none when that saves nothing."""
    heights: list[int] = []
    for height, width in sorted(set(sides)):
        fits = height == width and size % (SPACING * height) == 0
        if fits and (not heights or height % heights[-1] == 0):
            heights.append(height)
    return tuple(heights) if len(heights) > 1 else ()


def sum_at_nodes(maps: Sequence[Float[Tensor, "n k _ _"]]) -> Float[Tensor, "n k m m"]:
    """The maps' sum at the nodes of the last, m = 2 * its height + 1; heights as `heights_for_nodes` gives them."""
    total: Tensor | None = None
    for x in maps:
        count = 2 * x.shape[2] + 1
        # between two centres a node is their mean; the outermost repeat the edge
        own = resize(F.pad(x, (1, 1, 1, 1), mode="replicate"), (count + 2, count + 2), "corners")[:, :, 1:-1, 1:-1]
        total = (
            own.contiguous(memory_format=torch.channels_last)
            if total is None
            else resize(total, (count, count), "corners").add_(own)
        )
    assert total is not None
    return total


def from_nodes(nodes: Float[Tensor, "n k m m"], size: int, rows: tuple[int, int]) -> Float[Tensor, "n k rows size"]:
    """A band of the picture (first row, and one past the last) from values at nodes."""
    count = nodes.shape[2]
    spacing = size // (count - 1)
    # pixel i lies at (i + 1/2) / spacing; F.interpolate of the nodes has that place at index i + spacing / 2
    first, whole = spacing // 2, size + spacing
    if rows == (0, size):
        return resize(nodes, (whole, whole), "bilinear")[:, :, first : first + size, first : first + size]
    matrix = reads((count, whole), "bilinear").matrix[rows[0] + first : rows[1] + first].to(nodes)
    start, stop = rows[0] // spacing, min(count, (rows[1] + first) // spacing + 2)
    n, channels = nodes.shape[:2]
    flat = nodes[:, :, start:stop].permute(0, 2, 3, 1).reshape(n, stop - start, count * channels)
    summed = (matrix[:, start:stop] @ flat).view(n, rows[1] - rows[0], count, channels).permute(0, 3, 1, 2)
    return resize(summed, (rows[1] - rows[0], whole), "bilinear")[:, :, :, first : first + size]
