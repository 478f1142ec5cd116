"""The feature pyramid decoder of gradient matching (Yang et al. 2022, "Learning to Annotate Part Segmentation with
Gradient Matching", appendix, "Annotator structure"): 128-wide laterals, summed top-down, three 3x3 convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.decoders.base import Decoder, DecoderConfig, last_of_each_resolution, to_size
from gannotate.errors import UsageError
from gannotate.features.projection import ProjectedLinear
from gannotate.generators.base import Tap

MOST_LAYERS = 100
"""One after the other; a damaged config.json may ask for any number."""


@dataclass(frozen=True, kw_only=True)
class FPNConfig(DecoderConfig):
    """Shape of a feature pyramid decoder."""

    taps: tuple[str, ...] = ()
    """Names of the activations to read; the last one of each resolution when not given."""
    width: int = 128
    """Feature maps of the laterals and of the convolutions."""
    layers: int = 3
    """3x3 convolutions after the sum, the one to the classes included."""

    def __post_init__(self) -> None:
        if self.layers > MOST_LAYERS:
            raise UsageError(f"layers is {self.layers}; use {MOST_LAYERS} at most, most often 3")
        for name, given in (("width", self.width), ("layers", self.layers)):
            if given < 1:
                raise UsageError(f"the decoder's {name} is {given}; use 1 or more")


class FPNDecoder(Decoder[FPNConfig]):
    """About 0.6 to 0.7 million parameters; works at the size of its largest tap."""

    architecture = "fpn"
    config_class = FPNConfig

    def __init__(self, taps: tuple[Tap, ...], classes: int, size: int, config: FPNConfig) -> None:
        super().__init__(taps, classes, size, config)
        grid, width = max(tap.height for tap in taps), config.width
        self.first = ProjectedLinear(taps, width, grid, "pyramid", biases="tap")
        self.first.reset_parameters(per_tap=True)
        layers: list[nn.Module] = []
        for _ in range(config.layers - 1):
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        self.head = nn.Sequential(*layers, nn.Conv2d(width, classes, 3, padding=1))
        self.head.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @classmethod
    def default_taps(cls, taps: tuple[Tap, ...], config: FPNConfig) -> tuple[Tap, ...]:
        """One a resolution: the output of each block."""
        return last_of_each_resolution(taps)

    def forward(self, taps: Mapping[str, Float[Tensor, "n k h w"]]) -> Float[Tensor, "n classes size size"]:
        return to_size(self.head(self.first(taps)), self.size)
