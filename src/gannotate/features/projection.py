"""A 1x1 layer over many taps, computed at each tap's own resolution, then upsampled and summed.

A 1x1 convolution commutes with any fixed linear upsampling, so

    W [up(t1); up(t2); ...] + b  =  up(W1 t1) + up(W2 t2) + ... + b,    W = [W1 W2 ...],

and the stack of thousands of channels at picture size (5.8 GB for one 512 px picture) never exists.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.errors import UsageError
from gannotate.features.interpolation import (
    Interpolation,
    Side,
    check_interpolation,
    next_sides,
    reads,
    resize,
    resize_rows,
)
from gannotate.features.nodes import from_nodes, heights_for_nodes, sum_at_nodes
from gannotate.generators.base import Tap

Rows = tuple[int, int]
"""A band of a map: first row, and one past the last."""

Biases = Literal["once", "tap", "none"]
"""One bias for all taps; one a tap (their sum acts, as in feature pyramids); or none."""


def key_of(name: str) -> str:
    """A tap's name as a module's or parameter's, which may not hold a dot."""
    return name.replace(".", "_")


class ProjectedLinear(nn.Module):
    """The 1x1 convolution (outputs, all taps' channels) on taps upsampled to `size` px, without the upsampled stack.

    Equal to the layer on the stack for every interpolation (`pyramid`: on a stack that is upsampled step by step).

    Attributes:
        taps: what it reads, in the order of the naive weight's columns. blocks: (outputs, channels) of each tap.
        bias: (biases, outputs) or None; the sum over its rows is added once.
    """

    def __init__(
        self,
        taps: Sequence[Tap],
        outputs: int,
        size: int,
        interpolation: Interpolation = "bilinear",
        biases: Biases = "once",
    ) -> None:
        super().__init__()
        if not taps:
            raise UsageError("a projection needs at least one tap to read")
        check_interpolation(interpolation)
        self.taps, self.outputs, self.size = tuple(taps), outputs, size
        self.interpolation: Interpolation = interpolation
        self.blocks = nn.ParameterDict(
            {key_of(tap.name): nn.Parameter(torch.empty(outputs, tap.channels)) for tap in taps}
        )
        count = {"once": 1, "tap": len(self.taps), "none": 0}[biases]
        self.bias = nn.Parameter(torch.empty(count, outputs)) if count else None
        following = next_sides([_side(tap) for tap in taps], size, interpolation)
        picture = (size, size)
        self._node_heights = heights_for_nodes(following, size) if interpolation == "bilinear" else ()
        at_nodes = {(height, height) for height in self._node_heights}
        self._sources: dict[Side, list[Side]] = {side: [] for side in (*following, picture)}
        for side, after in following.items():
            if side != picture and side not in at_nodes:
                self._sources[after].append(side)
        self.reset_parameters()

    @property
    def channels(self) -> int:
        """Channels of the stack: columns of the naive weight."""
        return sum(tap.channels for tap in self.taps)

    def reset_parameters(self, per_tap: bool = False) -> None:
        """Torch's uniform start of a 1x1 convolution on the stack; `per_tap`: of one convolution a tap."""
        with torch.no_grad():
            for place, tap in enumerate(self.taps):
                bound = 1 / math.sqrt(tap.channels if per_tap else self.channels)
                self.blocks[key_of(tap.name)].uniform_(-bound, bound)
                if self.bias is not None and place < len(self.bias):
                    self.bias[place].uniform_(-bound, bound)

    def stacked_weight(self) -> Float[Tensor, "outputs channels"]:
        """The naive layer's weight; gradients reach the blocks through it."""
        return torch.cat([self.blocks[key_of(tap.name)] for tap in self.taps], dim=1)

    def stacked_bias(self) -> Float[Tensor, " outputs"] | None:
        """The naive layer's bias."""
        return None if self.bias is None else self.bias.sum(dim=0)

    @torch.no_grad()
    def from_stacked(
        self, weight: Float[Tensor, "outputs channels"], bias: Float[Tensor, " outputs"] | None = None
    ) -> None:
        """Takes over the naive layer's weight (columns in the order of `taps`) and bias.

        Raises:
            UsageError: another shape, or a bias for a layer without one.
        """
        if tuple(weight.shape) != (self.outputs, self.channels):
            raise UsageError(
                f"the weight is {tuple(weight.shape)}; this layer takes {(self.outputs, self.channels)}, "
                "outputs by channels of all taps"
            )
        if bias is not None and self.bias is None:
            raise UsageError("a bias was given, but this layer has none; leave it out, or make the layer with one")
        for tap, block in zip(self.taps, weight.split([tap.channels for tap in self.taps], dim=1), strict=True):
            self.blocks[key_of(tap.name)].copy_(block)
        if self.bias is not None:
            self.bias.zero_()
            if bias is not None:
                self.bias[0] = bias

    def forward(
        self,
        taps: Mapping[str, Float[Tensor, "n k h w"]],
        rows: Rows | None = None,
        coarse: Float[Tensor, "n outputs m m"] | None = None,
    ) -> Float[Tensor, "n outputs rows size"]:
        """The layer at picture size, in channels_last.

        `rows` gives that band only, at a band's cost and memory; whoever asks for many bands passes what `coarse` gave.
        """
        rows, picture = rows or (0, self.size), (self.size, self.size)
        out = self._drawn_at(picture, taps, rows)
        if self._node_heights:
            nodes = self.coarse(taps) if coarse is None else coarse
            assert nodes is not None
            part = from_nodes(nodes, self.size, rows)
            out = part.contiguous(memory_format=torch.channels_last) if out is None else out.add_(part)
        assert out is not None
        bias = self.stacked_bias()
        return out if bias is None else out.add_(bias.view(1, -1, 1, 1))

    def coarse(self, taps: Mapping[str, Float[Tensor, "n k h w"]]) -> Float[Tensor, "n outputs m m"] | None:
        """The sum of the coarse taps' projections, which all bands share; None when there is nothing to share."""
        if not self._node_heights:
            return None
        maps = [self._drawn_at((height, height), taps, (0, height)) for height in self._node_heights]
        return sum_at_nodes([x for x in maps if x is not None])

    def on_features(self, features: Float[Tensor, "*p channels"]) -> Float[Tensor, "*p outputs"]:
        """The layer on feature vectors of single pixels (see `sample_pixels`)."""
        return F.linear(features.to(self.dtype), self.stacked_weight(), self.stacked_bias())

    def bands(self, pictures: int, values: int) -> Iterator[Rows]:
        """Bands of rows that cover the picture, each with at most `values` outputs for `pictures` pictures."""
        height = min(self.size, max(1, values // (pictures * self.outputs * self.size)))
        for start in range(0, self.size, height):
            yield start, min(start + height, self.size)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights; taps kept in half precision are taken to it."""
        return self.blocks[key_of(self.taps[0].name)].dtype

    def _drawn_at(self, side: Side, taps: Mapping[str, Tensor], rows: Rows) -> Tensor | None:
        """The sum, at `side`, of its own taps' projections and of all that is upsampled to it; a fresh tensor.

        But for what is summed at nodes; None when nothing else is there.
        """
        total: Tensor | None = None
        for source in self._sources[side]:
            part = self._upsampled(source, side, taps, rows)
            total = part if total is None else total.add_(part)
        for tap in self.taps:
            if (tap.height, tap.width) == side:
                total = self._add_projection(total, tap, taps[tap.name][:, :, rows[0] : rows[1]])
        return total

    def _upsampled(self, source: Side, side: Side, taps: Mapping[str, Tensor], rows: Rows) -> Tensor:
        whole = rows == (0, side[0])
        span = (0, source[0]) if whole else reads((source[0], side[0]), self.interpolation).span(*rows)
        read = self._drawn_at(source, taps, span)
        assert read is not None
        if whole:
            return resize(read, side, self.interpolation)
        return resize_rows(read, span[0], source[0], side, rows, self.interpolation)

    def _add_projection(self, total: Tensor | None, tap: Tap, x: Tensor) -> Tensor:
        # as one matrix product over pixels: faster on a CPU than the 1x1 convolution, and channels_last stays
        block, pixels = self.blocks[key_of(tap.name)], x.permute(0, 2, 3, 1).to(self.dtype)
        if total is None:
            return F.linear(pixels, block).permute(0, 3, 1, 2)
        flat = total.permute(0, 2, 3, 1)
        if not flat.is_contiguous():
            return total.add_(F.linear(pixels, block).permute(0, 3, 1, 2))
        # into the sum, which is one pass less; under autocast it has another precision than the weights
        flat.view(-1, self.outputs).addmm_(pixels.reshape(-1, tap.channels).to(flat), block.T.to(flat))
        return total


def _side(tap: Tap) -> Side:
    return tap.height, tap.width


class ProjectedConv(nn.Module):
    """A 3x3 convolution with zero padding on taps upsampled to `size` px, without the upsampled stack.

    It is the sum of nine 1x1 layers, one an offset, each computed as `ProjectedLinear` and shifted.
    """

    def __init__(self, taps: Sequence[Tap], outputs: int, size: int, interpolation: Interpolation = "bilinear") -> None:
        super().__init__()
        layers = [ProjectedLinear(taps, outputs, size, interpolation, biases="none") for _ in range(9)]
        self.offsets = nn.ModuleList(layers)
        self.outputs, self.size, self.channels = outputs, size, layers[0].channels
        self.bias = nn.Parameter(torch.empty(outputs))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Torch's uniform start of a 3x3 convolution on the stack."""
        bound = 1 / math.sqrt(9 * self.channels)
        for parameter in self.parameters():
            parameter.uniform_(-bound, bound)

    def stacked_weight(self) -> Float[Tensor, "outputs channels 3 3"]:
        """The naive convolution's weight."""
        return torch.stack([layer.stacked_weight() for layer in self._layers()], dim=2).unflatten(2, (3, 3))

    @torch.no_grad()
    def from_stacked(self, weight: Float[Tensor, "outputs channels 3 3"], bias: Float[Tensor, " outputs"]) -> None:
        """Takes over the naive convolution's weight and bias."""
        for place, layer in enumerate(self._layers()):
            layer.from_stacked(weight[:, :, place // 3, place % 3])
        self.bias.copy_(bias)

    def forward(self, taps: Mapping[str, Float[Tensor, "n k h w"]]) -> Float[Tensor, "n outputs size size"]:
        pictures = len(next(iter(taps.values())))
        shape = (pictures, self.outputs, self.size + 2, self.size + 2)
        padded = self.bias.new_zeros(shape).contiguous(memory_format=torch.channels_last)
        for place, layer in enumerate(self._layers()):
            # what lies at the offset (i - 1, j - 1) belongs to the pixel in the middle
            top, left = 2 - place // 3, 2 - place % 3
            padded[:, :, top : top + self.size, left : left + self.size] += layer(taps)
        inside = padded[:, :, 1:-1, 1:-1] + self.bias.view(1, -1, 1, 1)
        return inside.contiguous(memory_format=torch.channels_last)

    def _layers(self) -> Iterator[ProjectedLinear]:
        for layer in self.offsets:
            assert isinstance(layer, ProjectedLinear)
            yield layer
