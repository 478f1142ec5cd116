"""Prediction at any size, for any number of pictures; and the scores made of it."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from gannotate.data.labelled import LabelledSet
from gannotate.errors import UsageError
from gannotate.segmenters.build import SegmenterConfig, build_network
from gannotate.segmenters.evaluate import evaluate
from gannotate.segmenters.predict import Segmenter

CLASSES, SIZE = 3, 16
Squares = Callable[..., LabelledSet]


class ByBrightness(nn.Module):
    """Stands in for a trained network: dark is class 2, bright is class 1, the rest class 0."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grey = x.mean(1, keepdim=True)
        return self.gain * torch.cat([0.6 - grey.abs(), grey, -grey], 1)


@pytest.fixture
def by_brightness(tiny: SegmenterConfig) -> Segmenter:
    return Segmenter(ByBrightness(), tiny)


def test_label_maps_of_an_array(by_brightness: Segmenter, squares: Squares) -> None:
    data = squares(40)  # more than one batch
    label_maps, probabilities = by_brightness.predict(data.pictures, probabilities=True)
    assert label_maps.dtype == np.uint8
    np.testing.assert_array_equal(label_maps, np.where(data.label_maps == 255, label_maps, data.label_maps))
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (40, CLASSES, SIZE, SIZE)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(1), label_maps)
    np.testing.assert_array_equal(by_brightness.predict(data.pictures), label_maps)


def test_pictures_of_any_size_come_back_at_their_size(by_brightness: Segmenter) -> None:
    pictures = [np.full((height, width, 1), 128, np.uint8) for height, width in ((16, 16), (64, 48), (9, 31))]
    for picture in pictures:
        picture[:, : picture.shape[1] // 2] = 255
    label_maps = by_brightness.predict(pictures)
    assert [one.shape for one in label_maps] == [(16, 16), (64, 48), (9, 31)]
    big = label_maps[1]
    assert (big[:, :22] == 1).all()
    assert (big[:, 26:] == 0).all()
    np.testing.assert_array_equal(by_brightness.predict(pictures, probabilities=True)[1][2].shape, (CLASSES, 9, 31))


def test_whole_blocks_are_averaged_and_answers_are_put_back(by_brightness: Segmenter, squares: Squares) -> None:
    data = squares(1)
    big = data.pictures.repeat(4, 1).repeat(4, 2)
    small = by_brightness.predict(data.pictures, probabilities=True)[1]
    found = by_brightness.predict(big, probabilities=True)[1]
    expected = torch.nn.functional.interpolate(torch.from_numpy(small), scale_factor=4, mode="bilinear")
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_grey_and_colour_are_exchanged(by_brightness: Segmenter, tiny: SegmenterConfig, squares: Squares) -> None:
    grey = squares(2).pictures
    np.testing.assert_array_equal(by_brightness.predict(grey.repeat(3, 3)), by_brightness.predict(grey))
    colour = Segmenter(ByBrightness(), SegmenterConfig(classes=CLASSES, image_channels=3, size=SIZE, depth=3))
    np.testing.assert_array_equal(colour.predict(grey), by_brightness.predict(grey))


def test_no_pictures_give_no_label_maps(by_brightness: Segmenter) -> None:
    assert by_brightness.predict(np.zeros((0, 8, 8, 1), np.uint8)).shape == (0, 8, 8)
    assert by_brightness.predict([]) == []


def test_a_real_network_gives_the_same_answer_twice_and_alone(tiny: SegmenterConfig, squares: Squares) -> None:
    torch.manual_seed(0)
    segmenter = Segmenter(build_network(tiny), tiny)
    pictures = squares(3).pictures
    label_maps, probabilities = segmenter.predict(pictures, probabilities=True)
    again, same = segmenter.predict(pictures, probabilities=True)
    np.testing.assert_array_equal(label_maps, again)
    np.testing.assert_array_equal(probabilities, same)
    alone = segmenter.predict(pictures[1:2], probabilities=True)[1]
    np.testing.assert_allclose(alone[0], probabilities[1], atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((8, 8, 1), np.uint8),
        [np.zeros((8, 8), np.uint8)],
        np.zeros((1, 8, 8, 1)),
        [np.zeros((8, 8, 4), np.uint8)],
    ],
)
def test_other_things_are_refused(by_brightness: Segmenter, wrong: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"channels"):
        by_brightness.predict(wrong)


def test_evaluation_counts_all_pixels_and_is_json(by_brightness: Segmenter, squares: Squares) -> None:
    data = squares(5)
    result = json.loads(json.dumps(evaluate(by_brightness, data)))
    assert result["miou"] == result["pixel_accuracy"] == 1
    assert result["per_class"] == {"back": 1, "light": 1, "dark": 1}
    assert np.sum(result["confusion"]) == 5 * (SIZE * SIZE - 1)  # one pixel of each is not labelled
    assert (result["pictures"], result["absent"]) == (5, "skip")

    wrong = data.label_maps.copy()
    wrong[wrong == 2] = 0
    changed = type(data)(data.names, data.pictures, wrong)
    assert evaluate(by_brightness, changed)["per_class"]["dark"] == 0
