"""The dilated CNN and the feature pyramid: equal to the papers' layers in plain torch."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gannotate.decoders.cnn import SLOPE, CNNConfig, CNNDecoder, Variant
from gannotate.decoders.fpn import FPNConfig, FPNDecoder
from gannotate.errors import UsageError
from gannotate.features.interpolation import Interpolation
from gannotate.features.projection import ProjectedConv, ProjectedLinear
from gannotate.features.stack import stack
from gannotate.generators.stylegan2 import StyleGAN2

INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
Taps = dict[str, Tensor]


def naive_cnn(decoder: CNNDecoder) -> nn.Sequential:
    """The paper's (or notebook's) layers on the stack, with the decoder's weights."""
    if isinstance(decoder.first, ProjectedConv):
        weight, bias = decoder.first.stacked_weight(), decoder.first.bias
    else:
        weight, bias = decoder.first.stacked_weight()[:, :, None, None], decoder.first.stacked_bias()
    assert bias is not None
    kernel = weight.shape[-1]
    first = nn.Conv2d(weight.shape[1], weight.shape[0], kernel, padding=kernel // 2)
    first.load_state_dict({"weight": weight, "bias": bias})
    layers: list[nn.Module] = [first]
    for conv in decoder.convs:
        layers += [nn.LeakyReLU(SLOPE), conv]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("variant", get_args(Variant))
def test_cnn_is_the_papers_layers_on_the_stack(
    generator: StyleGAN2, taps: Taps, interpolation: Interpolation, variant: Variant
) -> None:
    decoder = CNNDecoder.of_generator(generator, 3, CNNConfig(interpolation=interpolation, variant=variant))
    naive = naive_cnn(decoder)(stack(taps, decoder.taps, 16, interpolation))
    torch.testing.assert_close(decoder(taps), naive, atol=1e-5, rtol=1e-4)


def test_cnn_on_the_largest_taps_grid(generator: StyleGAN2, taps: Taps) -> None:
    decoder = CNNDecoder.of_generator(generator, 3, CNNConfig(grid="largest"))
    assert max(tap.height for tap in decoder.taps) == 8
    naive = naive_cnn(decoder)(stack(taps, decoder.taps, 8))
    naive = F.interpolate(naive, (16, 16), mode="bilinear")
    torch.testing.assert_close(decoder(taps), naive, atol=1e-5, rtol=1e-4)


def test_cnn_is_as_deep_as_the_papers(generator: StyleGAN2) -> None:
    def shape_of(variant: Variant) -> list[tuple[int, int]]:
        convs = CNNDecoder.of_generator(generator, 7, CNNConfig(variant=variant)).convs
        return [(conv.dilation[0], conv.out_channels) for conv in convs if isinstance(conv, nn.Conv2d)]

    assert shape_of("paper") == [(2, 64), (4, 64), (8, 64), (1, 64), (2, 64), (4, 64), (8, 32), (1, 7)]
    assert shape_of("S") == [(2, 64), (1, 64), (2, 32), (1, 7)]
    assert shape_of("M") == [(2, 64), (4, 64), (1, 64), (2, 64), (4, 32), (1, 7)]
    assert shape_of("L") == shape_of("paper")


def test_a_3x3_convolution_on_the_stack_goes_in_and_comes_out(generator: StyleGAN2, taps: Taps) -> None:
    layer = ProjectedConv(generator.taps, 5, 16)
    weight, bias = torch.randn(5, layer.channels, 3, 3), torch.randn(5)
    layer.from_stacked(weight, bias)
    assert torch.equal(layer.stacked_weight(), weight)
    naive = F.conv2d(stack(taps, generator.taps, 16), weight, bias, padding=1)
    torch.testing.assert_close(layer(taps), naive, atol=1e-4, rtol=1e-4)


class NaivePyramid(nn.Module):
    """Laterals as convolutions with a bias each, upsampled and added from coarse to fine."""

    def __init__(self, decoder: FPNDecoder) -> None:
        super().__init__()
        self.names = decoder.tap_names
        self.laterals, self.head = nn.ModuleList(), decoder.head
        assert decoder.first.bias is not None
        for tap, bias in zip(decoder.taps, decoder.first.bias, strict=True):
            lateral = nn.Conv2d(tap.channels, len(bias), 1)
            block = decoder.first.blocks[tap.name.replace(".", "_")]
            lateral.load_state_dict({"weight": block[:, :, None, None], "bias": bias})
            self.laterals.append(lateral)

    def forward(self, taps: Taps) -> Tensor:
        x: Tensor | None = None
        for name, lateral in zip(self.names, self.laterals, strict=True):
            y = lateral(taps[name])
            if x is not None:
                y = y + F.interpolate(x, y.shape[-2:], mode="bilinear", align_corners=False)
            x = y
        return self.head(x)


@pytest.mark.parametrize("training", [False, True])
def test_fpn_is_the_papers_layers(generator: StyleGAN2, taps: Taps, training: bool) -> None:
    decoder = FPNDecoder.of_generator(generator, 3, FPNConfig(width=10)).train(training)
    torch.testing.assert_close(decoder(taps), NaivePyramid(decoder)(taps), atol=1e-5, rtol=1e-4)


def test_fpn_of_small_taps_is_upsampled(generator: StyleGAN2, taps: Taps) -> None:
    decoder = FPNDecoder.of_generator(generator, 3, FPNConfig(taps=("b4.conv1", "b8.conv0"))).eval()
    naive = F.interpolate(NaivePyramid(decoder)(taps), (16, 16), mode="bilinear")
    torch.testing.assert_close(decoder(taps), naive, atol=1e-5, rtol=1e-4)


def test_fpn_layers(generator: StyleGAN2) -> None:
    names = [type(layer).__name__ for layer in FPNDecoder.of_generator(generator, 3).head]
    assert names == ["Conv2d", "BatchNorm2d", "ReLU"] * 2 + ["Conv2d"]
    assert len(FPNDecoder.of_generator(generator, 3, FPNConfig(layers=1)).head) == 1


def test_unusable_settings_are_one_sentence() -> None:
    with pytest.raises(UsageError, match="did you mean 'paper'"):
        CNNConfig(variant="papr")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="grid 'full' is not known; use picture, largest"):
        CNNConfig(grid="full")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="width is 0; use 1 or more"):
        FPNConfig(width=0)
    with pytest.raises(UsageError, match="layers is 0; use 1 or more"):
        FPNConfig(layers=0)


def test_first_layers_are_projections(generator: StyleGAN2) -> None:
    # no decoder may build the stack: at 512 px it is 5.8 GB a picture
    assert isinstance(CNNDecoder.of_generator(generator, 3).first, ProjectedLinear)
    assert FPNDecoder.of_generator(generator, 3).first.interpolation == "pyramid"
