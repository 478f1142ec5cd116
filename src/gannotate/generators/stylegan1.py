"""StyleGAN (Karras et al. 2019), written from the paper; grey or RGB, any power-of-two size from 8 pixels.

Every layer ends in noise, leaky ReLU and adaptive instance normalisation (AdaIN, equation 1). Taps are the two a
resolution that DatasetGAN reads, in drawing order:

    b8.conv1    the second convolution's output with its bias, before noise and activation
    b8.style1   after the second AdaIN: what the next block (or the picture) is made of

The public PyTorch files (`*.for_g_all.pt`) hold the same tensors under other names: see `PUBLIC_NAMES`. They hold
neither the average w (a separate file, one row for each of 18 styles, all alike) nor noise maps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.errors import UsageError
from gannotate.generators.base import Drawing, NoiseMode, Tap
from gannotate.generators.ops import LEAKY_SLOPE, Dense, blur_121
from gannotate.generators.style_based import MappingNetwork, StyleConfig, StyleGenerator

PUBLIC_NAMES = {
    r"g_mapping\.dense(\d+)\.(weight|bias)": r"mapping.fc\1.\2",
    r"g_synthesis\.torgb\.(weight|bias)": r"torgb.\1",
    r"g_synthesis\.blocks\.4x4\.const": r"synthesis.b4.conv0.const",
    r"g_synthesis\.blocks\.4x4\.bias": r"synthesis.b4.conv0.bias",
    r"g_synthesis\.blocks\.4x4\.conv\.(weight|bias)": r"synthesis.b4.conv1.\1",
    r"g_synthesis\.blocks\.(\d+)x\1\.conv0_up\.(weight|bias)": r"synthesis.b\1.conv0.\2",
    r"g_synthesis\.blocks\.(\d+)x\1\.conv1\.(weight|bias)": r"synthesis.b\1.conv1.\2",
    r"g_synthesis\.blocks\.(\d+)x\1\.epi1\.top_epi\.noise\.weight": r"synthesis.b\1.conv0.noise_strength",
    r"g_synthesis\.blocks\.(\d+)x\1\.epi2\.top_epi\.noise\.weight": r"synthesis.b\1.conv1.noise_strength",
    r"g_synthesis\.blocks\.(\d+)x\1\.epi1\.style_mod\.lin\.(weight|bias)": r"synthesis.b\1.conv0.affine.\2",
    r"g_synthesis\.blocks\.(\d+)x\1\.epi2\.style_mod\.lin\.(weight|bias)": r"synthesis.b\1.conv1.affine.\2",
}
"""Full match of a tensor's name in a public file -> its name here. Shapes agree, but for the const's leading 1; the
files' `conv0_up.intermediate.kernel` is the fixed filter [1, 2, 1]."""

FUSED_FROM_PX = 128
"""From this output size on, the public networks upscale and convolve in one transposed convolution, which mirrors the
kernel; below, they convolve the enlarged activations."""

NORM_EPSILON = 1e-5
"""Of the instance normalisation in the public PyTorch networks (the first TensorFlow code had 1e-8)."""

HE_GAIN = math.sqrt(2)


@dataclass(frozen=True, kw_only=True)
class StyleGAN1Config(StyleConfig):
    """Shape of a StyleGAN generator."""

    channel_base: int = 16384
    """Channels at resolution r are min(channel_base / r, channel_max)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mapping_layers < 1:
            raise UsageError(f"{self.mapping_layers} mapping layers were given; use 1 or more, most often 8")


class HeDense(Dense):
    """A mapping layer of the first StyleGAN: He's gain on the weights, where its successors scale the activation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, lr_multiplier=0.01, gain=HE_GAIN)

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        return F.leaky_relu(super().forward(x), LEAKY_SLOPE)


def ada_in(x: Float[Tensor, "n c h w"], style: Float[Tensor, "n 2*c"]) -> Float[Tensor, "n c h w"]:
    """AdaIN (equation 1): every map of every picture to mean style[c..2c] and deviation 1 + style[0..c]."""
    scale, shift = style.chunk(2, dim=1)
    variance, mean = torch.var_mean(x, dim=(2, 3), correction=0)
    scale = (scale + 1) * (variance + NORM_EPSILON).rsqrt()
    shift = shift - mean * scale
    return torch.addcmul(shift[:, :, None, None], x, scale[:, :, None, None])


def enlarged_conv(x: Float[Tensor, "n i h w"], weight: Float[Tensor, "o i 3 3"]) -> Float[Tensor, "n o h2 w2"]:
    """Every pixel made a 2x2 block, then a 3x3 convolution with zero padding; from FUSED_FROM_PX on mirrored.

    Both are a transposed convolution with the 4x4 kernel that sums four shifted copies of the 3x3 one: less than half
    the arithmetic of convolving the enlarged activations.
    """
    if x.shape[-1] * 2 < FUSED_FROM_PX:  # a transposed convolution mirrors its kernel
        weight = weight.flip(2, 3)
    padded = F.pad(weight, (1, 1, 1, 1))
    spread = padded[:, :, 1:, 1:] + padded[:, :, 1:, :-1] + padded[:, :, :-1, 1:] + padded[:, :, :-1, :-1]
    return F.conv_transpose2d(x, spread.transpose(0, 1), stride=2, padding=1)


