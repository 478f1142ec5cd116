"""The floors: what they must find, what they must not be able to find, and the figures on real pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gannotate.data.labelled import LabelledSet, read_labelled
from gannotate.errors import GannotateError
from gannotate.metrics.floors import majority_floor, majority_map, pixel_features, pixel_floor

DATA = Path(__file__).parents[3].parent / "shared" / "data"


def coloured(count: int, seed: int) -> LabelledSet:
    """Class 1 is bright, class 2 is dark and in the lower half; the rest of the picture is noise around grey."""
    rng = np.random.default_rng(seed)
    pictures = rng.integers(110, 146, (count, 16, 16, 1))
    label_maps = np.zeros((count, 16, 16), np.uint8)
    for index in range(count):
        y, x = rng.integers(0, 12, 2)
        pictures[index, y : y + 4, x : x + 4] = 250
        label_maps[index, y : y + 4, x : x + 4] = 1
        y, x = rng.integers(8, 13), rng.integers(0, 13)
        pictures[index, y : y + 3, x : x + 3] = 5
        label_maps[index, y : y + 3, x : x + 3] = 2
    return LabelledSet(tuple(map(str, range(count))), pictures.astype(np.uint8), label_maps)


def test_majority_map_by_hand() -> None:
    label_maps = np.array([[[0, 1, 255, 2]], [[1, 1, 255, 2]], [[1, 0, 255, 255]]], np.uint8)
    # the third pixel has no label at all and takes the most common class, 1
    np.testing.assert_array_equal(majority_map(label_maps, 3), [[1, 1, 1, 2]])


def test_majority_floor_of_equal_labels_is_perfect() -> None:
    data = coloured(1, seed=0)
    assert majority_floor(data, data, 3).miou == 1


def test_pixel_floor_learns_colour_which_the_majority_cannot() -> None:
    train, test = coloured(6, seed=1), coloured(6, seed=2)
    found = pixel_floor(train, test, 3, seed=0)
    assert found.miou > 0.95
    assert majority_floor(train, test, 3).miou < 0.5


def test_pixel_floor_is_a_function_of_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gannotate.metrics.floors.STEPS", 10)
    data = coloured(2, seed=1)
    found = [pixel_floor(data, data, 3, seed=seed) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_pixel_floor_refuses_labels_without_a_labelled_pixel() -> None:
    data = coloured(1, seed=0)
    nothing = LabelledSet(data.names, data.pictures, np.full_like(data.label_maps, 255))
    with pytest.raises(GannotateError, match="nothing to learn from"):
        pixel_floor(nothing, data, 3)


def test_pixel_features_of_a_plain_picture_are_its_colour_and_place() -> None:
    features = pixel_features(np.full((1, 8, 8, 1), 255, np.uint8)).numpy()
    np.testing.assert_allclose(features[:, :4], 1, atol=1e-5)
    np.testing.assert_allclose(features[0, 4:], [-1, -1])
    np.testing.assert_allclose(features[7, 4:], [1, -1])


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "channels", "majority", "pixels"), [("xray", 1, 0.729, 0.747), ("wbc", 3, 0.516, 0.817)]
)
def test_floors_on_real_pictures(kind: str, channels: int, majority: float, pixels: float) -> None:
    if not (DATA / kind).exists():
        pytest.skip(f"{DATA / kind} is not there")
    pool, test = (read_labelled(DATA / kind / f"{part}.zip", 3, 64, channels) for part in ("pool", "test"))
    draws = [pool.take(np.random.default_rng(draw).permutation(len(pool))[:5].tolist()) for draw in range(3)]
    assert np.mean([majority_floor(train, test, 3).miou for train in draws]) == pytest.approx(majority, abs=0.05)
    assert np.mean([pixel_floor(train, test, 3).miou for train in draws]) == pytest.approx(pixels, abs=0.05)
