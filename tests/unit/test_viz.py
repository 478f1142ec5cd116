"""Overlays, sheets and legends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannotate.errors import UsageError
from gannotate.labels import IGNORE, make_classes, palette
from gannotate.viz import contact_sheet, enlarge, legend, overlay

CLASSES = make_classes(["ground", "nucleus", "cytoplasm"])


def picture(height: int = 6, width: int = 8, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_overlay_mixes_in_the_classes_but_not_the_background(channels: int):
    base = picture(channels=channels)
    label_map = np.zeros((6, 8), np.uint8)
    label_map[:, 4:] = 2
    shown = overlay(base, label_map, CLASSES, 0.25)
    assert (shown[:, :4] == base[:, :4]).all()
    expected = 0.75 * base[:, 4:] + 0.25 * np.array(CLASSES[2].colour)
    assert np.abs(shown[:, 4:] - expected).max() <= 0.5


@given(seed=st.integers(0, 99))
def test_overlay_of_no_and_full_opacity(seed: int):
    base = picture(seed=seed)
    label_map = np.random.default_rng(seed).choice(np.array([0, 1, 2, IGNORE], np.uint8), (6, 8))
    assert (overlay(base, label_map, CLASSES, 0) == base).all()
    assert (overlay(base, label_map, CLASSES, 1) == palette(CLASSES)[label_map]).all()


def test_ignored_pixels_are_hatched():
    base = np.zeros((8, 8, 1), np.uint8)
    shown = overlay(base, np.full((8, 8), IGNORE, np.uint8), CLASSES, 0.6)
    assert set(np.unique(shown)) == {0, 153}
    assert (shown == 153).mean() == 0.5


@pytest.mark.parametrize(
    ("label_map", "opacity", "part"),
    [(np.zeros((8, 6), np.uint8), 0.5, "must be equal"), (np.zeros((6, 8), np.uint8), 2, "from 0 to 1")],
)
def test_overlay_refuses(label_map: np.ndarray, opacity: float, part: str):
    with pytest.raises(UsageError, match=part):
        overlay(picture(), label_map, CLASSES, opacity)


@given(count=st.integers(1, 9), columns=st.integers(1, 5), gap=st.integers(0, 3))
def test_a_sheet_holds_every_picture_in_order(count: int, columns: int, gap: int):
    pictures = [picture(seed=seed) for seed in range(count)]
    sheet = contact_sheet(pictures, columns, gap)
    used = min(columns, count)
    assert sheet.shape == (-(-count // used) * (6 + gap) - gap, used * (8 + gap) - gap, 3)
    for index, one in enumerate(pictures):
        top, left = index // used * (6 + gap), index % used * (8 + gap)
        assert (sheet[top : top + 6, left : left + 8] == one).all()
    clear = contact_sheet(pictures, columns, gap, clear=True)
    assert (clear[..., :3] == sheet).all()
    assert (clear[..., 3] == 255).sum() == count * 6 * 8, "what is no picture is see-through"
    assert set(np.unique(clear[..., 3])) <= {0, 255}


def test_sheets_refuse_mixed_sizes_and_nothing():
    with pytest.raises(UsageError, match="one size"):
        contact_sheet([picture(), picture(8, 6)], 2)
    with pytest.raises(UsageError, match="none"):
        contact_sheet([], 2)
    with pytest.raises(UsageError, match="columns is 0"):
        contact_sheet([picture()], 0)


def test_a_legend_has_each_class_and_its_name():
    shown = legend(CLASSES, 12)
    for item in CLASSES:
        assert (shown[:, :20] == item.colour).all(axis=-1).sum() == 12 * 12
    assert (shown[:, 24:] < 100).any(), "the names are not there"


def test_enlarge_makes_squares():
    assert (enlarge(picture(), 3)[::3, 1::3] == picture()).all()
