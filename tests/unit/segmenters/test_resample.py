"""Resizing as tensor operations is Pillow's resizing."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.segmenters.predict import brought_to
from gannotate.segmenters.resample import resize_like_pillow


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    size=st.sampled_from([8, 16, 32]),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
def test_any_size_is_brought_as_pillow_does(height: int, width: int, size: int, channels: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)
    found = resize_like_pillow(torch.from_numpy(picture)[None], size)[0].permute(1, 2, 0).numpy()
    difference = np.abs(found - brought_to(picture, size, channels).astype(np.float32))
    assert difference.max() <= 1  # a sum at one half may round the other way
    assert (difference > 0).sum() <= 2 + 0.01 * difference.size


def test_whole_blocks_are_averaged() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 1)).astype(np.uint8)
    rows = np.floor(picture[..., 0].reshape(32, 16, 3).mean(2) + 0.5)
    expected = np.floor(rows.reshape(16, 2, 16).mean(1) + 0.5)
    np.testing.assert_array_equal(resize_like_pillow(torch.from_numpy(picture)[None], 16)[0, 0].numpy(), expected)


def test_the_own_size_stays_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    found = resize_like_pillow(torch.from_numpy(picture), 16)
    np.testing.assert_array_equal(found.permute(0, 2, 3, 1).numpy(), picture)
