"""The papers' own ways that ours are set beside: weights modulated for each picture, and features as one stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gannotate.decoders.base import Decoder
from gannotate.decoders.cnn import SLOPE, CNNDecoder
from gannotate.decoders.ensemble import EnsembleDecoder
from gannotate.decoders.mlp import MLPDecoder
from gannotate.decoders.pointwise import PointwiseDecoder
from gannotate.features.projection import ProjectedLinear
from gannotate.features.stack import stack
from gannotate.generators import ops
from gannotate.generators.adversarial.presets import preset

Run = Callable[[Mapping[str, Tensor]], Tensor]


def modulate_each() -> None:
    """From now on this process's generators modulate weights for each picture, as StyleGAN2's code does it to draw."""
    ops.modulated_conv = modulated_each


def modulated_each(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    gain: float | Tensor = 1.0,
    demodulate: bool = True,
    up: bool = False,
    padding: int | None = None,
) -> Tensor:
    """StyleGAN2, equations 1-3, as written: a weight tensor per picture, and one convolution in as many groups.

    Arguments and result are those of `ops.modulated_conv`.
    """
    count, inputs, height, width = x.shape
    outputs, _, kernel, _ = weight.shape
    each = weight[None] * style[:, None, :, None, None]
    if demodulate:
        each = each * (each.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    each, x = each * gain, x.reshape(1, count * inputs, height, width)
    if up:
        turned = each.transpose(1, 2).reshape(count * inputs, outputs, kernel, kernel)
        y = F.conv_transpose2d(x, turned, stride=2, groups=count)
        y = ops.blur(y, 1, gain=4.0)
    else:
        flat = each.reshape(count * outputs, inputs, kernel, kernel)
        y = F.conv2d(x, flat, padding=kernel // 2 if padding is None else padding, groups=count)
    return y.reshape(count, outputs, *y.shape[2:])


def stack_mb(name: str, size: int, bytes_each: int = 4) -> float:
    """Megabytes of all taps of one picture at picture size, for a preset's generator."""
    network = preset(name, size, 3).network
    channels = sum(network.channels(side) * (1 if side == 4 else 2) for side in network.resolutions)
    return channels * size**2 * bytes_each / 1e6


def naive(decoder: Decoder) -> Run:
    """The decoder's network on the stack of all taps at picture size.

    The CNN runs on all of it, pixel networks on its pixels as one array, an ensemble's members one after the other.
    """
    if isinstance(decoder, CNNDecoder):
        return lambda taps: cnn_on(decoder, _stack(decoder, taps))
    if isinstance(decoder, EnsembleDecoder):
        members = [pixel_network(decoder.member(index)) for index in range(decoder.config.members)]
        return lambda taps: _mean_log(members, _pixels(decoder, taps))
    assert isinstance(decoder, PointwiseDecoder)
    network = pixel_network(decoder)
    return lambda taps: _as_map(network(_pixels(decoder, taps)))


def cnn_on(decoder: CNNDecoder, features: Tensor) -> Tensor:
    """The CNN's layers on a stack: a 1x1 convolution, then the decoder's own."""
    first = decoder.first
    assert isinstance(first, ProjectedLinear)
    x = F.conv2d(features, first.stacked_weight()[:, :, None, None], first.stacked_bias())
    for conv in decoder.convs:
        x = conv(F.leaky_relu(x, SLOPE))
    return x


def pixels_on(decoder: PointwiseDecoder, features: Tensor) -> Tensor:
    """A pixel network on an array of feature vectors."""
    tail = decoder.layers if isinstance(decoder, MLPDecoder) else nn.Identity()
    return tail(F.linear(features, decoder.first.stacked_weight(), decoder.first.stacked_bias()))


def pixel_network(decoder: PointwiseDecoder) -> Callable[[Tensor], Tensor]:
    """A pixel network on an array of feature vectors, 64 k at a time."""
    return lambda pixels: torch.cat([pixels_on(decoder, some) for some in pixels.split(2**16)])


def _stack(decoder: CNNDecoder | PointwiseDecoder, taps: Mapping[str, Tensor]) -> Tensor:
    first = decoder.first
    assert isinstance(first, ProjectedLinear)
    return stack(taps, first.taps, first.size, first.interpolation)


def _pixels(decoder: PointwiseDecoder, taps: Mapping[str, Tensor]) -> Tensor:
    return _stack(decoder, taps).permute(0, 2, 3, 1).reshape(-1, decoder.channels)


def _mean_log(members: list[Callable[[Tensor], Tensor]], pixels: Tensor) -> Tensor:
    return _as_map(torch.stack([member(pixels).softmax(dim=1) for member in members]).mean(dim=0).log())


def _as_map(pixels: Tensor) -> Tensor:
    side = round(len(pixels) ** 0.5)
    return pixels.view(1, side, side, -1).permute(0, 3, 1, 2)


def learn(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down the loss."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
