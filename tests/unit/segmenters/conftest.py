"""A tiny problem that a tiny network learns in a few steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gannotate.data.labelled import LabelledSet
from gannotate.segmenters.build import SegmenterConfig

CLASSES, SIZE = 3, 16


def draw_squares(count: int, seed: int = 0, channels: int = 1, soft: bool = False) -> LabelledSet:
    """A bright square (class 1) and a dark one (class 2) on grey noise; the first pixel of each is not labelled."""
    rng = np.random.default_rng(seed)
    pictures = rng.integers(100, 156, (count, SIZE, SIZE, channels)).astype(np.uint8)
    label_maps = np.zeros((count, SIZE, SIZE), np.uint8)
    for index in range(count):
        for label, grey in ((1, 250), (2, 5)):
            y, x = rng.integers(0, SIZE - 6, 2)
            pictures[index, y : y + 6, x : x + 6] = grey
            label_maps[index, y : y + 6, x : x + 6] = label
    label_maps[:, 0, 0] = 255
    probabilities = None
    if soft:
        one_hot = np.eye(CLASSES)[np.minimum(label_maps, CLASSES - 1)].transpose(0, 3, 1, 2)
        probabilities = (0.9 * one_hot + 0.1 / CLASSES).astype(np.float16)
    return LabelledSet(tuple(f"p{index}" for index in range(count)), pictures, label_maps, probabilities)


@pytest.fixture
def squares() -> Callable[..., LabelledSet]:
    """`draw_squares`."""
    return draw_squares


@pytest.fixture
def tiny() -> SegmenterConfig:
    """The smallest U-Net: grey pictures of 16 px."""
    return SegmenterConfig(
        classes=CLASSES, image_channels=1, size=SIZE, depth=3, decoder_width=16, class_names=("back", "light", "dark")
    )
