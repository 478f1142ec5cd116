"""A tiny generator with random weights, and pictures that it drew."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config

TINY = StyleGAN2Config(size=16, image_channels=1, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16)


@pytest.fixture(scope="session")
def tiny() -> StyleGAN2:
    """Its noise counts a little, so that noise maps have gradients."""
    torch.manual_seed(1)
    generator = StyleGAN2(TINY)
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.05)
    generator.mapping.w_avg.copy_(generator.mapping(torch.randn(500, 8)).mean(dim=0).detach())
    return generator.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def drawn(tiny: StyleGAN2) -> Tensor:
    """Pictures of seeds 0 to 5, (6, 1, 16, 16)."""
    with torch.no_grad():
        return tiny.synthesize(tiny.map(tiny.latents(range(6)))).picture
