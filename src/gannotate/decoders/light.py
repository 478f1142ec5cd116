"""The light decoder: semantic projection (Galeev et al. 2020, "Learning High-Resolution Domain-Specific
Representations with a GAN Generator", section 3 and figure 1).

    tap of the coarsest resolution -> CBlock -> RBlock -> concat -> RBlock -> ... -> 3x3 convolution -> logits
                   tap of the next resolution -> CBlock ---^
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.decoders.base import Decoder, DecoderConfig, last_of_each_resolution, side_of, to_size
from gannotate.errors import UsageError
from gannotate.features.projection import key_of
from gannotate.generators.base import Tap

Order = Literal["paper", "code"]
"""Layers of a CBlock: the paper's dropout, convolution, norm; or convolution, norm, leaky ReLU, dropout."""

SLOPE = 0.2


@dataclass(frozen=True, kw_only=True)
class LightConfig(DecoderConfig):
    """Shape of a light decoder."""

    width: int = 32
    """Most feature maps of a convolution; taps of fewer than twice as many channels get half their channels."""
    dropout: float = 0.5
    """Part of the values that each CBlock drops while fitting."""
    order: Order = "code"
    """Layers of a CBlock: paper (dropout, convolution, norm) or code (convolution, norm, leaky ReLU, dropout)."""
    taps: tuple[str, ...] = ()
    """Names of the activations to read; the last one of each resolution when not given."""

    def __post_init__(self) -> None:
        if self.width < 1:
            raise UsageError(f"the decoder's width is {self.width}; use 1 or more, most often 32")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}; use 0 up to, but not, 1, e.g. 0.5")
        if self.order not in get_args(Order):
            raise UsageError(f"order {self.order!r} is not known; use {' or '.join(get_args(Order))}")


def _conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


def c_block(inputs: int, outputs: int, config: LightConfig) -> nn.Sequential:
    """Takes one tap (n, inputs, h, w) to (n, outputs, h, w)."""
    conv, norm, dropout = _conv(inputs, outputs), nn.BatchNorm2d(outputs), nn.Dropout(config.dropout)
    if config.order == "paper":
        return nn.Sequential(dropout, conv, norm)
    return nn.Sequential(conv, norm, nn.LeakyReLU(SLOPE), dropout)


class RBlock(nn.Module):
    """Bilinear upsampling to `size`, then one residual block with two convolutions."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.conv0, self.norm0 = _conv(inputs, outputs), nn.BatchNorm2d(outputs)
        self.conv1, self.norm1 = _conv(outputs, outputs), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity() if inputs == outputs else _conv(inputs, outputs, kernel=1)

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o h2 w2"]:
        x = F.interpolate(x, self.size, mode="bilinear", align_corners=False)
        y = F.leaky_relu(self.norm0(self.conv0(x)), SLOPE)
        y = F.leaky_relu(self.norm1(self.conv1(y)), SLOPE)
        return (self.shortcut(x) + y) * math.sqrt(0.5)


class LightDecoder(Decoder[LightConfig]):
    """Semantic projection: about a million parameters for a 512 px StyleGAN2, a few hundred thousand at 64 px."""

    architecture = "light"
    config_class = LightConfig

    def __init__(self, taps: tuple[Tap, ...], classes: int, size: int, config: LightConfig) -> None:
        super().__init__(taps, classes, size, config)
        levels = [list(level) for _, level in groupby(sorted(taps, key=side_of), key=side_of)]
        self.levels = [[tap.name for tap in level] for level in levels]
        self.c_blocks, self.r_blocks = nn.ModuleDict(), nn.ModuleList()
        maps = 0
        for level in levels:
            widths = [max(1, min(config.width, tap.channels // 2)) for tap in level]
            if maps:
                self.r_blocks.append(RBlock(maps, max(widths), side_of(level[0])))
                maps = max(widths)
            for tap, width in zip(level, widths, strict=True):
                self.c_blocks[key_of(tap.name)] = c_block(tap.channels, width, config)
                maps += width
        self.last = _conv(maps, classes)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @classmethod
    def default_taps(cls, taps: tuple[Tap, ...], config: LightConfig) -> tuple[Tap, ...]:
        """One a resolution, as in the paper."""
        return last_of_each_resolution(taps)

    def forward(self, taps: Mapping[str, Float[Tensor, "n k h w"]]) -> Float[Tensor, "n classes size size"]:
        x: Tensor | None = None
        for index, names in enumerate(self.levels):
            parts = [] if x is None else [self.r_blocks[index - 1](x)]
            x = torch.cat([*parts, *(self.c_blocks[key_of(name)](taps[name]) for name in names)], dim=1)
        return to_size(self.last(x), self.size)
