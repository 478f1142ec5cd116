"""A tiny generator and shots whose label lies in one activation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from gannotate.fitting.shot import Shot
from gannotate.generators.base import draw
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config

TINY = StyleGAN2Config(size=16, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16)

Shots = Callable[[int], list[Shot]]


@pytest.fixture(scope="session")
def tiny() -> StyleGAN2:
    torch.manual_seed(1)
    return StyleGAN2(TINY).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def positive(tiny: StyleGAN2) -> Shots:
    """So many shots with class 1 where an activation of the last block is positive: linear in the taps."""

    def make(count: int) -> list[Shot]:
        drawn = draw(tiny, range(count), taps=["b16.conv1"])
        return [Shot(seed, (drawing.taps["b16.conv1"][0, 0] > 0).byte().numpy()) for seed, drawing in drawn]

    return make
