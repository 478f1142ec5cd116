"""Choosing taps by leave-one-out."""

from __future__ import annotations

import pytest
import torch

from gannotate.fitting.tap_choice import choose_taps, runs, tap_group
from gannotate.generators.base import Tap

TAPS = (Tap("b4.conv1", 30, 4, 4), Tap("b8.conv0", 6, 8, 8), Tap("b8.conv1", 6, 8, 8), Tap("b64.conv1", 40, 64, 64))
PIXELS = 120


def pictures(
    informative: dict[str, float], count: int, bias: float = 0.0, seed: int = 0
) -> tuple[list[dict[str, torch.Tensor]], list[torch.Tensor]]:
    """Random features; the tap's first channel tells the class apart where it is informative.

    `bias` gives every other tap a constant of its own in each picture that goes with the classes there, and means
    nothing elsewhere: what a head must not learn.
    """
    generator = torch.Generator().manual_seed(seed)
    found, labels = [], []
    for _ in range(count):
        truth = torch.randint(0, 2, (PIXELS,), generator=generator)
        features = {tap.name: torch.randn(PIXELS, tap.channels, generator=generator) for tap in TAPS}
        for tap in TAPS:
            if tap.name in informative:
                features[tap.name][:, 0] += informative[tap.name] * truth
            elif bias:
                direction = torch.randn(tap.channels, generator=generator)
                features[tap.name] += bias * direction * truth[:, None]
        found.append(features)
        labels.append(truth)
    return found, labels


def test_finds_the_taps_that_carry_over_to_other_pictures():
    choice = choose_taps(TAPS, *pictures({"b8.conv0": 3.0, "b8.conv1": 3.0}, 6, bias=2.0), 2)
    assert choice is not None
    assert choice.chosen.names == ("b8.conv0", "b8.conv1")
    assert choice.gain > 2 * choice.standard_error > 0
    assert choice.chosen.miou > 0.9
    assert "taps: 8-8 px" in choice.as_text()
    assert choice.as_dict()["taps"] == ["b8.conv0", "b8.conv1"]


def test_keeps_all_when_all_of_them_help():
    choice = choose_taps(TAPS, *pictures({tap.name: 1.2 for tap in TAPS}, 6), 2)
    assert choice is not None
    assert len(choice.chosen.names) == 4
    assert choice.gain == 0
    assert "taps: all" in choice.as_text()


def test_needs_two_labelled_pictures():
    features, labels = pictures({"b8.conv0": 3.0}, 2)
    assert choose_taps(TAPS, features[:1], labels[:1], 2) is None
    labels[1][:] = 255
    assert choose_taps(TAPS, features, labels, 2) is None


def test_a_picture_that_holds_one_class_alone_is_no_crash():
    features, labels = pictures({"b8.conv0": 3.0}, 2)
    labels[0][:] = 0
    choice = choose_taps(TAPS, features, labels, 2)
    assert choice is not None
    assert 0.0 in choice.chosen.mious


def test_runs_are_of_neighbours_and_begin_with_all():
    found = runs(TAPS)
    assert [(low, high) for low, high, _ in found[:1]] == [(4, 64)]
    assert len(found) == 6
    assert (8, 8, ("b8.conv0", "b8.conv1")) in found
    assert (4, 64, ("b4.conv1", "b64.conv1")) not in found


@pytest.mark.parametrize(
    ("side", "group"), [(4, "coarse"), (8, "coarse"), (16, "middle"), (32, "middle"), (64, "fine")]
)
def test_groups_are_those_of_the_paper(side: int, group: str):
    assert tap_group(Tap("b.conv", 1, side, side)) == group
