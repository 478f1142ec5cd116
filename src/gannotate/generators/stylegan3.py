"""StyleGAN3-t and -r (Karras et al. 2021), written from the paper; grey or RGB, any power-of-two size from 16 pixels.

Fourier features go through layers that treat their maps as samples of a band-limited signal on a canvas somewhat
larger than the picture, so that details move with what they belong to. Parameter names are those of the public
checkpoints (synthesis.input.freqs, synthesis.L0_36_512.affine.weight, ...), filters included.

The taps are the layers' outputs but for the last, the picture. Each is read without the canvas' margin, so that it
lines up with the picture; `replace` puts what it is given in the middle of the activation that was drawn, whose margin
stays. There is no noise: every noise mode draws the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.errors import UsageError
from gannotate.generators.alias_free import filtered_leaky, lowpass
from gannotate.generators.base import Drawing, NoiseMode, Tap
from gannotate.generators.ops import LEAKY_GAIN, Dense, clamp, modulated_conv
from gannotate.generators.style_based import MOST_LAYERS, MappingNetwork, StyleConfig, StyleGenerator

FILTER_SIZE = 6
"""Taps of a filter for each sample at the lower of its two rates."""
OVERSAMPLING = 2
"""The nonlinearity's sampling rate, relative to the higher of the layer's two."""


@dataclass(frozen=True, kw_only=True)
class StyleGAN3Config(StyleConfig):
    """Shape of a StyleGAN3 generator. Frequencies are in cycles per picture side."""

    SMALLEST_PX: ClassVar[int] = 16

    mapping_layers: int = 2
    """Dense layers from z to w."""
    label_dim: int = 0
    """Classes of a class-conditional generator; 0 for none."""
    kernel: int = 3
    """Side of the convolutions: 3 (StyleGAN3-t) or 1 (-r)."""
    radial: bool = False
    """Down-sampling filters without a preferred direction (StyleGAN3-r); critically sampled layers keep theirs."""
    conv_clamp: float | None = 256.0
    """Activations and pictures are cut off beyond this magnitude; not when empty."""
    layers: int = 14
    """Layers between the Fourier features and the picture's."""
    critical_layers: int = 2
    """Last layers that use the whole band that their sampling rate can hold."""
    first_cutoff: float = 2.0
    """Cutoff frequency of the first layer."""
    first_stopband: float = 2**2.1
    """Lowest stop-band frequency of the first layer."""
    last_stopband: float = 2**0.3
    """Lowest stop-band frequency of the last layer, relative to its cutoff."""
    margin: int = 10
    """Samples of the canvas beyond each side of the picture."""
    output_scale: float = 0.25
    """The last layer's output times this is the picture."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel not in (1, 3):
            raise UsageError(f"a kernel of {self.kernel} was given; use 3 (StyleGAN3-t) or 1 (StyleGAN3-r)")
        if self.layers > MOST_LAYERS:
            raise UsageError(f"{self.layers} layers were given; use {MOST_LAYERS} at most, most often 14")
        if not 1 <= self.critical_layers < self.layers:
            raise UsageError(f"{self.critical_layers} of {self.layers} layers are critical; use 1 to {self.layers - 1}")

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """What each layer puts out, the picture's last (section 3.2: cutoffs and stop bands grow geometrically)."""
        return tuple(self._band(index) for index in range(self.layers + 1))

    def _band(self, index: int) -> Band:
        part = min(index / (self.layers - self.critical_layers), 1.0)
        last = self.size / 2
        cutoff = self.first_cutoff * (last / self.first_cutoff) ** part
        stopband = self.first_stopband * (last * self.last_stopband / self.first_stopband) ** part
        rate = 2 ** math.ceil(math.log2(min(2 * stopband, self.size)))
        whole = index >= self.layers - 1  # the last two layers draw the picture only
        channels = round(min(self.channel_base / 2 / cutoff, self.channel_max))
        return Band(
            cutoff=cutoff,
            half_width=max(stopband, rate / 2) - cutoff,
            rate=rate,
            size=self.size if whole else rate + 2 * self.margin,
            channels=self.image_channels if index == self.layers else channels,
        )


