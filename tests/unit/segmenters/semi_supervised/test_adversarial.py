"""Adversarial learning: equations 1, 4 and 5 pixel by pixel, the whole loss, and who learns from what."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gannotate.errors import UsageError
from gannotate.labels import IGNORE
from gannotate.segmenters.semi_supervised.adversarial import (
    Adversarial,
    discriminator_loss,
    taken_for_true,
    trusted_pixels,
)
from gannotate.segmenters.semi_supervised.base import completed


def sigmoid(value: torch.Tensor) -> float:
    return 1 / (1 + math.exp(-float(value)))


def test_the_discriminators_losses_pixel_by_pixel() -> None:
    torch.manual_seed(0)
    true, predicted, known = torch.randn(2, 3, 3), torch.randn(2, 3, 3), torch.rand(2, 3, 3) < 0.7
    judged, fooled, count = 0.0, 0.0, int(known.sum())
    for place in np.ndindex(2, 3, 3):
        if known[place]:
            judged -= math.log(sigmoid(true[place])) + math.log(1 - sigmoid(predicted[place]))
            fooled -= math.log(sigmoid(predicted[place]))
    assert discriminator_loss(true, predicted, known).item() == pytest.approx(judged / count, rel=1e-5)
    assert taken_for_true(predicted, known).item() == pytest.approx(fooled / count, rel=1e-5)
    assert taken_for_true(predicted, torch.zeros_like(known)).item() == 0


def test_pixels_are_trusted_above_the_threshold() -> None:
    odds = torch.tensor([0.19, 0.21, 0.99]).logit().view(1, 1, 3)
    assert trusted_pixels(odds, 0.2).tolist() == [[[False, True, True]]]


@pytest.mark.parametrize("index", [24, 25])
def test_the_loss(small: Any, slow_cross_entropy: Callable[..., float], index: int) -> None:
    trainer = small.trainer("adversarial", weight_labelled=0.5, weight_unlabelled=0.7, weight_self=0.9, threshold=0.5)
    with torch.no_grad():
        for weight in trainer.judge.network.parameters():
            weight.mul_(3)  # a new judge is undecided: this one trusts some
    with small.caught(trainer, trainer.judge) as losses:
        torch.manual_seed(3)
        metrics = trainer.step(index)
    labelled, pictures = small.draw(trainer)
    known = labelled.label_maps != IGNORE
    with torch.no_grad():
        answers = small.apart(trainer.network, labelled.pictures, pictures).softmax(1)
        verdicts = trainer.judge(answers)
        true_verdicts = trainer.judge(completed(labelled, answers[:4]))
    trusted = verdicts[4:].sigmoid() > 0.5
    assert metrics["taught"] > 0
    assert metrics["taught"] == pytest.approx(trusted.float().mean().item())
    expected = slow_cross_entropy(answers[:4], labelled.label_maps)
    expected += 0.5 * -verdicts[:4][known].sigmoid().log().mean().item()
    expected += 0.7 * -verdicts[4:].sigmoid().log().mean().item()
    if index >= 25:  # a quarter of the steps
        own = torch.where(trusted, answers[4:].argmax(1), IGNORE)
        expected += 0.9 * slow_cross_entropy(answers[4:], own)
    assert losses[0].item() == pytest.approx(expected, rel=1e-4)
    judged = -true_verdicts[known].sigmoid().log() - (1 - verdicts[:4][known].sigmoid()).log()
    assert losses[1].item() == pytest.approx(judged.mean().item(), rel=1e-4)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(UsageError, match=r"threshold is -0.1; give a number from 0 to 1"):
        Adversarial(threshold=-0.1)
    with pytest.raises(UsageError, match=r"weight_self is -1; give 0 or more"):
        Adversarial(weight_self=-1)
    with pytest.raises(UsageError, match=r"width is 0; give a number from 1 to 1024"):
        Adversarial(width=0)
