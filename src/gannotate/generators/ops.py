"""The layers that StyleGAN2 is made of (Karras et al. 2019, 2020), in plain differentiable PyTorch.

Everything here may be differentiated twice (R1 and path length need it) and runs channels-last on a CPU.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

FIR = (1.0, 3.0, 3.0, 1.0)
"""The resampling filter of StyleGAN2, before normalisation."""


LEAKY_SLOPE = 0.2
LEAKY_GAIN = math.sqrt(2)
"""Applied with every leaky ReLU, so that unit variance stays about unit variance."""


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.2, scaled by sqrt(2)."""
    return F.leaky_relu(x, LEAKY_SLOPE) * LEAKY_GAIN


@lru_cache(maxsize=256)
def _fir_pair(channels: int, gain: float, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    # inference_mode(False): a kernel first made while drawing must stay usable while training
    with torch.inference_mode(False), torch.no_grad():
        taps = torch.tensor(FIR, dtype=torch.float64)
        taps = (taps / taps.sum() * math.sqrt(gain)).to(dtype=dtype, device=device)
        return (
            taps.view(1, 1, 4, 1).repeat(channels, 1, 1, 1),
            taps.view(1, 1, 1, 4).repeat(channels, 1, 1, 1),
        )


class _Fir(torch.autograd.Function):
    """Zero pad by `pad`, filter with the separable FIR, keep every `stride`-th pixel.

    Its own Function because PyTorch's second derivative of a grouped convolution walks the groups one by one; the
    adjoint of this is `_FirAdjoint`, whose adjoint is this again, so any order of derivative stays fast.
    """

    @staticmethod
    def forward(ctx, x: Tensor, gain: float, stride: int, pad: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.settings = (gain, stride, pad, x.shape[-1])
        channels = x.shape[1]
        column, row = _fir_pair(channels, gain, x.dtype, x.device)
        x = F.conv2d(x, column, stride=(stride, 1), padding=(pad, 0), groups=channels)
        return F.conv2d(x, row, stride=(1, stride), padding=(0, pad), groups=channels)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        return _FirAdjoint.apply(gradient, *ctx.settings), None, None, None


class _FirAdjoint(torch.autograd.Function):
    """The transpose of `_Fir`: zeros between the pixels, filter, crop to `side`."""

    @staticmethod
    def forward(ctx, x: Tensor, gain: float, stride: int, pad: int, side: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.settings = (gain, stride, pad)
        channels = x.shape[1]
        column, row = _fir_pair(channels, gain, x.dtype, x.device)
        extra = side - ((x.shape[-1] - 1) * stride - 2 * pad + 4)
        x = F.conv_transpose2d(x, row, stride=(1, stride), padding=(0, pad), output_padding=(0, extra), groups=channels)
        return F.conv_transpose2d(
            x, column, stride=(stride, 1), padding=(pad, 0), output_padding=(extra, 0), groups=channels
        )

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        return _Fir.apply(gradient, *ctx.settings), None, None, None, None


def blur(x: Float[Tensor, "n c h w"], pad: int, gain: float = 1.0) -> Float[Tensor, "n c h2 w2"]:
    """Filters with the separable FIR after zero padding by `pad` on every side: size + 2 * pad - 3."""
    return _Fir.apply(x, gain, 1, pad)  # pyright: ignore[reportReturnType]


def upsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Doubles the size: zeros between the pixels, then the FIR with gain 4."""
    return _FirAdjoint.apply(x, 4.0, 2, 1, x.shape[-1] * 2)  # pyright: ignore[reportReturnType]


def downsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Halves the size: the FIR, then every second pixel."""
    return _Fir.apply(x, 1.0, 2, 1)  # pyright: ignore[reportReturnType]


def blur_121(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """The blur of StyleGAN (1): [1, 2, 1] / 4 along both axes, zeros beyond the border."""
    channels = x.shape[1]
    taps = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device)
    x = F.conv2d(x, taps.view(1, 1, 3, 1).repeat(channels, 1, 1, 1), padding=(1, 0), groups=channels)
    return F.conv2d(x, taps.view(1, 1, 1, 3).repeat(channels, 1, 1, 1), padding=(0, 1), groups=channels)


def conv_up(x: Float[Tensor, "n i h w"], weight: Float[Tensor, "o i 3 3"]) -> Float[Tensor, "n o h2 w2"]:
    """Doubles the size with a 3x3 kernel, then smooths (StyleGAN2, appendix B).

    A transposed convolution costs a quarter of upsampling first and convolving at the larger size.
    """
    x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    return blur(x, 1, gain=4.0)


def conv_down(
    x: Float[Tensor, "n i h w"], weight: Float[Tensor, "o i 3 3"], bias: Float[Tensor, " o"] | None = None
) -> Float[Tensor, "n o h2 w2"]:
    """Smooths, then halves the size with a 3x3 kernel."""
    return F.conv2d(blur(x, 2), weight, bias, stride=2)


class Dense(nn.Module):
    """Fully connected layer with equalised learning rate: weights are stored as N(0, 1) / lr_multiplier.

    Input (n, inputs), output (n, outputs); `activate` adds the leaky ReLU, `gain` multiplies the weights.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bias: float = 0.0,
        lr_multiplier: float = 1.0,
        activate: bool = False,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), float(bias)))
        self.weight_gain = gain * lr_multiplier / math.sqrt(inputs)
        self.bias_gain = lr_multiplier
        self.activate = activate

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        y = F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)
        return leaky(y) if self.activate else y


class Conv(nn.Module):
    """Convolution with equalised learning rate, as the discriminator uses it.

    Input (n, inputs, h, w). `down` halves the size (FIR first); `activate` adds bias and leaky ReLU, without it the
    layer has a bias only when `bias` is set.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        down: bool = False,
        activate: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.weight_gain = 1 / math.sqrt(inputs * kernel * kernel)
        self.kernel, self.down, self.activate = kernel, down, activate

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o h2 w2"]:
        # leaky(sqrt(2) x) = sqrt(2) leaky(x): the gain rides on the small tensors instead of the big one
        gain = LEAKY_GAIN if self.activate else 1.0
        weight = self.weight * (self.weight_gain * gain)
        bias = None if self.bias is None else self.bias * gain
        if self.down and self.kernel == 1:
            x = F.conv2d(downsample(x), weight, bias)
        elif self.down:
            x = conv_down(x, weight, bias)
        else:
            x = F.conv2d(x, weight, bias, padding=self.kernel // 2)
        # in place: the convolution's backward pass does not need its own output
        return F.leaky_relu_(x, LEAKY_SLOPE) if self.activate else x


def modulated_conv(
    x: Float[Tensor, "n i h w"],
    weight: Float[Tensor, "o i k k"],
    style: Float[Tensor, "n i"],
    gain: float | Tensor = 1.0,
    demodulate: bool = True,
    up: bool = False,
    padding: int | None = None,
) -> Float[Tensor, "n o h2 w2"]:
    """Style-modulated convolution (StyleGAN2, equations 1-3), without a weight tensor per picture.

    Scaling the input channels by the style, one convolution shared by the batch, and scaling the output channels by
    the demodulation factor is the same arithmetic as modulating the weights, and fast on every device. `gain`
    multiplies the output, at no cost; `padding` is half the kernel when not given.
    """
    if not demodulate:
        style = style * gain
    x = x * style[:, :, None, None].to(x.dtype)
    padding = weight.shape[-1] // 2 if padding is None else padding
    x = conv_up(x, weight) if up else F.conv2d(x, weight, padding=padding)
    if not demodulate:
        return x
    energy = style.square() @ weight.square().sum(dim=(2, 3)).t()
    factor = (gain * (energy + 1e-8).rsqrt())[:, :, None, None].to(x.dtype)
    # without a backward pass in place: large new tensors cost more than the arithmetic
    return x * factor if x.requires_grad or factor.requires_grad else x.mul_(factor)


class ModulatedConv(nn.Module):
    """`modulated_conv` with its weights and the affine layer that turns w into a style.

    Input x (n, inputs, h, w), style w (n, w_dim); output (n, outputs, h, w), twice the size with `up`.
    """

    def __init__(
        self, inputs: int, outputs: int, w_dim: int, kernel: int, up: bool = False, demodulate: bool = True
    ) -> None:
        super().__init__()
        self.affine = Dense(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.up, self.demodulate = up, demodulate
        self.weight_gain = 1 / math.sqrt(inputs * kernel * kernel)

    def forward(
        self, x: Float[Tensor, "n i h w"], w: Float[Tensor, "n d"], gain: float = 1.0
    ) -> Float[Tensor, "n o h2 w2"]:
        """`gain` multiplies the output, at no cost."""
        if not self.demodulate:  # ToRGB: the equalised gain, which demodulation would cancel
            gain = gain * self.weight_gain
        return modulated_conv(x, self.weight, self.affine(w), gain, self.demodulate, self.up)


def clamp(x: Tensor, limit: float | None) -> Tensor:
    """Values beyond +-`limit` cut off, as half-precision training does; in place where no derivative is asked for."""
    if limit is None:
        return x
    return x.clamp(-limit, limit) if x.requires_grad else x.clamp_(-limit, limit)