@dataclass(frozen=True, kw_only=True)
class Band:
    """A layer's output as a sampled signal."""

    cutoff: float
    """Highest frequency that passes whole."""
    half_width: float
    """Half of the transition to what is filtered out."""
    rate: int
    """Samples per picture side."""
    size: int
    """Samples per side of the canvas."""
    channels: int
    """Feature maps."""

    @property
    def margin(self) -> int:
        """Samples of the canvas beyond each side of the picture."""
        return (self.size - self.rate) // 2


class FourierInput(nn.Module):
    """w -> sines of fixed random frequencies, turned and shifted as w says, then mixed (section 3.2, figure 4)."""

    transform: Tensor
    freqs: Tensor
    phases: Tensor

    def __init__(self, w_dim: int, band: Band) -> None:
        super().__init__()
        self.band = band
        self.weight = nn.Parameter(torch.randn(band.channels, band.channels))
        self.affine = Dense(w_dim, 4)
        with torch.no_grad():  # no turn, no shift
            self.affine.weight.zero_()
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        # an exponent of 1/4 makes directions and radii of a normal draw nearly uniform over the disc
        direction = torch.randn(band.channels, 2)
        square = direction.square().sum(dim=1, keepdim=True)
        self.register_buffer("freqs", direction / (square.sqrt() * square.exp().pow(0.25)) * band.cutoff)
        self.register_buffer("phases", torch.rand(band.channels) - 0.5)
        self.register_buffer("transform", torch.eye(3))

    def forward(self, w: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        freqs, phases = self._moved(w)
        # frequencies that a user's transform pushes out of the band fade away up to the sampling limit
        room = self.band.rate / 2 - self.band.cutoff
        amplitude = (1 - (freqs.norm(dim=2) - self.band.cutoff) / room).clamp(0, 1)
        side = self.band.size
        place = (torch.arange(side, device=w.device, dtype=w.dtype) + 0.5 - side / 2) / self.band.rate
        # x varies along the row, y down the column: a wave's angle at (y, x) is the sum of the two
        angle_x = freqs[:, :, 0, None] * place
        angle_y = freqs[:, :, 1, None] * place + phases[:, :, None]
        wave = torch.sin(2 * math.pi * (angle_y[..., :, None] + angle_x[..., None, :]))
        mix = self.weight / math.sqrt(self.band.channels) * amplitude[:, None, :]
        # the depthwise filters of the layers are several times faster channels-last
        return torch.einsum("noc,nchw->nohw", mix, wave).contiguous(memory_format=torch.channels_last)

    def _moved(self, w: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n c 2"], Float[Tensor, "n c"]]:
        """Frequencies and phases after w's rotation and translation, then the fixed `transform` (appendix F)."""
        affine = self.affine(w)
        cosine, sine, x, y = (affine / affine[:, :2].norm(dim=1, keepdim=True)).unbind(dim=1)
        turn = torch.stack([torch.stack([cosine, -sine], dim=1), torch.stack([sine, cosine], dim=1)], dim=1)
        inner, shift = self.transform[:2, :2], self.transform[:2, 2]
        turned = self.freqs @ turn
        offset = shift - torch.stack([x, y], dim=1)
        return turned @ inner, self.phases + (turned @ offset[:, :, None]).squeeze(2)


class SynthesisLayer(nn.Module):
    """Modulated convolution, bias and the filtered leaky ReLU, from one band to the next."""

    magnitude_ema: Tensor
    up_filter: Tensor
    down_filter: Tensor

    def __init__(self, config: StyleGAN3Config, source: Band, target: Band, critical: bool) -> None:
        super().__init__()
        self.source, self.target, self.clamp = source, target, config.conv_clamp
        kernel = config.kernel
        self.affine = Dense(config.w_dim, source.channels, bias=1.0)
        self.weight = nn.Parameter(torch.randn(target.channels, source.channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(target.channels))
        self.register_buffer("magnitude_ema", torch.ones([]))
        rate = max(source.rate, target.rate) * OVERSAMPLING
        self.up, self.down = rate // source.rate, rate // target.rate
        up_taps, down_taps = FILTER_SIZE * self.up, FILTER_SIZE * self.down
        self.register_buffer("up_filter", lowpass(up_taps, source.cutoff, 2 * source.half_width, rate))
        radial = config.radial and not critical
        self.register_buffer("down_filter", lowpass(down_taps, target.cutoff, 2 * target.half_width, rate, radial))
        # zeros around the enlarged maps, such that both filters leave `target.size` samples about the same centre
        padding = (target.size - 1) * self.down + 1 - (source.size + kernel - 1) * self.up + up_taps + down_taps - 2
        self.before = (padding + self.up) // 2

    def forward(self, x: Float[Tensor, "n i h w"], w: Float[Tensor, "n d"]) -> Float[Tensor, "n o h2 w2"]:
        # the activation's gain rides on the small tensors: leaky(g x) = g leaky(x)
        gain = self.magnitude_ema.rsqrt() * LEAKY_GAIN
        x = modulated_conv(x, self.weight, self.affine(w), gain, padding=self.weight.shape[-1] - 1)
        x = x.add_((self.bias * LEAKY_GAIN).view(1, -1, 1, 1))
        return filtered_leaky(
            x, self.up_filter, self.down_filter, self.up, self.down, self.before, self.target.size, self.clamp
        )


class ToRGB(nn.Module):
    """Modulated 1x1 convolution without demodulation and without a nonlinearity: activations -> picture channels."""

    magnitude_ema: Tensor

    def __init__(self, config: StyleGAN3Config, source: Band) -> None:
        super().__init__()
        self.affine = Dense(config.w_dim, source.channels, bias=1.0)
        self.weight = nn.Parameter(torch.randn(config.image_channels, source.channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(config.image_channels))
        self.register_buffer("magnitude_ema", torch.ones([]))
        self.weight_gain = 1 / math.sqrt(source.channels)
        self.clamp = config.conv_clamp

    def forward(self, x: Float[Tensor, "n i h w"], w: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        gain = self.magnitude_ema.rsqrt() * self.weight_gain
        x = modulated_conv(x, self.weight, self.affine(w), gain, demodulate=False)
        return clamp(x + self.bias.view(1, -1, 1, 1), self.clamp)


class StyleGAN3(StyleGenerator[StyleGAN3Config]):
    """StyleGAN3; the taps are `L0_36_512, L1_36_512, ...` (layer, side of its canvas, channels), without the margin."""

    architecture = "stylegan3"

    def __init__(self, config: StyleGAN3Config) -> None:
        super().__init__(config, config.label_dim)
        self.mapping = MappingNetwork(config.z_dim, config.w_dim, config.mapping_layers, config.label_dim)
        bands = config.bands
        names = [f"L{index}_{band.size}_{band.channels}" for index, band in enumerate(bands)]
        self.synthesis = nn.ModuleDict({"input": FourierInput(config.w_dim, bands[0])})
        for index, name in enumerate(names[:-1]):
            critical = index >= config.layers - config.critical_layers
            self.synthesis[name] = SynthesisLayer(config, bands[max(index - 1, 0)], bands[index], critical)
        self.synthesis[names[-1]] = ToRGB(config, bands[-2])
        self.torgb_name = names[-1]
        self.taps = tuple(
            Tap(name, band.channels, band.rate, band.rate) for name, band in zip(names[:-1], bands[:-1], strict=True)
        )
        self.style_count = len(bands) + 1
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @property
    def noise_shapes(self) -> tuple[tuple[int, int], ...]:
        return ()

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
        self.noise_maps(noise, ())  # there are none to take
        kept: dict[str, Tensor] = {}
        x = self.synthesis["input"](w[:, 0])
        for index, (tap, band) in enumerate(zip(self.taps, self.config.bands, strict=False), start=1):
            x = self.synthesis[tap.name](x, w[:, index])
            if tap.name in replace:
                x = _with_centre(x, replace[tap.name], band.margin)
            if tap.name in taps:
                kept[tap.name] = _centre(x, band.margin)
        picture = self.synthesis[self.torgb_name](x, w[:, -1]) * self.config.output_scale
        return Drawing(picture, {name: kept[name] for name in taps})


def _centre(x: Float[Tensor, "n c h w"], margin: int) -> Float[Tensor, "n c h2 w2"]:
    """x without `margin` samples on every side."""
    return x[:, :, margin : x.shape[2] - margin, margin : x.shape[3] - margin]


def _with_centre(
    x: Float[Tensor, "n c h w"], centre: Float[Tensor, "n c h2 w2"], margin: int
) -> Float[Tensor, "n c h w"]:
    """x with all but `margin` samples on every side replaced by `centre`."""
    inside = torch.zeros_like(x[:1, :1])
    _centre(inside, margin).fill_(1)
    return torch.where(inside.bool(), F.pad(centre.to(x), (margin,) * 4), x)
