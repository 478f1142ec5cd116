"""Guided collaboration: flaws, who teaches whom, and the whole loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import convolve

from gannotate.errors import UsageError
from gannotate.labels import IGNORE
from gannotate.segmenters.build import build_network, save_segmenter
from gannotate.segmenters.semi_supervised.gct import (
    NO_FLAW,
    GuidedCollaboration,
    blur,
    dynamic_targets,
    flaw_truth,
    smooth,
    stretch,
)
from gannotate.segmenters.sources import truth_as_probabilities


def test_blur_by_a_kernel() -> None:
    torch.manual_seed(0)
    maps, window = torch.rand(2, 16, 16), 5
    places = np.arange(5) - 2
    kernel = np.exp(-(places[:, None] ** 2 + places[None] ** 2) / (2 * 1.1**2))  # 0.3 * 1 + 0.8
    for blurred, picture in zip(blur(maps, window), maps, strict=True):
        expected = convolve(picture.numpy(), kernel / kernel.sum(), mode="mirror")
        np.testing.assert_allclose(blurred.numpy(), expected, atol=1e-5)
    torch.testing.assert_close(blur(maps, 4), blur(maps, 5))
    torch.testing.assert_close(blur(maps, 0), maps)


@given(st.integers(1, 16).map(lambda step: 8 * step), st.sampled_from([4, 8, 16]))
def test_blur_fits_every_picture_and_keeps_what_is_even(side: int, part: int) -> None:
    torch.testing.assert_close(blur(torch.full((1, side, side), 0.3), side // part), torch.full((1, side, side), 0.3))


def test_stretch() -> None:
    stretched = stretch(torch.stack([torch.tensor([[1.0, 3.0], [2.0, 1.0]]), torch.full((2, 2), 7.0)]))
    torch.testing.assert_close(stretched, torch.stack([torch.tensor([[0, 1.0], [0.5, 0]]), torch.zeros(2, 2)]))


def test_the_truth_about_flaws() -> None:
    answers = torch.zeros(2, 3, 16, 16)
    answers[:, 0] = 1
    truth = answers.clone()
    truth[0, 0, 8, 8], truth[0, 2, 8, 8] = 0, 1
    known = torch.ones(2, 16, 16, dtype=torch.bool)
    flaws = flaw_truth(answers, truth, known, repeats=1)
    assert flaws[1].abs().max() == 0
    assert flaws[0, 8, 8].item() == pytest.approx(1, abs=1e-3)
    assert flaws[0, 8, 10] > flaws[0, 8, 12]
    # the error is |1 - 0| / 2 + |0 - 1| / 2 = 1 in one pixel; blurred over 3 px, widened, blurred over 5 px
    one = torch.zeros(1, 16, 16)
    one[0, 8, 8] = 1
    wide = torch.nn.functional.max_pool2d(blur(one, 3), 3, 1, 1)
    torch.testing.assert_close(flaws[:1], stretch(blur(wide, 5)))
    torch.testing.assert_close(flaw_truth(answers, truth, known, repeats=0)[:1], stretch(blur(one, 3)))
    known[0, 8, 8] = False
    assert flaw_truth(answers, truth, known, repeats=1).abs().max() == 0


def test_flaw_maps_are_made_fit_to_compare() -> None:
    faint, strong = torch.full((16, 16), -1.0), torch.full((16, 16), -1.0)
    faint[:8], strong[:8] = NO_FLAW - 0.01, 5.0
    fit = smooth(torch.stack([faint, strong]))
    assert fit[0].abs().max() == 0
    assert (fit[1].min().item(), fit[1].max().item()) == pytest.approx((0, 1))


def test_the_less_flawed_teaches_pixel_by_pixel() -> None:
    #                  worse, better, equal, first bad, second bad, both bad
    first_flaws = torch.tensor([[[0.5, 0.2, 0.3, 0.7, 0.1, 0.9]]])
    second_flaws = torch.tensor([[[0.4, 0.3, 0.3, 0.5, 0.8, 0.7]]])
    first, second = torch.zeros(1, 2, 1, 6), torch.ones(1, 2, 1, 6)
    (for_first, for_second), bad = dynamic_targets(first, second, first_flaws, second_flaws, 0.6)
    assert for_first[0, :, 0].tolist() == [[1, 0, 0, 1, 0, 0]] * 2
    assert for_second[0, :, 0].tolist() == [[1, 0, 1, 1, 0, 1]] * 2
    assert bad[0, 0].tolist() == [False] * 5 + [True]


@pytest.mark.parametrize(("index", "ramp"), [(0, math.exp(-5)), (50, 1.0)])
def test_the_loss(small: Any, slow_cross_entropy: Callable[..., float], index: int, ramp: float) -> None:
    weights = {"weight_consistency": 30.0, "weight_correction": 20.0, "weight_detector": 2.0}
    trainer = small.trainer("gct", threshold=0.4, **weights)
    with small.caught(trainer, trainer.judge) as losses:
        torch.manual_seed(3)
        metrics = trainer.step(index)
    labelled, pictures = small.draw(trainer)
    both = torch.cat([labelled.pictures, pictures])
    known = labelled.label_maps != IGNORE
    with torch.no_grad():
        networks = trainer.network, trainer.second
        answers = [small.apart(network, labelled.pictures, pictures).softmax(1) for network in networks]
        flaws = [trainer.judge(both, each) for each in answers]
    fit = [smooth(each) for each in flaws]
    bad = (fit[0] > 0.4) & (fit[1] > 0.4)
    assert metrics["flawed"] > 0
    assert metrics["flawed"] == pytest.approx(bad.float().mean().item())
    expected = judged = 0.0
    truth = truth_as_probabilities(labelled, 3)
    for own, other in ((0, 1), (1, 0)):
        expected += slow_cross_entropy(answers[own][:4], labelled.label_maps)
        mine, theirs = (torch.where(fit[each] > 0.4, 1.0, fit[each]) for each in (own, other))
        squares = (answers[own] - answers[other]).square() * (mine > theirs).unsqueeze(1)
        expected += 30 * ramp * squares.sum(1).mean().item()
        expected += 20 * (flaws[own].square() * bad).mean().item()
        target = flaw_truth(answers[own][:4], truth, known, 1)
        judged += (flaws[own][:4] - target)[known].square().mean().item() / 2
    assert losses[0].item() == pytest.approx(expected, rel=1e-4)
    assert losses[1].item() == pytest.approx(2 * judged, rel=1e-4)


def test_the_two_start_apart_and_both_learn(small: Any) -> None:
    trainer = small.trainer("gct")
    name = "head.weight"
    before = [network.state_dict()[name].clone() for network in (trainer.network, trainer.second)]
    assert not torch.equal(before[0], before[1])
    trainer.step(0)
    for network, was in zip((trainer.network, trainer.second), before, strict=True):
        assert not torch.equal(network.state_dict()[name], was)
    rates = {group["lr"] for group in trainer.optimizer.param_groups}
    assert len(rates) == 1


def test_start_weights_are_the_encoders_alone(small: Any, tmp_path: Path) -> None:
    config = replace(small.config, architecture="unet", encoder="resnet18", depth=3)
    save_segmenter(tmp_path, build_network(config), config)
    small.config = replace(config, weights=str(tmp_path))
    trainer = small.trainer("gct")
    first, second = trainer.network.state_dict(), trainer.second.state_dict()
    apart = {name.split(".")[0] for name, one in first.items() if not torch.equal(one, second[name])}
    assert apart == {"decoder", "segmentation_head"}
    assert trainer.step(0)["disagreement"] > 0


def test_wrong_settings_are_named() -> None:
    with pytest.raises(UsageError, match=r"threshold is 2; give a number from 0 to 1"):
        GuidedCollaboration(threshold=2)
    with pytest.raises(UsageError, match=r"repeats is -1; give a number from 0 to 16"):
        GuidedCollaboration(repeats=-1)
