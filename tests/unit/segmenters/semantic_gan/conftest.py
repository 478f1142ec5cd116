"""A toy whose labels are known: a generator's own pictures, where bright is class 1 and dark is class 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gannotate.data.augment import STILL
from gannotate.data.labelled import LabelledSet
from gannotate.generators.base import draw, to_uint8
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.segmenters.semantic_gan.config import InferenceConfig, SemanticGANConfig
from gannotate.segmenters.semantic_gan.generator import JointGenerator

SIZE = 16


@pytest.fixture
def network() -> StyleGAN2Config:
    return StyleGAN2Config(
        size=SIZE, image_channels=1, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16
    )


@pytest.fixture
def start(network: StyleGAN2Config) -> StyleGAN2:
    """A random generator whose pictures differ and are about half bright."""
    torch.manual_seed(3)
    return StyleGAN2(network)


@pytest.fixture
def toy(network: StyleGAN2Config, start: StyleGAN2) -> JointGenerator:
    """Its label branch is its picture branch: the code of class 1 is thrice the picture, of class 0 the negative."""
    generator = JointGenerator(network, 2)
    generator.load_state_dict(start.state_dict(), strict=False)
    with torch.no_grad():
        for name, to_labels in generator.label_branch.to_labels.items():
            to_rgb: Any = generator.synthesis[name].torgb  # pyright: ignore[reportAttributeAccessIssue]
            conv: Any = to_labels.conv
            conv.affine.load_state_dict(to_rgb.conv.affine.state_dict())
            conv.weight.copy_(torch.cat([-3 * to_rgb.conv.weight, 3 * to_rgb.conv.weight]))
    return generator.eval().requires_grad_(False)


@pytest.fixture
def drawn(start: StyleGAN2) -> Callable[..., LabelledSet]:
    """Labelled pictures of the toy, drawn from consecutive seeds."""

    def make(count: int, first_seed: int = 0) -> LabelledSet:
        found = [to_uint8(one.picture)[0] for _, one in draw(start, range(first_seed, first_seed + count))]
        pictures = np.stack(found)
        names = tuple(f"p{index}" for index in range(count))
        return LabelledSet(names, pictures, (pictures[..., 0] >= 128).astype(np.uint8))

    return make


@pytest.fixture
def settings() -> Callable[..., SemanticGANConfig]:
    """The smallest SemanticGAN."""

    def make(**changed: Any) -> SemanticGANConfig:
        small: dict[str, Any] = {
            "classes": 2,
            "image_channels": 1,
            "size": SIZE,
            "steps": 3,
            "encoder_steps": 3,
            "warmup_steps": 0,
            "batch": 2,
            "pair_width": 4,
            "pair_scales": 2,
            "encoder_width": 8,
            "warp": STILL,
            "inference": InferenceConfig(steps=2),
        }
        return SemanticGANConfig(**(small | changed))

    return make
