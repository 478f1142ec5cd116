"""Augmentation moves picture, label map and probabilities alike, and what comes from outside is IGNORE."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.data.augment import (
    ALIGNED,
    REPURPOSE,
    STILL,
    Augmentation,
    Warp,
    affine_maps,
    augment,
    change_colours,
    warp_together,
)
from gannotate.errors import UsageError
from gannotate.labels import IGNORE, Mirror

NOT_FLIPPED = torch.tensor([False])
UPRIGHT = torch.zeros(1)


def scene(count: int = 4, side: int = 32, classes: int = 4, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Blocks of classes; the picture's grey is a function of the class, and the probabilities are one-hot."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(classes, (count, 4, 4), generator=generator)
    label_maps = coarse.repeat_interleave(side // 4, 1).repeat_interleave(side // 4, 2)
    pictures = (label_maps / (classes - 1) * 2 - 1).unsqueeze(1).float()
    soft = torch.nn.functional.one_hot(label_maps, classes).permute(0, 3, 1, 2).float()
    return pictures, label_maps, soft


def test_nothing_asked_for_changes_nothing() -> None:
    pictures, label_maps, soft = scene()
    moved = augment(pictures, label_maps, soft, Augmentation(warp=STILL))
    torch.testing.assert_close(moved[0], pictures, atol=1e-5, rtol=0)
    torch.testing.assert_close(moved[1], label_maps)
    torch.testing.assert_close(moved[2], soft, atol=1e-5, rtol=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([ALIGNED, REPURPOSE]), st.booleans(), st.booleans())
def test_picture_labels_and_probabilities_stay_together(seed: int, warp: Warp, turn90: bool, flip: bool) -> None:
    pictures, label_maps, soft = scene(seed=seed)
    torch.manual_seed(seed)
    how = Augmentation(warp=warp, turn90=turn90, mirror=Mirror("yes" if flip else "no"))
    pictures, label_maps, soft = augment(pictures, label_maps, soft, how)
    assert soft is not None
    torch.testing.assert_close(soft.sum(1), torch.ones_like(soft[:, 0]), atol=1e-4, rtol=0)
    # away from the borders of classes all three tell the same class
    sure = (soft.max(1).values > 0.99) & (label_maps != IGNORE)
    assert sure.float().mean() > 0.15
    torch.testing.assert_close(soft.argmax(1)[sure], label_maps[sure])
    torch.testing.assert_close(pictures[:, 0][sure], label_maps[sure] / 3 * 2 - 1, atol=0.05, rtol=0)


def test_outside_is_ignored_and_never_class_zero() -> None:
    pictures, label_maps = torch.ones(1, 1, 16, 16), torch.zeros(1, 16, 16, dtype=torch.long)
    smaller = affine_maps(Warp(scale_low=0.5, scale_high=0.5, rotation_deg=0, translation=0), NOT_FLIPPED, UPRIGHT)
    moved, labels = warp_together(pictures, label_maps, smaller)
    expected = torch.full((1, 16, 16), IGNORE)
    expected[:, 4:12, 4:12] = 0
    torch.testing.assert_close(labels, expected)
    assert moved.min() > 0.99  # the picture goes on beyond its border, mirrored


def test_shift_by_whole_pixels() -> None:
    label_maps = torch.arange(64).view(1, 8, 8)
    theta = torch.tensor([[[1.0, 0, 2 * 2 / 8], [0, 1, -2 * 1 / 8]]])  # look 2 px to the right and 1 px up
    _, labels = warp_together(torch.zeros(1, 1, 8, 8), label_maps, theta)
    torch.testing.assert_close(labels[0, 1:, :-2], label_maps[0, :-1, 2:])
    assert (labels[0, 0] == IGNORE).all()
    assert (labels[0, :, -2:] == IGNORE).all()


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns_move_every_pixel_exactly(turns: int) -> None:
    label_maps = torch.arange(36).view(1, 6, 6)
    pictures = label_maps.unsqueeze(1) / 36.0
    moved, labels = warp_together(pictures, label_maps, affine_maps(STILL, NOT_FLIPPED, torch.tensor([turns * 1.0])))
    expected = {torch.rot90(label_maps, k, (1, 2)).flatten().numpy().tobytes() for k in (turns, -turns)}
    assert labels.flatten().numpy().tobytes() in expected
    torch.testing.assert_close(moved[:, 0], labels / 36.0, atol=1e-4, rtol=0)


def test_flips_keep_left_and_right_themselves() -> None:
    label_maps = torch.tensor([[[1, 0, 0, 2], [1, 0, 2, 255]]]).repeat(64, 2, 1)
    pictures = label_maps.unsqueeze(1) / 255.0
    soft = torch.nn.functional.one_hot(label_maps.clamp(max=2), 3).permute(0, 3, 1, 2).float()
    torch.manual_seed(0)
    mirror = Mirror("swap", ((1, 2),))
    _, labels, moved = augment(pictures, label_maps, soft, Augmentation(warp=STILL, mirror=mirror))
    expected = torch.from_numpy(mirror.flip(label_maps[0].numpy().astype(np.uint8)).astype(np.int64))
    flipped = torch.tensor([bool((one == expected).all()) for one in labels])
    assert 16 < int(flipped.sum()) < 48
    torch.testing.assert_close(labels[~flipped], label_maps[~flipped])
    assert moved is not None
    known = labels != IGNORE
    torch.testing.assert_close(moved.argmax(1)[known], labels[known])


def test_no_flip_where_it_is_forbidden() -> None:
    pictures, label_maps, _ = scene(count=64)
    _, labels, _ = augment(pictures, label_maps, None, Augmentation(warp=STILL, mirror=Mirror("no")))
    torch.testing.assert_close(labels, label_maps)


def test_draws_stay_in_their_ranges_and_follow_the_seed() -> None:
    torch.manual_seed(1)
    theta = affine_maps(REPURPOSE, torch.zeros(2000, dtype=torch.bool), torch.zeros(2000))
    torch.manual_seed(1)
    torch.testing.assert_close(theta, affine_maps(REPURPOSE, torch.zeros(2000, dtype=torch.bool), torch.zeros(2000)))
    scale = torch.linalg.det(theta[:, :, :2]) ** -0.5
    assert 0.5 - 1e-4 <= scale.min() < 0.55
    assert 1.9 < scale.max() <= 2 + 1e-4
    angle = torch.rad2deg(torch.atan2(theta[:, 0, 1], theta[:, 0, 0]))
    assert 9.5 < angle.abs().max() <= 10.001
    shift = torch.linalg.solve(theta[:, :, :2], theta[:, :, 2:]).abs() / 2
    assert 0.47 < shift.max() <= 0.5 + 1e-4


def test_colours_change_apart_for_each_picture_and_stay_in_range() -> None:
    torch.manual_seed(0)
    pictures = torch.linspace(-1, 1, 64).view(1, 1, 8, 8).repeat(5, 3, 1, 1)
    changed = change_colours(pictures)
    assert changed.min() >= -1
    assert changed.max() <= 1
    assert len({round(float(one.mean()), 3) for one in changed}) == 5


def test_wrong_strengths() -> None:
    with pytest.raises(UsageError, match="smaller first"):
        Warp(scale_low=2, scale_high=1)
    with pytest.raises(UsageError, match="0 or more"):
        Warp(translation=-0.1)
