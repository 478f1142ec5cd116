"""s4GAN: equations 3 to 5 and 9, which classes a picture shows, and the whole loss."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from gannotate.errors import UsageError
from gannotate.labels import IGNORE
from gannotate.segmenters.semi_supervised.base import completed
from gannotate.segmenters.semi_supervised.s4gan import (
    S4GAN,
    classes_shown,
    feature_distance,
    without_absent,
)
from gannotate.segmenters.sources import Batch


def test_feature_distance_by_hand() -> None:
    true, predicted = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0.0, 1.0], [0.0, 8.0], [0.0, 0.0]])
    assert feature_distance(true.mean(0), predicted.mean(0)).item() == pytest.approx((abs(2 - 0) + abs(3 - 3)) / 2)


def test_classes_up_to_the_limit_are_taken_out_but_the_background() -> None:
    probabilities = torch.full((2, 3, 1, 1), 1 / 3)
    presence = torch.tensor([[0.0, 0.2, 0.21], [0.9, 0.5, 0.1]])
    kept = without_absent(probabilities, presence, 0.2)[:, :, 0, 0]
    torch.testing.assert_close(kept, torch.tensor([[1, 0, 1], [1, 1, 0]]) / 3)


def test_absence_counts_in_pictures_that_are_labelled() -> None:
    plain = torch.zeros(3, 10, 10, dtype=torch.long)
    plain[1:, :2] = 2
    plain[2, 5:] = IGNORE  # half of it: the rest may show anything
    batch = Batch(torch.zeros(3, 1, 10, 10), plain, None)
    moved = plain.clone()
    moved[0, :5] = IGNORE  # moved out of the picture: what is left was known
    shown, counts = classes_shown(batch._replace(label_maps=moved), batch, 3)
    assert shown.tolist() == [[1, 0, 0], [1, 0, 1], [1, 0, 1]]
    assert counts.tolist() == [[1, 1, 1], [1, 1, 1], [1, 0, 1]]


@pytest.mark.parametrize(("index", "ramp"), [(10, 0.0), (35, 0.5)])
def test_the_loss(small: Any, slow_cross_entropy: Callable[..., float], index: int, ramp: float) -> None:
    trainer = small.trainer("s4gan", weight_features=3.0, weight_self=0.5, weight_classes=7.0, absent=0.4)
    trainer.judge.network.drop.p = 0.0
    trainer.teacher.load_state_dict(trainer.classifier.state_dict())
    with torch.no_grad():
        trainer.teacher.out.weight.mul_(50)  # a teacher that is decided, and apart from its student
        trainer.judge.network.out.weight.mul_(500)
    labelled, pictures = small.draw(trainer)
    with torch.no_grad():
        answers = small.apart(trainer.network, labelled.pictures, pictures).softmax(1)
        true = completed(labelled, answers[:4])
        verdicts, features = trainer.judge(answers[4:], pictures)
        trainer.judge.network.out.bias.sub_(verdicts.median() - math.log(0.6 / 0.4))  # half of them are trusted
        verdicts, features = trainer.judge(answers[4:], pictures)
        true_verdicts, true_features = trainer.judge(true, labelled.pictures)
        said = small.apart(trainer.classifier, labelled.pictures, pictures)
        taught = trainer.teacher.train()(pictures).sigmoid()
    with small.caught(trainer, trainer.judge) as losses:
        torch.manual_seed(3)
        metrics = trainer.step(index)
    trusted = verdicts.sigmoid() > 0.6
    assert 0 < metrics["taught"] < 1
    assert metrics["taught"] == pytest.approx(trusted.float().mean().item())
    own = torch.empty_like(answers[4:, 0], dtype=torch.long)
    for n in range(4):
        stays = torch.tensor([1.0, float(taught[n, 1] > 0.4), float(taught[n, 2] > 0.4)])
        own[n] = (answers[4 + n] * stays.view(3, 1, 1)).argmax(0) if trusted[n] else IGNORE
    shown = torch.stack([(labelled.label_maps == k).flatten(1).any(1) for k in range(3)], 1)
    assert shown.all(), "the squares show all classes"
    expected = slow_cross_entropy(answers[:4], labelled.label_maps)
    expected += 3 * (true_features.mean(0) - features.mean(0)).abs().mean().item()
    expected += 0.5 * slow_cross_entropy(answers[4:], own)
    expected += -said[:4].sigmoid().log().mean().item()
    expected += 7 * ramp * (said[4:].sigmoid() - taught).square().mean().item()
    assert losses[0].item() == pytest.approx(expected, rel=1e-4)
    judged = -true_verdicts.sigmoid().log().mean() - (1 - verdicts.sigmoid()).log().mean()
    assert losses[1].item() == pytest.approx(judged.item(), rel=1e-3)


def test_the_classifiers_teacher_is_its_average(small: Any) -> None:
    trainer = small.trainer("s4gan")
    expected = copy.deepcopy(trainer.classifier.out.weight.detach())
    for index in range(3):
        trainer.step(index)
        decay = min(0.9, (1 + index) / (10 + index))
        expected = decay * expected + (1 - decay) * trainer.classifier.out.weight.detach()
    torch.testing.assert_close(trainer.teacher.out.weight, expected)


def test_the_classifier_learns_which_classes_are_there(small: Any) -> None:
    trainer = small.trainer("s4gan")
    trainer.source.label_maps = trainer.source.label_maps.where(trainer.source.label_maps != 2, 0)
    for index in range(40):
        trainer.step(index)
    presence = trainer.teacher.train()(trainer.unlabelled.batch(9, trainer.device)).sigmoid().mean(0)
    assert presence[1] > 0.6
    assert presence[2] < 0.4


def test_wrong_settings_are_named() -> None:
    with pytest.raises(UsageError, match=r"absent is 1.2; give a number from 0 to 1"):
        S4GAN(absent=1.2)
    with pytest.raises(UsageError, match=r"weight_features is -1; give 0 or more"):
        S4GAN(weight_features=-1)