class Epilogue(nn.Module):
    """What a layer ends with: bias, noise, leaky ReLU, AdaIN. Base of the layers that have something before it."""

    noise_const: Tensor

    def __init__(self, outputs: int, w_dim: int, resolution: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(outputs))
        self.affine = Dense(w_dim, 2 * outputs)
        self.register_buffer("noise_const", torch.randn(resolution, resolution))

    def biased(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The layer's raw output: x, which must be the layer's own, with the bias."""
        return x.add_(self.bias.view(1, -1, 1, 1))

    def styled(
        self, x: Float[Tensor, "n c h w"], w: Float[Tensor, "n d"], noise: Tensor | None
    ) -> Float[Tensor, "n c h w"]:
        """Noise, leaky ReLU and AdaIN on the raw output."""
        if noise is None:
            x = F.leaky_relu(x, LEAKY_SLOPE)
        else:  # not in place: x may be a tap
            x = F.leaky_relu_(torch.addcmul(x, self.noise_strength.view(1, -1, 1, 1), noise), LEAKY_SLOPE)
        return ada_in(x, self.affine(w))


class Constant(Epilogue):
    """The first layer: a learned 4x4 map in place of a convolution."""

    def __init__(self, outputs: int, w_dim: int) -> None:
        super().__init__(outputs, w_dim, 4)
        self.const = nn.Parameter(torch.ones(outputs, 4, 4))

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n o 4 4"]:
        """The raw output, as often as x has rows."""
        return self.biased(self.const[None].repeat(len(x), 1, 1, 1)).contiguous(memory_format=torch.channels_last)


class SynthesisLayer(Epilogue):
    """3x3 convolution; with `up` on twice the size, then the blur. Output (n, outputs, resolution, resolution)."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, resolution: int, up: bool) -> None:
        super().__init__(outputs, w_dim, resolution)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.weight_gain = HE_GAIN / math.sqrt(inputs * 9)
        self.up = up

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o h2 w2"]:
        """The raw output."""
        weight = self.weight * self.weight_gain
        if self.up:
            return self.biased(blur_121(enlarged_conv(x, weight)))
        return F.conv2d(x, weight, self.bias, padding=1)


class SynthesisBlock(nn.Module):
    """The two layers of one resolution; conv0 doubles the size (at 4 it is the learned constant)."""

    def __init__(self, config: StyleGAN1Config, resolution: int) -> None:
        super().__init__()
        outputs = config.channels(resolution)
        if resolution == 4:
            self.conv0: Epilogue = Constant(outputs, config.w_dim)
        else:
            inputs = config.channels(resolution // 2)
            self.conv0 = SynthesisLayer(inputs, outputs, config.w_dim, resolution, up=True)
        self.conv1 = SynthesisLayer(outputs, outputs, config.w_dim, resolution, up=False)


class ToRGB(nn.Module):
    """1x1 convolution: the last activations -> picture channels."""

    def __init__(self, inputs: int, image_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(image_channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(image_channels))
        self.weight_gain = 1 / math.sqrt(inputs)

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n c h w"]:
        return F.conv2d(x, self.weight * self.weight_gain, self.bias)


class StyleGAN1(StyleGenerator[StyleGAN1Config]):
    """StyleGAN; the taps are `b4.conv1, b4.style1, b8.conv1, b8.style1, ...` (see the module)."""

    architecture = "stylegan1"

    def __init__(self, config: StyleGAN1Config) -> None:
        super().__init__(config)
        self.mapping = MappingNetwork(config.z_dim, config.w_dim, config.mapping_layers, dense=HeDense)
        self.synthesis = nn.ModuleDict({f"b{r}": SynthesisBlock(config, r) for r in config.resolutions})
        self.torgb = ToRGB(config.channels(config.size), config.image_channels)
        self.taps = tuple(
            Tap(f"b{r}.{name}", config.channels(r), r, r) for r in config.resolutions for name in ("conv1", "style1")
        )
        self.style_count = 2 * len(config.resolutions)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @property
    def noise_shapes(self) -> tuple[tuple[int, int], ...]:
        return tuple((r, r) for r in self.config.resolutions for _ in range(2))

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

        def through(name: str, x: Tensor) -> Tensor:
            x = replace.get(name, x)
            if name in taps:
                kept[name] = x
            return x

        x = w[:, 0]  # the constant only takes its number of pictures from it
        for place, resolution in enumerate(self.config.resolutions):
            block = self._block(resolution)
            first, second = 2 * place, 2 * place + 1
            x = block.conv0.styled(block.conv0(x), w[:, first], maps[first])
            x = through(f"b{resolution}.conv1", block.conv1(x))
            x = through(f"b{resolution}.style1", block.conv1.styled(x, w[:, second], maps[second]))
        return Drawing(self.torgb(x), {name: kept[name] for name in taps})

    def _block(self, resolution: int) -> SynthesisBlock:
        block = self.synthesis[f"b{resolution}"]
        assert isinstance(block, SynthesisBlock)
        return block

    def _stored_noise(self) -> list[Tensor]:
        blocks = [self._block(resolution) for resolution in self.config.resolutions]
        return [layer.noise_const for block in blocks for layer in (block.conv0, block.conv1)]
