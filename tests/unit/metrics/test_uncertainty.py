"""Uncertainty against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gannotate.metrics.uncertainty import entropy, entropy_levels, jensen_shannon, level_of_picture, of_pictures


def test_entropy_of_certain_and_of_even_pixels():
    certain = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(4, 1, 1)
    even = torch.full((4, 1, 1), 0.25)
    torch.testing.assert_close(entropy(certain), torch.zeros(1, 1))
    torch.testing.assert_close(entropy(even), torch.full((1, 1), math.log(4)))


def test_members_that_agree_do_not_disagree_however_unsure():
    members = torch.full((1, 5, 2, 3, 3), 0.5)
    torch.testing.assert_close(jensen_shannon(members), torch.zeros(1, 3, 3))


def test_two_certain_members_that_contradict_each_other_disagree_by_log_two():
    members = torch.zeros(1, 2, 2, 1, 1)
    members[0, 0, 0], members[0, 1, 1] = 1.0, 1.0
    torch.testing.assert_close(jensen_shannon(members), torch.full((1, 1, 1), math.log(2)))


def test_a_picture_is_its_worst_tenth():
    pixels = torch.arange(100.0).view(1, 10, 10)
    torch.testing.assert_close(of_pictures(pixels), torch.tensor([94.5]))
    torch.testing.assert_close(of_pictures(pixels, top=0.001), torch.tensor([99.0]))


def test_levels_are_the_entropy_on_a_scale_to_log_k():
    logits = torch.from_numpy(np.random.default_rng(0).normal(0, 2, (5, 6, 7)))
    probabilities = logits.softmax(dim=0)
    expected = (entropy(probabilities) * 255 / math.log(5)).round().to(torch.uint8)
    assert (entropy_levels(probabilities.numpy().astype(np.float32)) == expected.numpy()).all()
    assert (entropy_levels(np.full((3, 1, 1), 1 / 3, np.float32)) == 255).all()
    assert (entropy_levels(np.eye(2, dtype=np.float32).reshape(2, 1, 2)) == 0).all()


def test_the_level_of_a_picture_is_its_worst_tenth():
    levels = np.zeros((10, 10), np.uint8)
    levels[0] = np.arange(246, 256)
    assert level_of_picture(levels) == pytest.approx(250.5 / 255)
    assert level_of_picture(levels, top=0.001) == 1.0
