"""A tiny generator, the smallest encoder, and settings for a few steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gannotate.generators.base import Generator
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.pretraining.layermatch import LayerMatchConfig
from gannotate.segmenters.build import SegmenterConfig

SIZE = 16


def make_generator(**settings: Any) -> StyleGAN2:
    """Random weights, the same for the same settings; grey pictures of 16 px."""
    torch.manual_seed(0)
    shape: dict[str, Any] = {"size": SIZE, "image_channels": 1, "z_dim": 8, "w_dim": 8, "mapping_layers": 2}
    generator = StyleGAN2(StyleGAN2Config(**{**shape, "channel_base": 128, "channel_max": 16, **settings}))
    return generator.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def generator() -> Generator:
    """See make_generator."""
    return make_generator()


@pytest.fixture
def tiny() -> SegmenterConfig:
    """The smallest U-Net: grey pictures of 16 px."""
    return SegmenterConfig(classes=2, image_channels=1, size=SIZE, depth=3, decoder_width=16)


@pytest.fixture
def quick() -> LayerMatchConfig:
    """Six steps of four pictures."""
    return LayerMatchConfig(steps=6, batch=4, learning_rate=1e-3)
