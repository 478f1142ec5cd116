"""Annotated pixels: which are chosen, what they stand for, and their features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gannotate.features.stack import stack
from gannotate.fitting.pixels import annotated_pixels, choose_places, sampling_weights
from gannotate.fitting.shot import Shot, draw_taps
from gannotate.generators.base import DrawOptions
from gannotate.generators.stylegan2 import StyleGAN2

Shots = Callable[[int], list[Shot]]


@given(st.integers(1, 200), st.integers(0, 2**31))
def test_chosen_places_stand_for_all_labelled_ones(most: int, seed: int):
    random = np.random.default_rng(seed)
    label_map = random.choice(np.array([0, 0, 0, 0, 1, 2, 255], np.uint8), (12, 12))
    places = choose_places(label_map, most, np.random.default_rng(0))
    assert len(places.y) == min(most, int((label_map != 255).sum()))
    assert (label_map[places.y, places.x] == places.labels).all()
    assert len({*zip(places.y.tolist(), places.x.tolist(), strict=True)}) == len(places.y)
    for k in np.unique(places.labels):
        assert places.stands_for[places.labels == k].sum() == pytest.approx((label_map == k).sum())


def test_a_small_class_is_taken_whole_and_the_large_one_fills_up():
    label_map = np.zeros((20, 20), np.uint8)
    label_map[0, :7] = 1
    places = choose_places(label_map, 100, np.random.default_rng(0))
    assert np.bincount(places.labels).tolist() == [93, 7]


def test_features_are_those_of_the_stack(tiny: StyleGAN2, positive: Shots):
    shots = positive(2)
    (_, second) = annotated_pixels(tiny, shots, tiny.taps, DrawOptions(), "bilinear", most=50)
    places = choose_places(shots[1].label_map, 50, np.random.default_rng(0))
    full = stack(draw_taps(tiny, [1], [tap.name for tap in tiny.taps], DrawOptions()), tiny.taps, 16)[0]
    every = full.flatten(1).t()
    # each sampled row is a row of the stack, up to half precision
    nearest = torch.cdist(second.features.float(), every).min(dim=1)
    assert nearest.values.max() < 0.02 * every.norm(dim=1).mean()
    assert (torch.from_numpy(shots[1].label_map.ravel())[nearest.indices] == second.labels).all()
    assert len(places.y) == len(second.labels)
    by_tap = second.by_tap(tiny.taps)
    assert torch.equal(torch.cat(list(by_tap.values()), dim=1), second.features)


@pytest.mark.parametrize(("balance", "expected"), [(0.0, 0.9), (0.5, 0.75), (1.0, 0.5)])
def test_balance_goes_from_the_pictures_share_to_equal(balance: float, expected: float):
    # 90 pixels of class 0 stand for themselves; 5 of class 2 stand for two each; class 1 is absent
    labels = torch.tensor([0] * 90 + [2] * 5)
    stands_for = torch.tensor([1.0] * 90 + [2.0] * 5)
    weights = sampling_weights(labels, stands_for, balance)
    assert float(weights.sum()) == pytest.approx(1, abs=1e-5)
    assert float(weights[:90].sum()) == pytest.approx(expected, abs=1e-5)
