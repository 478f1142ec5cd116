"""Filters and the filtered nonlinearity of StyleGAN3 (Karras et al. 2021, section 3, appendix C), in plain PyTorch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gannotate.generators.ops import LEAKY_SLOPE, clamp


def lowpass(taps: int, cutoff: float, width: float, rate: float, radial: bool = False) -> Tensor:
    """A Kaiser-windowed low-pass filter with unit sum, float32 (taps,), or (taps, taps) when `radial`.

    Cutoff frequency, full transition width and sampling rate in cycles per picture side. The separable filter samples
    a sinc; the radial one a jinc, the same frequency response in every direction (appendix C).
    """
    position = torch.arange(taps, dtype=torch.float64, device="cpu") - (taps - 1) / 2
    attenuation = 2.285 * (taps - 1) * math.pi * (width / (rate / 2)) + 7.95  # Kaiser 1974
    window = torch.kaiser_window(
        taps, periodic=False, beta=_kaiser_beta(attenuation), dtype=torch.float64, device="cpu"
    )
    if radial:
        radius = torch.hypot(position[:, None], position[None, :]) / rate
        ideal = torch.special.bessel_j1(2 * math.pi * cutoff * radius) / (math.pi * radius)
        kernel = ideal * torch.outer(window, window)
    else:
        kernel = torch.sinc(2 * cutoff / rate * position) * window
    return (kernel / kernel.sum()).float()


def _kaiser_beta(attenuation: float) -> float:
    """The Kaiser window's shape for a stop band that many decibels down (Kaiser 1974)."""
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21) if attenuation > 21 else 0.0


def enlarge(
    x: Float[Tensor, "n c h w"], kernel: Float[Tensor, " taps"], factor: int, before: int, size: int
) -> Float[Tensor, "n c size size"]:
    """`factor` samples for each: zeros between, `before` zeros in front, then `size` of the filter's whole overlaps."""
    channels, taps = x.shape[1], len(kernel)
    crop = taps - 1 - before  # a transposed convolution gives the partial overlaps at the border too
    # factor: the gain that makes up for the zeros between
    kernel = (kernel * factor).to(x.dtype)
    column = kernel.view(1, 1, -1, 1).repeat(channels, 1, 1, 1)
    x = F.conv_transpose2d(x, column, stride=(factor, 1), groups=channels)[:, :, crop : crop + size]
    row = kernel.view(1, 1, 1, -1).repeat(channels, 1, 1, 1)
    return F.conv_transpose2d(x, row, stride=(1, factor), groups=channels)[:, :, :, crop : crop + size]


def reduce(x: Float[Tensor, "n c h w"], kernel: Tensor, factor: int) -> Float[Tensor, "n c h2 w2"]:
    """The filter (taps,) or (taps, taps) where it overlaps wholly, every `factor`-th sample."""
    channels = x.shape[1]
    kernel = kernel.to(x.dtype)
    if kernel.ndim == 2:
        return F.conv2d(x, kernel.flip(0, 1).repeat(channels, 1, 1, 1), stride=factor, groups=channels)
    kernel = kernel.flip(0)
    x = F.conv2d(x, kernel.view(1, 1, -1, 1).repeat(channels, 1, 1, 1), stride=(factor, 1), groups=channels)
    return F.conv2d(x, kernel.view(1, 1, 1, -1).repeat(channels, 1, 1, 1), stride=(1, factor), groups=channels)


def filtered_leaky(
    x: Float[Tensor, "n c h w"],
    up_kernel: Float[Tensor, " taps"],
    down_kernel: Tensor,
    up: int,
    down: int,
    before: int,
    size: int,
    limit: float | None,
) -> Float[Tensor, "n c size size"]:
    """Leaky ReLU at a higher sampling rate, so that what it adds beyond the band is filtered away (section 3.1).

    x is enlarged by `up`, rectified, clamped to +-`limit`, and reduced by `down` to `size` samples a side.
    """
    between = (size - 1) * down + down_kernel.shape[-1]
    x = enlarge(x, up_kernel, up, before, between)
    x = F.leaky_relu(x, LEAKY_SLOPE) if x.requires_grad else F.leaky_relu_(x, LEAKY_SLOPE)
    return reduce(clamp(x, limit), down_kernel, down)
