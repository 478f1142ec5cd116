"""The t-SNE figure: places get their most frequent class, and the number beside it says what the features know."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gannotate.data.labelled import LabelledSet
from gannotate.errors import UsageError
from gannotate.labels import IGNORE, make_classes
from gannotate.pretraining.figure import (
    LEAST_POINTS,
    FigureConfig,
    Points,
    check_shown,
    most_frequent,
    neighbours_agree,
    points_of,
    tsne,
    write_figure,
)

CLASSES = make_classes(["background", "light", "dark"])
SIZE = 16


class Grey(nn.Module):
    """An encoder whose features are the mean grey and its square: the classes below can be read off it."""

    def __init__(self, blind: bool = False) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.blind = blind

    def forward(self, x: Tensor) -> list[Tensor]:
        small = nn.functional.avg_pool2d(x * self.gain, 8)
        if self.blind:
            torch.manual_seed(0)
            small = torch.randn_like(small)
        return [x, torch.cat([small, small.square()], 1)]


@pytest.fixture
def data() -> LabelledSet:
    """Quarters of 8 px: dark, grey or light; in the last picture one quarter is not labelled."""
    rng = np.random.default_rng(0)
    quarters = rng.integers(0, 3, (12, 2, 2))
    grey = np.array([128, 250, 5])[quarters].repeat(8, 1).repeat(8, 2)
    pictures = np.clip(grey + rng.integers(-5, 6, grey.shape), 0, 255).astype(np.uint8)[..., None]
    label_maps = quarters.repeat(8, 1).repeat(8, 2).astype(np.uint8)
    label_maps[11, :8, :8] = IGNORE
    return LabelledSet(tuple(str(index) for index in range(12)), pictures, label_maps)


def test_a_place_has_its_most_frequent_class() -> None:
    label_map = np.array([[0, 1, 2, 2], [1, 1, 255, 255], [2, 2, 0, 1], [2, 2, 1, 0]], np.uint8)
    assert most_frequent(label_map, 2).tolist() == [[1, 2], [2, 0]]
    assert np.array_equal(most_frequent(label_map, 4), label_map)


def test_points_leave_out_what_is_not_labelled(data: LabelledSet) -> None:
    points, side = points_of(Grey(), data)
    assert side == 2
    assert points.features.shape == (47, 2)
    assert points.pictures.tolist() == [index for index in range(12) for _ in range(4 if index < 11 else 3)]
    np.testing.assert_allclose(points.features.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(points.features.std(0), 1, atol=1e-3)


def test_neighbours_are_of_other_pictures() -> None:
    """Each point's twin of another class is in its own picture, and does not vote."""
    features = np.array([[1, 0], [1, 0.01], [0, 1], [0.01, 1], [1, 0.02], [0.02, 1]])
    classes, pictures = np.array([0, 1, 1, 0, 0, 1]), np.array([0, 0, 1, 1, 2, 2])
    assert neighbours_agree(Points(features, classes, pictures), 1).tolist() == [1, 0, 1, 0, 0, 0]


def test_the_figure_tells_a_seeing_encoder_from_a_blind_one(data: LabelledSet, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    config = FigureConfig(pictures=12, neighbours=3, perplexity=5)
    shown = write_figure(tmp_path, {"blind": Grey(blind=True), "seeing": Grey()}, data, CLASSES, config)
    assert shown["encoders"]["seeing"]["neighbour_accuracy"] == 1
    assert shown["encoders"]["blind"]["neighbour_accuracy"] < 0.7
    assert shown["encoders"]["seeing"]["points"] == 47
    assert json.loads((tmp_path / "tsne.json").read_text()) == shown
    assert (tmp_path / "tsne.png").read_bytes().startswith(b"\x89PNG")


def test_tsne_is_the_same_again() -> None:
    pytest.importorskip("sklearn")
    features = np.random.default_rng(0).normal(size=(20, 3))
    first, second = (tsne(features, FigureConfig(seed=3)) for _ in range(2))
    assert first.shape == (20, 2)
    np.testing.assert_array_equal(first, second)


def test_too_little_to_show(data: LabelledSet, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 was given; give at least 2"):
        write_figure(tmp_path, {"a": Grey()}, data.take([0]), CLASSES)
    data.label_maps[:] = IGNORE
    with pytest.raises(UsageError, match="only 0 places of the pictures are labelled"):
        check_shown(data)
    data.label_maps[0, 0, :LEAST_POINTS] = 0  # enough pixels, but all in a place or two
    check_shown(data)
    with pytest.raises(UsageError, match=r"only \d places of the pictures are labelled"):
        write_figure(tmp_path, {"a": Grey()}, data, CLASSES)
