"""Uncertainty against closed forms."""

from __future__ import annotations

import math

import torch

from gannotate.metrics.uncertainty import entropy, jensen_shannon, of_pictures


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
