"""What all StyleGANs share (Karras et al. 2019, 2020, 2021): the size of things, z -> w, truncation, w+."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.errors import UsageError
from gannotate.generators.base import Generator
from gannotate.generators.ops import Dense

MOST_LAYERS = 100
"""One after the other; the largest networks have some twenty, and a damaged config.json may ask for any number."""


@dataclass(frozen=True, kw_only=True)
class StyleConfig:
    """Shape of a StyleGAN generator: what every one of them is told."""

    SMALLEST_PX: ClassVar[int] = 8

    size: int = 256
    """Side of the picture in pixels, a power of two."""
    image_channels: int = 3
    """1 for grey, 3 for RGB."""
    z_dim: int = 512
    """Length of the latent z."""
    w_dim: int = 512
    """Length of a style vector."""
    mapping_layers: int = 8
    """Dense layers from z to w."""
    channel_base: int = 32768
    """Channels at resolution r are min(channel_base / r, channel_max); StyleGAN3 takes a layer's band for r."""
    channel_max: int = 512
    """Most channels of any layer."""

    def __post_init__(self) -> None:
        if self.size < self.SMALLEST_PX or self.size & (self.size - 1):
            raise UsageError(
                f"the generator's size is {self.size} px; use a power of two from {self.SMALLEST_PX}, e.g. 64"
            )
        if self.mapping_layers > MOST_LAYERS:
            raise UsageError(f"{self.mapping_layers} mapping layers were given; use 1 to {MOST_LAYERS}, most often 8")
        if self.image_channels not in (1, 3):
            raise UsageError(f"{self.image_channels} image channels were given; use 1 (grey) or 3 (RGB)")

    def channels(self, resolution: int) -> int:
        """Channels of the layers at `resolution` pixels."""
        return max(1, min(self.channel_base // resolution, self.channel_max))

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, ... size."""
        return tuple(2**k for k in range(2, int(math.log2(self.size)) + 1))


def normalize(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Every row scaled to a mean square of one."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


def truncate(
    w: Float[Tensor, "n w"], average: Float[Tensor, " w"], styles: int, psi: float, cutoff: int | None
) -> Float[Tensor, "n styles w"]:
    """w for each of `styles` layers; the first `cutoff` (all when None) moved to average + psi * (w - average)."""
    spread = w[:, None, :].repeat(1, styles, 1)
    if psi == 1:
        return spread
    end = styles if cutoff is None else cutoff
    truncated = average + psi * (spread[:, :end] - average)
    return torch.cat([truncated, spread[:, end:]], dim=1)


class MappingNetwork(nn.Module):
    """z (n, z_dim) -> w (n, w_dim), both roughly unit variance; `w_avg` is the running mean of w.

    With `label_dim` the classes' embedding (n, w_dim), normalised like z, goes in beside it. Without layers, w is
    the normalised input itself. `dense` makes a layer from its inputs and outputs.

    Raises:
        UsageError: no layers, and the input is not as wide as w.
    """

    w_avg: Tensor

    def __init__(
        self,
        z_dim: int,
        w_dim: int,
        layers: int,
        label_dim: int = 0,
        dense: Callable[[int, int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.layers = layers
        inputs = z_dim + (w_dim if label_dim else 0)
        if layers == 0 and inputs != w_dim:
            raise UsageError(f"without mapping layers w is the input, {inputs} wide; w_dim is {w_dim}, use {inputs}")
        self.embed = Dense(label_dim, w_dim) if label_dim else None
        for index in range(layers):
            fan_in = inputs if index == 0 else w_dim
            self.add_module(f"fc{index}", (dense or _dense)(fan_in, w_dim))
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Float[Tensor, "n z"], labels: Float[Tensor, "n k"] | None = None) -> Float[Tensor, "n w"]:
        x = normalize(z.float())
        if self.embed is not None:
            assert labels is not None, "Generator.check_labels comes first"
            x = torch.cat([x, normalize(self.embed(labels.float()))], dim=1)
        for index in range(self.layers):
            x = self.get_submodule(f"fc{index}")(x)
        return x


def _dense(inputs: int, outputs: int) -> Dense:
    return Dense(inputs, outputs, lr_multiplier=0.01, activate=True)


Config = TypeVar("Config", bound=StyleConfig)


class StyleGenerator(Generator, Generic[Config]):
    """A generator with a mapping network and one style a layer."""

    mapping: MappingNetwork

    def __init__(self, config: Config, label_dim: int = 0) -> None:
        super().__init__()
        self.config = config
        self.z_dim, self.w_dim, self.label_dim = config.z_dim, config.w_dim, label_dim
        self.size, self.image_channels = config.size, config.image_channels

    def config_dict(self) -> dict[str, Any]:
        return {"architecture": self.architecture, **asdict(self.config)}

    def map(
        self,
        z: Float[Tensor, "n z"],
        psi: float = 1.0,
        cutoff: int | None = None,
        labels: Float[Tensor, "n k"] | None = None,
    ) -> Float[Tensor, "n styles w"]:
        self.check_labels(labels)
        return truncate(self.mapping(z, labels), self.mapping.w_avg, self.style_count, psi, cutoff)
