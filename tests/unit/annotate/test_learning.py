"""The live model: it learns what is linear in the taps, and leave-one-out says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from gannotate.annotate.learning import Judgement, Learned, judge, learn, live_taps, refit, weighted_confusion
from gannotate.fitting.closed_form import discriminant, total
from gannotate.fitting.shot import Shot, draw_taps
from gannotate.generators.base import DrawOptions, Tap
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.labels import IGNORE
from gannotate.metrics.calibration import fit_temperature

Truth = Callable[[int], np.ndarray]


def look(tiny: StyleGAN2, seed: int, label_map: np.ndarray, classes: int = 3) -> Learned | None:
    return learn(tiny, Shot(seed, label_map), tiny.taps, DrawOptions(), classes)


@pytest.fixture(scope="module")
def learned(tiny: StyleGAN2, truth: Truth) -> list[Learned]:
    found = [look(tiny, seed, truth(seed)) for seed in range(5)]
    return [one for one in found if one is not None]


def test_a_picture_without_labels_tells_nothing(tiny: StyleGAN2):
    assert look(tiny, 0, np.full((16, 16), IGNORE, np.uint8)) is None
    assert refit(1, [], tiny.taps, 16) is None


def test_one_class_makes_no_model(tiny: StyleGAN2):
    one = look(tiny, 0, np.zeros((16, 16), np.uint8))
    assert one is not None
    assert refit(1, [one], tiny.taps, 16) is None


def test_what_is_linear_in_the_taps_is_learned_and_leave_one_out_sees_it(
    tiny: StyleGAN2, learned: list[Learned], truth: Truth
):
    model = refit(7, learned, tiny.taps, 16)
    assert model is not None
    assert model.number == 7
    drawn = draw_taps(tiny, [4, 5], model.decoder.tap_names, DrawOptions())
    guessed = model.decoder(drawn).argmax(dim=1).numpy()
    assert (guessed[0] == truth(4)).mean() > 0.9
    assert (guessed[1] == truth(5)).mean() > 0.7  # it never saw this one
    found = judge(learned)
    assert found.pictures == 5
    assert found.agreement is not None
    assert found.agreement > 0.6
    assert found.gain is not None
    assert found.gain > 0  # five pictures of so many channels: each one counts
    assert (guessed < 2).all()  # class 2 was never labelled


def test_leaving_out_by_subtraction_equals_learning_from_the_others(learned: list[Learned]):
    counted = np.zeros((3, 3))
    for index, one in enumerate(learned):
        others = [other.moments for other in learned[:index] + learned[index + 1 :]]
        head = discriminant(total(others))
        counted += weighted_confusion(one, torch.nan_to_num(head(one.features.float()), neginf=-1e9))
    inter, union = counted.diagonal(), counted.sum(0) + counted.sum(1) - counted.diagonal()
    expected = (inter[:2] / union[:2]).mean()
    assert judge(learned).agreement == pytest.approx(expected, abs=2e-3)


def test_the_temperature_is_that_of_what_the_pixels_stand_for(learned: list[Learned]):
    """Pixels of a class that was sampled thinly count as often as they stand for, as they do in the IoU."""
    weighted = [replace(one, weights=torch.where(one.labels == 1, 25.0, 1.0)) for one in learned]
    logits, labels = [], []
    for index, one in enumerate(weighted):
        head = discriminant(total([other.moments for other in weighted[:index] + weighted[index + 1 :]]))
        told = torch.nan_to_num(head(one.features.float()), neginf=-1e9)
        logits.append(told.repeat_interleave(one.weights.long(), dim=0))
        labels.append(one.labels.repeat_interleave(one.weights.long()))
    found = judge(weighted).temperature
    assert found == pytest.approx(fit_temperature(torch.cat(logits), torch.cat(labels)), rel=5e-3)
    assert found != pytest.approx(judge(learned).temperature, rel=0.02)  # where each pixel stands for itself


def test_the_curve_ends_at_the_agreement_and_each_class_has_its_iou(learned: list[Learned]):
    found = judge(learned)
    assert [labelled for labelled, _ in found.curve] == [1, 2, 4]
    assert found.curve[-1][1] == pytest.approx(found.agreement, abs=1e-4)
    assert found.curve[-1][1] > found.curve[0][1]  # it is linear in the taps: more pictures tell more of it
    assert found.by_class[2] is None  # never labelled
    assert np.mean(found.by_class[:2]) == pytest.approx(found.agreement, abs=2e-4)  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert judge(learned[:2]).curve == ((1, pytest.approx(judge(learned[:2]).agreement, abs=1e-4)),)
    assert judge(learned[:1]).curve == ()


def test_labels_that_mean_nothing_do_not_agree(tiny: StyleGAN2):
    rng = np.random.default_rng(0)
    noisy = [look(tiny, seed, rng.integers(0, 2, (16, 16)).astype(np.uint8)) for seed in range(5)]
    known = [one for one in noisy if one is not None]
    found = judge(known)
    assert found.agreement is not None
    assert found.agreement < 0.45  # chance is a third
    assert found.temperature > 1


@pytest.mark.parametrize(
    ("judgement", "says"),
    [
        (Judgement(0, None, None, 1.0), "begins to guess"),
        (Judgement(1, None, None, 1.0), "Label another picture"),
        (Judgement(2, 0.5, None, 1.0), "50% mIoU on pictures left out"),
        (Judgement(6, 0.8, 0.002, 1.0), "pay little now"),
        (Judgement(6, 0.8, 0.05, 1.0, 0.01), r"\+5.0 ± 1.0 points, so more of them still pay"),
        (Judgement(6, 0.8, 0.005, 1.0, 0.03), "not clear yet"),
    ],
)
def test_the_sentence_says_whether_more_labels_pay(judgement: Judgement, says: str):
    import re

    assert re.search(says, judgement.as_text())


def test_fewer_taps_are_read_of_a_wide_generator():
    sides = (4, 8, 8, 16, 16)
    taps = tuple(Tap(f"t{i}", 100, side, side) for i, side in enumerate(sides))
    assert live_taps(taps, 500) == taps
    assert [tap.name for tap in live_taps(taps, 300)] == ["t0", "t2", "t4"]
    assert [tap.name for tap in live_taps(taps, 250)] == ["t2", "t4"]
    assert [tap.name for tap in live_taps(taps, 10)] == ["t4"]
