"""Pseudo-labels: which pixels teach, how much, and the whole loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gannotate.errors import UsageError
from gannotate.labels import IGNORE
from gannotate.segmenters.semi_supervised.pseudo_labels import PseudoLabels

SlowLoss = Callable[..., float]


class Fixed(nn.Module):
    """Answers with the same class probabilities for every picture."""

    def __init__(self, probabilities: Tensor) -> None:
        super().__init__()
        self.logits = probabilities.log()

    def forward(self, pictures: Tensor) -> Tensor:
        return self.logits.expand(len(pictures), *self.logits.shape[1:])


def test_the_threshold_is_the_least_probability(small: Any) -> None:
    trainer = small.trainer("pseudo-labels", threshold=0.75)
    sure = torch.tensor([[0.75, 0.1, 0.1], [0.25, 0.1, 0.9], [0.0, 0.8, 0.0]]).clamp(min=1e-30).reshape(1, 3, 1, 3)
    trainer.network = Fixed(sure)
    assert trainer.answers(torch.zeros(2, 1, 1, 3)).tolist() == [[[0, 2, 1]]] * 2
    trainer.network = Fixed(torch.tensor([0.74, 0.2, 0.06]).reshape(1, 3, 1, 1))
    assert trainer.answers(torch.zeros(1, 1, 1, 1)).tolist() == [[[IGNORE]]]


def test_they_count_from_a_tenth_of_the_steps(small: Any) -> None:
    trainer = small.trainer("pseudo-labels")
    assert "taught" not in trainer.step(9)
    assert "taught" not in trainer.step(10)  # where the line begins
    assert "taught" in trainer.step(11)


@pytest.mark.parametrize(("index", "weight"), [(35, 1.5), (60, 3.0), (99, 3.0)])
def test_the_loss(small: Any, slow_cross_entropy: SlowLoss, index: int, weight: float) -> None:
    trainer = small.trainer("pseudo-labels", threshold=0.36)
    with small.caught(trainer) as losses:
        torch.manual_seed(3)
        metrics = trainer.step(index)
    labelled, pictures = small.draw(trainer)
    with torch.no_grad():
        own = trainer.network.train()(pictures).softmax(1)
        answers = small.apart(trainer.network, labelled.pictures, pictures).softmax(1)
    sure, likeliest = own.max(1)
    likeliest[sure < 0.36] = IGNORE
    assert 0 < metrics["taught"] < 1, "the threshold should let some pixels through and not others"
    assert metrics["taught"] == pytest.approx((likeliest != IGNORE).float().mean().item())
    expected = slow_cross_entropy(answers[:4], labelled.label_maps)
    expected += weight * metrics["taught"] * slow_cross_entropy(answers[4:], likeliest)
    assert losses[0].item() == pytest.approx(expected, rel=1e-4)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(UsageError, match=r"threshold is 1.5; give a number from 0 to 1"):
        PseudoLabels(threshold=1.5)
    with pytest.raises(UsageError, match=r"begin is 0.5 and full 0.2; give a begin that is not above full"):
        PseudoLabels(begin=0.5, full=0.2)
    with pytest.raises(UsageError, match=r"weight is -1; give 0 or more"):
        PseudoLabels(weight=-1)
    with pytest.raises(UsageError, match=r"unlabelled_batch is 1; give at least 2 pictures a step"):
        PseudoLabels(unlabelled_batch=1)
