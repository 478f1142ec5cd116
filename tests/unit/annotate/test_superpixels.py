"""Superpixels: whole, in one piece each, and along the edges of the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.measure import label

from gannotate.annotate.store import Store
from gannotate.annotate.superpixels import KEPT, Superpixels, superpixels
from gannotate.errors import UsageError


def halves(mode: str) -> Image.Image:
    """Left half black, right half white, 32 px."""
    picture = Image.new(mode, (32, 32))
    picture.paste(255 if mode == "L" else (255, 255, 255), (16, 0, 32, 32))
    return picture


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_no_superpixel_crosses_a_sharp_edge(mode: str):
    found = superpixels(halves(mode), 6)
    assert not set(np.unique(found[:, :16])) & set(np.unique(found[:, 16:]))


@settings(deadline=None, max_examples=15)
@given(side=st.integers(3, 8), seed=st.integers(0, 99))  # up to a quarter of the picture, as the page offers
def test_each_is_in_one_piece_and_about_as_large_as_asked_for(side: int, seed: int):
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    found = superpixels(Image.fromarray(noise).resize((32, 32), Image.Resampling.BICUBIC), side)
    numbers = np.unique(found)
    assert (numbers == np.arange(len(numbers))).all()
    assert label(found + 1, connectivity=1).max() == len(numbers)
    assert 0.2 < len(numbers) * side**2 / 32**2 < 3


def test_sizes_that_make_no_sense_are_refused():
    for side in (1, 17):
        with pytest.raises(UsageError, match="give 2 to 8 px"):
            superpixels(halves("L"), side)


def test_they_are_computed_once(store: Store, monkeypatch: pytest.MonkeyPatch):
    patches = Superpixels(store)
    first = patches.of(0, 4)
    assert patches.of(0, 4) is first
    for seed in range(KEPT):
        patches.of(seed % 6, 2 + seed // 6)
    assert patches.of(0, 4) is first
    with pytest.raises(UsageError, match="no picture 77"):
        patches.of(77, 4)
