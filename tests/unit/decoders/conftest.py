"""A small generator and its taps."""

from __future__ import annotations

import pytest
import torch

from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config

TINY = StyleGAN2Config(size=16, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16)


@pytest.fixture
def generator() -> StyleGAN2:
    torch.manual_seed(0)
    return StyleGAN2(TINY).eval().requires_grad_(False)


@pytest.fixture
def taps(generator: StyleGAN2) -> dict[str, torch.Tensor]:
    """Every tap of three pictures."""
    w = generator.map(generator.latents(range(3)))
    return generator.synthesize(w, taps=[tap.name for tap in generator.taps]).taps
