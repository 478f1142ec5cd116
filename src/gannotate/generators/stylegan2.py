"""StyleGAN2 (Karras et al. 2020), written from the paper; grey or RGB, any power-of-two size from 8 pixels.

Parameter names follow the public checkpoints (mapping.fc0, synthesis.b4.const, b8.conv0, ...), so that importing one
is a renaming at most: `conv0.weight` and `conv0.affine` of a layer (also conv1, torgb) are `conv0.conv.weight` and
`conv0.conv.affine` here, and the constant resampling filters are not stored. One picture's way: z -> MappingNetwork ->
w+ -> SynthesisBlocks -> picture, with a tap after every convolution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.errors import UsageError
from gannotate.generators.base import Drawing, NoiseMode, Tap
from gannotate.generators.ops import LEAKY_GAIN, LEAKY_SLOPE, ModulatedConv, clamp, upsample
from gannotate.generators.style_based import MappingNetwork, StyleConfig, StyleGenerator

Connections = Literal["skip", "resnet", "orig"]
"""How blocks reach the picture (StyleGAN2, figure 7): skip sums a picture of every resolution, resnet adds each block's
input to its output and draws the picture from the last, orig only draws it from the last."""


@dataclass(frozen=True, kw_only=True)
class StyleGAN2Config(StyleConfig):
    """Shape of a StyleGAN2 generator."""

    size: int = 64
    """Side of the picture in pixels, a power of two."""
    label_dim: int = 0
    """Classes of a class-conditional generator; 0 for none."""
    conv_clamp: float | None = None
    """Activations and pictures are cut off beyond this magnitude: 256 where half precision was used; never if empty."""
    connections: Connections = "skip"
    """How blocks reach the picture: skip (a picture a resolution, summed), resnet, or orig (the last block only)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.connections not in get_args(Connections):
            raise UsageError(f"connections {self.connections!r} is not known; use {', '.join(get_args(Connections))}")


class SynthesisLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU: one tap. Output (n, outputs, resolution, resolution)."""

    noise_const: Tensor

    def __init__(self, inputs: int, outputs: int, config: StyleGAN2Config, resolution: int, up: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, config.w_dim, kernel=3, up=up)
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.clamp = config.conv_clamp

    def forward(
        self, x: Float[Tensor, "n i h w"], w: Float[Tensor, "n d"], noise: Tensor | None
    ) -> Float[Tensor, "n o h2 w2"]:
        # the activation's gain rides on the small tensors: leaky(g x) = g leaky(x)
        # in place: x is this layer's own; one by one: a sum of bias and noise would not be channels-last
        x = self.conv(x, w, gain=LEAKY_GAIN).add_((self.bias * LEAKY_GAIN).view(1, -1, 1, 1))
        if noise is not None:
            x = x.add_(noise * (self.noise_strength * LEAKY_GAIN))
        return clamp(F.leaky_relu_(x, LEAKY_SLOPE), self.clamp)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution without demodulation: activations -> picture channels."""

    def __init__(self, inputs: int, config: StyleGAN2Config) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, config.image_channels, config.w_dim, kernel=1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(config.image_channels))
        self.clamp = config.conv_clamp

    def forward(self, x: Float[Tensor, "n i h w"], w: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        return clamp(self.conv(x, w) + self.bias.view(1, -1, 1, 1), self.clamp)


class Residual(nn.Module):
    """The connection past a block of twice the size: 1x1 convolution, then upsampling."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.weight_gain = 1 / math.sqrt(inputs)

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o h2 w2"]:
        return upsample(F.conv2d(x, self.weight * self.weight_gain))


class SynthesisBlock(nn.Module):
    """All layers of one resolution: conv0 (doubles the size; absent at 4), conv1, torgb, and skip in a resnet."""

    def __init__(self, config: StyleGAN2Config, resolution: int) -> None:
        super().__init__()
        outputs = config.channels(resolution)
        self.resolution = resolution
        if resolution == 4:
            self.const = nn.Parameter(torch.randn(outputs, 4, 4))
        else:
            inputs = config.channels(resolution // 2)
            self.conv0 = SynthesisLayer(inputs, outputs, config, resolution, up=True)
        self.conv1 = SynthesisLayer(outputs, outputs, config, resolution, up=False)
        past = config.connections == "resnet" and resolution > 4
        self.skip = Residual(config.channels(resolution // 2), outputs) if past else None
        draws = config.connections == "skip" or resolution == config.size
        self.torgb = ToRGB(outputs, config) if draws else None

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of this block's convolutions in drawing order."""
        return ("conv1",) if self.resolution == 4 else ("conv0", "conv1")

    def residual(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o h2 w2"] | None:
        """What a resnet adds to this block's output; None in other wirings and in the first block."""
        return None if self.skip is None else self.skip(x)

    def picture(self, x: Float[Tensor, "n o h w"], w: Float[Tensor, "n d"], previous: Tensor | None) -> Tensor | None:
        """The picture so far: `previous` at twice its size plus this block's share, where it has one."""
        if self.torgb is None:
            return previous
        part = self.torgb(x, w)
        return part if previous is None else upsample(previous) + part


class StyleGAN2(StyleGenerator[StyleGAN2Config]):
    """StyleGAN2; the taps are `b4.conv1, b8.conv0, b8.conv1, ...`, each after its activation.

    In a resnet the taps `conv1` are read after the residual is added, as the next block sees them.
    """

    architecture = "stylegan2"

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__(config, config.label_dim)
        self.mapping = MappingNetwork(config.z_dim, config.w_dim, config.mapping_layers, config.label_dim)
        self.synthesis = nn.ModuleDict({f"b{r}": SynthesisBlock(config, r) for r in config.resolutions})
        self.taps = tuple(
            Tap(f"b{r}.{name}", config.channels(r), r, r)
            for r in config.resolutions
            for name in self._block(r).layer_names
        )
        self.style_count = len(self.taps) + 1
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @property
    def noise_shapes(self) -> tuple[tuple[int, int], ...]:
        return tuple((tap.height, tap.width) for tap in self.taps)

    def synthesize(
        self,
        w: Float[Tensor, "n styles w"],
        noise: NoiseMode | Sequence[Float[Tensor, "n 1 h w"]] = "const",
        taps: Sequence[str] = (),
        replace: Mapping[str, Float[Tensor, "n k h w"]] | None = None,
    ) -> Drawing:
        replace = replace or {}
        for name in (*taps, *replace):
            self.tap(name)
        maps = self.noise_maps(noise, self._stored_noise())
        kept: dict[str, Tensor] = {}
        x = self._block(4).const[None].repeat(len(w), 1, 1, 1).to(memory_format=torch.channels_last)
        picture: Tensor | None = None
        layer = 0
        for resolution in self.config.resolutions:
            block = self._block(resolution)
            residual = block.residual(x)
            for name in block.layer_names:
                tap = f"b{resolution}.{name}"
                if tap in replace:
                    x = replace[tap]
                else:
                    x = block.get_submodule(name)(x, w[:, layer], maps[layer])
                    if residual is not None and name == "conv1":
                        x = (x + residual) * math.sqrt(0.5)
                if tap in taps:
                    kept[tap] = x
                layer += 1
            # torgb shares its style with the next block's first convolution
            picture = block.picture(x, w[:, layer], picture)
        assert picture is not None
        return Drawing(picture, {name: kept[name] for name in taps})

    def _block(self, resolution: int) -> SynthesisBlock:
        block = self.synthesis[f"b{resolution}"]
        assert isinstance(block, SynthesisBlock)
        return block

    def _stored_noise(self) -> list[Tensor]:
        layers = [self._block(tap.height).get_submodule(tap.name.split(".")[1]) for tap in self.taps]
        return [layer.noise_const for layer in layers]  # pyright: ignore[reportReturnType]
