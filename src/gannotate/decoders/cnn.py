"""RepurposeGAN's dilated CNN (Tritrong et al. 2021, "Repurposing GANs for One-shot Semantic Part Segmentation", section
4.2): a 1x1 layer to 128 maps, then eight 3x3 convolutions. Its public notebook's S, M and L for reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.decoders.base import Decoder, DecoderConfig, all_but_last_resolution, to_size
from gannotate.errors import UsageError, nearest
from gannotate.features.interpolation import Interpolation, check_interpolation
from gannotate.features.projection import ProjectedConv, ProjectedLinear
from gannotate.generators.base import Tap

Variant = Literal["paper", "S", "M", "L"]
"""paper: the 1x1 layer first; S, M, L: the notebook's, whose first layer is a 3x3 convolution on all channels."""

Grid = Literal["picture", "largest"]
"""Where the convolutions work: at picture size, or at the size of the largest tap that is read."""

SLOPE = 0.2

FIRST_MAPS = 128

DILATIONS: dict[Variant, tuple[int, ...]] = {
    "paper": (2, 4, 8, 1, 2, 4, 8, 1),
    "S": (2, 1, 2, 1),
    "M": (2, 4, 1, 2, 4, 1),
    "L": (2, 4, 8, 1, 2, 4, 8, 1),
}
"""Of the convolutions after the first layer: 64 maps each, but 32 for the last but one and the classes for the last."""


@dataclass(frozen=True, kw_only=True)
class CNNConfig(DecoderConfig):
    """Shape of a dilated CNN."""

    taps: tuple[str, ...] = ()
    """Names of the activations to read; when not given all but the largest (paper), or all (S, M, L)."""
    variant: Variant = "paper"
    """The paper's network, or the public notebook's S, M or L, which are large and slow."""
    interpolation: Interpolation = "bilinear"
    """Upsampling: bilinear, corners, nearest (the notebook's), or pyramid (resolution by resolution; cheaper)."""
    grid: Grid = "picture"
    """Convolve at picture size, or at the largest tap's (the paper's): a quarter of the work with the default taps."""

    def __post_init__(self) -> None:
        for what, given, known in (("variant", self.variant, Variant), ("grid", self.grid, Grid)):
            names = get_args(known)
            if given not in names:
                raise UsageError(f"{what} {given!r} is not known; use {', '.join(names)}{nearest(str(given), names)}")
        check_interpolation(self.interpolation)


class CNNDecoder(Decoder[CNNConfig]):
    """Sees 61 pixels across around each pixel (paper); 0.93 M parameters on the paper's 5,056 channels.

    Its convolutions start as He et al. 2015 give it for their leaky ReLU; the paper does not say how its own did.
    """

    architecture = "cnn"
    config_class = CNNConfig

    def __init__(self, taps: tuple[Tap, ...], classes: int, size: int, config: CNNConfig) -> None:
        super().__init__(taps, classes, size, config)
        grid = size if config.grid == "picture" else max(tap.height for tap in taps)
        first = ProjectedLinear if config.variant == "paper" else ProjectedConv
        self.first = first(taps, FIRST_MAPS, grid, config.interpolation)
        dilations = DILATIONS[config.variant]
        widths = (FIRST_MAPS, *[64] * (len(dilations) - 2), 32, classes)
        shapes = zip(widths[:-1], widths[1:], dilations, strict=True)
        self.convs = nn.ModuleList(_dilated(inputs, outputs, dilation) for inputs, outputs, dilation in shapes)
        self.convs.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @classmethod
    def default_taps(cls, taps: tuple[Tap, ...], config: CNNConfig) -> tuple[Tap, ...]:
        """The paper leaves the largest resolution out; the notebook reads all."""
        return all_but_last_resolution(taps) if config.variant == "paper" else taps

    def forward(self, taps: Mapping[str, Float[Tensor, "n k h w"]]) -> Float[Tensor, "n classes size size"]:
        x = self.first(taps)
        for conv in self.convs:
            x = conv(F.leaky_relu_(x, SLOPE))  # in place: x is the layer's own
        return to_size(x, self.size)


def _dilated(inputs: int, outputs: int, dilation: int) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)
    # nine layers without a norm: torch's own start shrinks what passes, and a few hundred steps never make up for it
    nn.init.kaiming_normal_(conv.weight, a=SLOPE)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
