"""Every network by its name: sizes, parameters, and nothing in it that is not used."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from gannotate.errors import UsageError
from gannotate.segmenters.architectures import ARCHITECTURES, Architecture
from gannotate.segmenters.build import SegmenterConfig, build_network
from gannotate.segmenters.networks import ClassicUNet

LIGHT: dict[Architecture, str] = {
    "deeplabv3plus": "resnet18",
    "deeplabv3": "resnet18",
    "hrnet": "tu-hrnet_w18_small",
    "lraspp": "tu-mobilenetv3_small_100",
}
"""Encoders of the same family that are quicker to build than the architectures' own."""


def light(architecture: Architecture, channels: int = 1, classes: int = 3, depth: int = 0) -> SegmenterConfig:
    """A network as small as its architecture can be, for pictures of 32 px."""
    return SegmenterConfig(
        classes=classes,
        image_channels=channels,
        size=32,
        architecture=architecture,
        encoder=LIGHT.get(architecture, ""),
        decoder_width=16,
        depth=depth,
    )


def test_every_name_has_a_network() -> None:
    assert tuple(ARCHITECTURES) == get_args(Architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_have_the_picture_size_and_every_weight_is_used(architecture: Architecture) -> None:
    network = build_network(light(architecture, channels=3, classes=5)).train()  # a batch of 2, down to 1x1 px
    logits = network(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, 5, 32, 32)
    logits.sum().backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("architecture", ["unet", "unet-mobile", "deeplabv3plus"])
@pytest.mark.parametrize("depth", [3, 4, 5])
def test_every_weight_is_used_at_every_depth(architecture: Architecture, depth: int) -> None:
    network = build_network(light(architecture, depth=depth))
    network(torch.randn(2, 1, 32, 32)).sum().backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_networks_take_other_sizes_than_their_own() -> None:
    for architecture in ("unet-classic", "lraspp"):
        assert build_network(light(architecture)).eval()(torch.zeros(1, 1, 64, 96)).shape == (1, 3, 64, 96)


@pytest.mark.parametrize(("architecture", "encoder", "depth"), [
    ("unet", "resnet18", 4),
    ("deeplabv3plus", "resnet50", 5),
    ("deeplabv3", "resnet101", 5),
])  # fmt: skip
def test_what_is_not_given_is_the_papers(architecture: Architecture, encoder: str, depth: int) -> None:
    config = SegmenterConfig(classes=2, image_channels=3, size=64, architecture=architecture)
    assert (config.encoder, config.depth) == (encoder, depth)


def test_the_classic_unet_has_13_4_million_parameters() -> None:
    """13.40 M, as the papers' code counts: 13,395,264 without the last layer, which has 65 a class."""
    for classes in (2, 34):
        network = ClassicUNet(3, classes)
        assert sum(parameter.numel() for parameter in network.parameters()) == 13_395_264 + 65 * classes


def test_small_networks_have_at_most_7_million_parameters() -> None:
    for architecture in ("unet", "unet-mobile", "lraspp"):
        network = build_network(SegmenterConfig(classes=8, image_channels=3, size=32, architecture=architecture))
        assert sum(parameter.numel() for parameter in network.parameters()) <= 7_000_000


def test_the_head_of_hrnet_is_a_convolution_of_all_features_together() -> None:
    """Projected first and grown then, or grown, joined and projected by one convolution (the paper): the same."""
    network = build_network(light("hrnet")).eval()
    x = torch.randn(1, 1, 32, 32)
    features = network.encoder(x)[2:]  # pyright: ignore[reportCallIssue]
    size = features[0].shape[2:]
    grown = [torch.nn.functional.interpolate(one, size, mode="bilinear") for one in features]
    weight = torch.cat([project.weight for project in network.project], 1)  # pyright: ignore
    joined = torch.nn.functional.conv2d(torch.cat(grown, 1), weight)
    expected = torch.nn.functional.interpolate(network.mix(joined), (32, 32), mode="bilinear")  # pyright: ignore
    torch.testing.assert_close(network(x), expected, rtol=1e-4, atol=1e-4)


def test_a_network_without_encoder_takes_none() -> None:
    config = SegmenterConfig(classes=2, image_channels=1, size=32, architecture="unet-classic", encoder="resnet18")
    with pytest.raises(UsageError, match="unet-classic has no encoder to choose, 'resnet18' was given"):
        build_network(config)
