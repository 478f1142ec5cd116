"""The layers of StyleGAN2 against slow, obvious references."""

import math

import pytest
import torch
import torch.nn.functional as F

from gannotate.generators import ops


def slow_fir(x: torch.Tensor, up: int, down: int, pad: tuple[int, int], gain: float) -> torch.Tensor:
    """Zeros between the pixels, zero padding, the 4x4 filter as one dense kernel, every `down`-th pixel."""
    n, c, h, w = x.shape
    wide = torch.zeros(n, c, h * up, w * up, dtype=x.dtype)
    wide[:, :, ::up, ::up] = x
    wide = F.pad(wide, (*pad, *pad))
    taps = torch.tensor(ops.FIR, dtype=x.dtype)
    kernel = torch.outer(taps, taps) / taps.sum() ** 2 * gain
    filtered = F.conv2d(wide.reshape(n * c, 1, *wide.shape[2:]), kernel[None, None])
    return filtered.reshape(n, c, *filtered.shape[2:])[:, :, ::down, ::down]


@pytest.fixture
def x():
    return torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_upsample_is_zero_insertion_and_filter(x):
    assert torch.allclose(ops.upsample(x), slow_fir(x, up=2, down=1, pad=(2, 1), gain=4.0))


def test_downsample_is_filter_and_every_second_pixel(x):
    assert torch.allclose(ops.downsample(x), slow_fir(x, up=1, down=2, pad=(1, 1), gain=1.0))


def test_conv_up_is_upsampling_then_convolution(x):
    """In the interior the transposed convolution equals convolving the smoothly upsampled picture."""
    weight = torch.randn(5, 3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    # the transposed convolution spreads the kernel, so as a convolution it is flipped
    slow = F.conv2d(ops.upsample(x), weight.flip(2, 3), padding=1)
    inside = (..., slice(2, -2), slice(2, -2))
    assert torch.allclose(ops.conv_up(x, weight)[inside], slow[inside])


def test_constants_survive_resampling():
    ones = torch.ones(1, 2, 16, 16)
    assert torch.allclose(ops.upsample(ones)[..., 2:-2, 2:-2], torch.ones(1, 2, 28, 28))
    assert torch.allclose(ops.downsample(ones)[..., 1:-1, 1:-1], torch.ones(1, 2, 6, 6))


@pytest.mark.parametrize(
    "operation", [ops.upsample, ops.downsample, lambda x: ops.blur(x, 2), lambda x: ops.blur(x, 1)]
)
def test_first_and_second_derivatives(operation):
    x = torch.randn(1, 2, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(operation, (x,))
    assert torch.autograd.gradgradcheck(lambda t: operation(t).square(), (x,))


@pytest.mark.parametrize("up", [False, True])
def test_modulation_by_scaling_equals_a_weight_per_picture(up):
    """Equations 1-3 of StyleGAN2, written out with a kernel for every picture."""
    torch.manual_seed(0)
    layer = ops.ModulatedConv(4, 6, w_dim=8, kernel=3, up=up).double()
    x, w = torch.randn(3, 4, 8, 8, dtype=torch.float64), torch.randn(3, 8, dtype=torch.float64)
    outputs = []
    for picture, style in zip(x, layer.affine(w), strict=True):
        kernel = layer.weight * style[None, :, None, None]
        kernel = kernel / (kernel.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        outputs.append(ops.conv_up(picture[None], kernel) if up else F.conv2d(picture[None], kernel, padding=1))
    assert torch.allclose(layer(x, w), torch.cat(outputs))


def test_modulated_conv_keeps_unit_variance():
    torch.manual_seed(0)
    layer = ops.ModulatedConv(64, 64, w_dim=16, kernel=3)
    y = layer(torch.randn(8, 64, 16, 16), torch.randn(8, 16))
    assert float(y[..., 1:-1, 1:-1].detach().var()) == pytest.approx(1.0, rel=0.1)


def test_conv_folds_its_activation_gain():
    torch.manual_seed(0)
    layer = ops.Conv(3, 5, 3)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 8, 8)
    plain = F.conv2d(x, layer.weight / math.sqrt(27), layer.bias, padding=1)
    assert torch.allclose(layer(x), ops.leaky(plain), atol=1e-5)


@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_convolution_draws_the_same_with_and_without_derivatives(demodulate):
    """The in-place path of drawing against the one of training; its inputs stay as they were."""
    torch.manual_seed(0)
    x, weight, style = torch.randn(2, 4, 8, 8), torch.randn(6, 4, 3, 3), torch.randn(2, 4)
    kept = x.clone()
    drawn = ops.modulated_conv(x, weight, style, 2.0, demodulate)
    trained = ops.modulated_conv(x.requires_grad_(), weight, style, 2.0, demodulate)
    assert torch.equal(drawn, trained)
    assert torch.equal(x, kept)


def test_clamp_cuts_values_and_their_derivatives():
    x = torch.tensor([-3.0, 0.5, 3.0], requires_grad=True)
    ops.clamp(x, 1.0).sum().backward()
    assert x.grad.tolist() == [0, 1, 0]
    assert ops.clamp(torch.tensor([-3.0, 0.5]), 1.0).tolist() == [-1, 0.5]
    assert ops.clamp(x, None) is x
