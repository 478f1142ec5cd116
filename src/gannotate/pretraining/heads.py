"""The auxiliary heads of LayerMatch: from an encoder's features to a generator's activations; dropped afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.generators.base import CHUNK, DrawOptions, Generator, Tap

Joined = Literal["all", "nearest"]
"""Which of the encoder's levels a head reads: all of them, or the one whose size is nearest to the tap's."""

LEAST_DEVIATION = 1e-3
"""A channel that varies less than this part of its tap is divided by this part: a constant one asks for nothing."""


class Level(NamedTuple):
    """One of an encoder's feature maps: its place in the list, its channels, and its side in px."""

    place: int
    channels: int
    side: int


@torch.no_grad()
def levels_of(encoder: nn.Module, image_channels: int, size: int) -> tuple[Level, ...]:
    """The feature maps of an encoder at pictures of `size` px, finest first; the picture itself is none of them."""
    like = next(encoder.parameters())
    training = encoder.training
    features = encoder.eval()(torch.zeros(1, image_channels, size, size).to(like))
    encoder.train(training)
    return tuple(
        Level(place, feature.shape[1], feature.shape[-1])
        for place, feature in enumerate(features)
        if place and feature.shape[1]  # timm's encoders without a stem at 1/2 give an empty map there
    )


class TapScale(nn.Module):
    """Mean and deviation of each channel of some taps, (1, channels, 1, 1), so that all count alike in L_match."""

    def __init__(self, moments: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.names = tuple(moments)
        for index, (mean, deviation) in enumerate(moments.values()):
            self.register_buffer(f"mean{index}", mean.float().view(1, -1, 1, 1))
            self.register_buffer(f"deviation{index}", deviation.float().view(1, -1, 1, 1))

    @classmethod
    @torch.no_grad()
    def measured(
        cls, generator: Generator, taps: Sequence[str], seeds: Sequence[int], options: DrawOptions
    ) -> TapScale:
        """Of the activations of the pictures `seeds`."""
        sums: dict[str, Tensor] = {}
        squares: dict[str, Tensor] = {}
        for start in range(0, len(seeds), CHUNK):
            drawn = draw_activations(generator, seeds[start : start + CHUNK], options, taps)
            for name, values in drawn.taps.items():
                values = values.double()
                sums[name] = sums.get(name, 0) + values.mean((2, 3)).sum(0)
                squares[name] = squares.get(name, 0) + values.square().mean((2, 3)).sum(0)
        moments = {}
        for name in taps:
            mean = sums[name] / len(seeds)
            variance = (squares[name] / len(seeds) - mean.square()).clamp(min=0)
            least = LEAST_DEVIATION * variance.mean().sqrt() + 1e-8
            moments[name] = (mean, variance.sqrt().clamp(min=least))
        return cls(moments)

    def mean(self, name: str) -> Float[Tensor, "1 c 1 1"]:
        """Of tap `name`."""
        return self.get_buffer(f"mean{self.names.index(name)}")

    def deviation(self, name: str) -> Float[Tensor, "1 c 1 1"]:
        """Of tap `name`."""
        return self.get_buffer(f"deviation{self.names.index(name)}")


class Activations(NamedTuple):
    """What the generator did for some seeds: enough to draw the same pictures again from any tap."""

    w: Float[Tensor, "n styles w"]
    noise: str | list[Tensor]
    picture: Float[Tensor, "n c h w"]
    taps: dict[str, Tensor]


@torch.no_grad()
def draw_activations(
    generator: Generator, seeds: Sequence[int], options: DrawOptions, taps: Sequence[str]
) -> Activations:
    """Pictures and taps of `seeds`; no inference mode, since gradients are taken of what is made from them."""
    w = generator.map(generator.latents(seeds), psi=options.psi, cutoff=options.cutoff)
    noise = generator.noise_of_seeds(seeds) if options.noise == "seeded" else options.noise
    drawing = generator.synthesize(w, noise, taps=taps)
    return Activations(w, noise, drawing.picture, drawing.taps)


class TapHead(nn.Module):
    """Encoder features -> one tap, in units of its deviations.

    1x1 convolutions bring the levels read to one width, at the tap's side; then batch normalisation, ReLU and a 3x3
    convolution. With a width of 0 they give the tap at once: a head that can only read what the encoder says.
    """

    def __init__(self, levels: Sequence[Level], tap: Tap, width: int) -> None:
        super().__init__()
        self.places, self.side = [level.place for level in levels], (tap.height, tap.width)
        self.project = nn.ModuleList(
            nn.Conv2d(level.channels, width or tap.channels, 1, bias=not (width or index))
            for index, level in enumerate(levels)
        )
        self.mix: nn.Module = nn.Identity()
        if width:
            last = nn.Conv2d(width, tap.channels, 3, padding=1)
            self.mix = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True), last)

    def forward(self, features: Sequence[Float[Tensor, "n _ _ _"]]) -> Float[Tensor, "n k h w"]:
        parts = [
            self._at_side(project, features[place]) for project, place in zip(self.project, self.places, strict=True)
        ]
        return self.mix(torch.stack(parts).sum(0) if len(parts) > 1 else parts[0])

    def _at_side(self, project: nn.Module, x: Tensor) -> Tensor:
        # a 1x1 convolution commutes with both ways of changing the size: it runs where there are fewer pixels
        if x.shape[-1] > self.side[1]:
            return project(F.adaptive_avg_pool2d(x, self.side))
        return F.interpolate(project(x), self.side, mode="bilinear", align_corners=False)


class TapHeads(nn.Module):
    """One head a tap: encoder features to predictions in the generator's own units, ready for its `replace`."""

    def __init__(
        self, levels: Sequence[Level], taps: Sequence[Tap], scale: TapScale, joined: Joined = "all", width: int = 0
    ) -> None:
        super().__init__()
        self.names, self.scale = tuple(tap.name for tap in taps), scale
        self.heads = nn.ModuleList(
            TapHead(levels if joined == "all" else [nearest_level(levels, tap)], tap, width) for tap in taps
        )

    def forward(self, features: Sequence[Float[Tensor, "n _ _ _"]]) -> dict[str, Float[Tensor, "n _ _ _"]]:
        return {
            name: self.scale.mean(name) + self.scale.deviation(name) * head(features)
            for name, head in zip(self.names, self.heads, strict=True)
        }


def nearest_level(levels: Sequence[Level], tap: Tap) -> Level:
    """The level of the tap's side, or else the nearest by ratio, the finer of two."""
    return min(levels, key=lambda level: (max(level.side / tap.height, tap.height / level.side), -level.side))
