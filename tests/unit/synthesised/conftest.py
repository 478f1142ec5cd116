"""A tiny generator with random weights and a decoder of it."""

from __future__ import annotations

import pytest
import torch

from gannotate.decoders.light import LightDecoder
from gannotate.generators.stylegan2 import StyleGAN2

from .tiny import CLASSES, TINY


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    torch.manual_seed(2)
    return StyleGAN2(TINY).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def decoder(generator: StyleGAN2) -> LightDecoder:
    torch.manual_seed(3)
    return LightDecoder.of_generator(generator, len(CLASSES)).eval().requires_grad_(False)
