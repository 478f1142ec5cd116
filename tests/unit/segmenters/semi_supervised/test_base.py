"""What the methods share: pictures without labels, and labels as probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gannotate.data.augment import Warp
from gannotate.errors import UsageError
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.semi_supervised.base import (
    Unlabelled,
    completed,
    confident_labels,
)
from gannotate.segmenters.sources import Batch, truth_as_probabilities


def test_unlabelled_pictures_are_drawn_once_each() -> None:
    pictures = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1).repeat(8, 1).repeat(8, 2)
    unlabelled = Unlabelled(pictures)
    drawn = unlabelled.batch(5, torch.device("cpu"))
    assert sorted(((drawn[:, 0, 0, 0] + 1) * 127.5).round().tolist()) == [0, 1, 2, 3, 4]
    assert unlabelled.batch(7, torch.device("cpu")).shape == (7, 1, 8, 8)
    assert Unlabelled(pictures[:4]).about()["hash"] != unlabelled.about()["hash"]


@pytest.mark.parametrize(
    "pictures",
    [
        np.zeros((2, 16, 16, 1), np.float32),
        np.zeros((2, 16, 16, 3), np.uint8),
        np.zeros((2, 8, 8, 1), np.uint8),
        np.zeros((16, 16, 1), np.uint8),
    ],
)
def test_pictures_that_do_not_fit_are_named(narrow: SegmenterConfig, pictures: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"the segmenter takes uint8 \(n, 16, 16, 1\); read them with that size"):
        Unlabelled(pictures).check(narrow)


def test_no_pictures(narrow: SegmenterConfig) -> None:
    with pytest.raises(UsageError, match="no unlabelled pictures were given"):
        Unlabelled(np.zeros((0, 16, 16, 1), np.uint8)).check(narrow)


def test_labels_as_probabilities() -> None:
    batch = Batch(torch.zeros(1, 1, 1, 3), torch.tensor([[[2, 0, 255]]]), None)
    hard = truth_as_probabilities(batch, 3)
    assert hard[0, :, 0].T.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]
    own = torch.full((1, 3, 1, 3), 1 / 3, requires_grad=True)
    whole = completed(batch, own)
    assert not whole.requires_grad
    torch.testing.assert_close(whole[0, :, 0].T, torch.tensor([[0.0, 0, 1], [1, 0, 0], [1 / 3, 1 / 3, 1 / 3]]))
    soft = torch.tensor([0.2, 0.3, 0.5]).view(1, 3, 1, 1).repeat(1, 1, 1, 3)
    graded = truth_as_probabilities(batch._replace(soft=soft), 3)
    torch.testing.assert_close(graded[0, :, 0].T, torch.tensor([[0.2, 0.3, 0.5], [0.2, 0.3, 0.5], [0, 0, 0]]))


def test_confident_labels() -> None:
    probabilities = torch.tensor([[0.2, 0.8], [0.6, 0.4]]).T.reshape(1, 2, 1, 2)
    trusted = torch.tensor([[[True, False]]])
    assert confident_labels(probabilities, trusted).tolist() == [[[1, 255]]]


def test_the_outside_of_an_unlabelled_picture_is_known(small: Any) -> None:
    trainer = small.trainer("adversarial")
    pictures = trainer.unlabelled.batch(4, trainer.device)
    assert (trainer.unlabelled_view(pictures).label_maps == 0).all()
    trainer.training = type(trainer.training)(warp=Warp(translation=0.5))
    shifted = trainer.unlabelled_view(pictures).label_maps
    assert set(shifted.unique().tolist()) == {0, 255}
