"""Decoders are as large as the papers' own networks, as measured on the authors' code with their tap channels."""

from __future__ import annotations

import pytest
from torch import nn

from gannotate.decoders.base import all_but_last_resolution, last_of_each_resolution
from gannotate.decoders.cnn import CNNConfig, CNNDecoder
from gannotate.decoders.ensemble import EnsembleConfig, EnsembleDecoder
from gannotate.decoders.fpn import FPNConfig, FPNDecoder
from gannotate.decoders.linear import LinearConfig, LinearDecoder
from gannotate.decoders.mlp import MLPConfig, MLPDecoder
from gannotate.generators.base import Tap
from gannotate.generators.stylegan2 import StyleGAN2Config


def pairs(size: int, base: int) -> tuple[Tap, ...]:
    """Two taps a resolution, as StyleGAN (1) has them."""
    shape = StyleGAN2Config(size=size, channel_base=base)
    return tuple(Tap(f"b{r}.conv{i}", shape.channels(r), r, r) for r in shape.resolutions for i in (0, 1))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("size", "base", "classes", "expected"),
    [(256, 16384, 8, 625_032), (256, 32768, 6, 680_070), (512, 32768, 20, 704_532)],
    ids=["CelebA paper256: 625k", "horse config-f: 680k", "car config-f: 704k"],
)
def test_fpn(size: int, base: int, classes: int, expected: int) -> None:
    taps = last_of_each_resolution(pairs(size, base))
    assert count(FPNDecoder(taps, classes, size, FPNConfig())) == expected


@pytest.mark.parametrize(
    ("side", "classes", "channels", "expected"),
    [(512, 20, 5056, 652_404), (256, 16, 4992, 644_080), (1024, 34, 5088, 1_340_834)],
    ids=["car: 652k", "cat: 644k", "face: 1.34M"],
)
def test_datasetgan(side: int, classes: int, channels: int, expected: int) -> None:
    taps = pairs(side, 16384)
    decoder = MLPDecoder(taps, classes, min(side, 512), MLPConfig())
    assert decoder.channels == channels
    assert count(decoder) == expected
    ensemble = EnsembleDecoder(taps, classes, min(side, 512), EnsembleConfig(members=3))
    assert count(ensemble) == 3 * expected


def test_repurposegan() -> None:
    taps = all_but_last_resolution(pairs(1024, 16384))  # half-width StyleGAN2, all pairs except the last: 5,056
    assert sum(tap.channels for tap in taps) == 5056
    assert count(CNNDecoder(taps, 10, 1024, CNNConfig())) == pytest.approx(0.93e6, rel=0.005)
    assert count(MLPDecoder(taps, 10, 1024, MLPConfig(paper="repurposegan"))) == pytest.approx(10.5e6, rel=0.005)


def test_notebook() -> None:
    taps = pairs(256, 32768)[1:]  # rosinality's 13: one at 4 px
    assert sum(tap.channels for tap in taps) == 5376
    decoder = CNNDecoder(taps, 3, 256, CNNConfig(variant="S"))
    assert count(decoder) == pytest.approx(6.32e6, rel=0.001)


def test_linear() -> None:
    taps = pairs(256, 32768)[1:]
    assert count(LinearDecoder(taps, 7, 256, LinearConfig())) == 7 * 5376
    assert count(LinearDecoder(taps, 7, 256, LinearConfig(bias=True))) == 7 * 5376 + 7
