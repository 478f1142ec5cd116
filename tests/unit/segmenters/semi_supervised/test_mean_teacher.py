"""Mean teacher: the teacher by hand, what it is compared with, and the whole loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gannotate.data.augment import Warp
from gannotate.errors import UsageError
from gannotate.labels import Mirror
from gannotate.segmenters.semi_supervised.mean_teacher import MeanTeacher, disagreement


def test_the_teacher_is_the_average_of_the_student(small: Any) -> None:
    trainer = small.trainer("mean-teacher")
    expected = {name: weight.detach().clone() for name, weight in trainer.network.named_parameters()}
    for index in range(3):
        torch.manual_seed(index)
        trainer.step(index)
        decay = min(0.9, (1 + index) / (10 + index))
        for name, weight in trainer.network.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * weight.detach()
    for name, weight in trainer.average.named_parameters():
        torch.testing.assert_close(weight, expected[name], atol=1e-6, rtol=1e-5, msg=name)
    assert all(weight.grad is None for weight in trainer.average.parameters())


def test_disagreement_counts_inside_alone() -> None:
    torch.manual_seed(0)
    student, teacher = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    inside = torch.rand(2, 4, 4) < 0.5
    total = 0.0
    for n, y, x in np.ndindex(2, 4, 4):
        if inside[n, y, x]:
            total += sum(float(student[n, k, y, x] - teacher[n, k, y, x]) ** 2 for k in range(3))
    assert disagreement(student, teacher, inside).item() == pytest.approx(total / int(inside.sum()))
    assert disagreement(student, teacher, torch.zeros_like(inside)).item() == 0


@pytest.mark.parametrize(("index", "ramp"), [(0, math.exp(-5)), (27, 1.0)])
def test_the_loss(small: Any, slow_cross_entropy: Callable[..., float], index: int, ramp: float) -> None:
    trainer = small.trainer("mean-teacher", noise=0.0, weight=50.0)
    with small.caught(trainer) as losses:
        torch.manual_seed(3)
        trainer.step(index)
    labelled, pictures = small.draw(trainer)
    with torch.no_grad():
        teacher = trainer.average.train()(pictures).softmax(1)
        answers = small.apart(trainer.network, labelled.pictures, pictures).softmax(1)
    expected = slow_cross_entropy(answers[:4], labelled.label_maps)
    expected += 50 * ramp * (answers[4:] - teacher).square().sum(1).mean().item()
    assert losses[0].item() == pytest.approx(expected, rel=1e-4)


class Colours(nn.Module):
    """Answers of each pixel what its grey says: wherever that is moved, but for the classes that a mirror swaps."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(pictures), 3 * pictures, -3 * pictures], 1)


def test_the_answer_moves_with_the_picture(small: Any) -> None:
    trainer = small.trainer("mean-teacher", noise=0.0)
    trainer.network = trainer.average = Colours()
    trainer.training = replace(trainer.training, warp=Warp(), mirror=Mirror("yes"))
    with small.caught(trainer):
        torch.manual_seed(5)  # flips some of the four
        still = trainer.step(5)["disagreement"]
        assert still < 0.015  # not 0: interpolation is linear, the softmax is not
        trainer.training = replace(trainer.training, mirror=Mirror("swap", ((1, 2),)))
        torch.manual_seed(5)
        assert trainer.step(5)["disagreement"] > 0.15


def test_each_view_has_noise_of_its_own(small: Any) -> None:
    trainer = small.trainer("mean-teacher", noise=0.5)
    zeros = torch.zeros(4, 1, 16, 16)
    first, second = trainer.noisy(zeros), trainer.noisy(zeros)
    assert first.std().item() == pytest.approx(0.5, rel=0.1)
    assert abs(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]) < 0.2


def test_wrong_settings_are_named() -> None:
    with pytest.raises(UsageError, match=r"noise is -0.1; give 0 or more"):
        MeanTeacher(noise=-0.1)
    with pytest.raises(UsageError, match=r"ramp is 2; give a number from 0 to 1"):
        MeanTeacher(ramp=2)
