"""Protocols against closed forms, an obvious reference, the papers' own figures, and torchmetrics where it is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.errors import GannotateError, UsageError
from gannotate.metrics.confusion import confusion, scores
from gannotate.metrics.protocols import PROTOCOLS, Protocol, choose, count_pictures, figures, find_protocol
from gannotate.torchvision_operators import make_importable

COUNTS = np.array([[60, 20, 0, 0], [10, 10, 0, 0], [0, 0, 0, 0], [0, 4, 0, 16]])
"""IoU: 60/90, 10/44, absent, 16/20."""


def protocol(**changes: object) -> Protocol:
    usual = dict(name="x", about="", source="", figure="miou", absent="skip", choice="validation", chosen_by="miou")
    return Protocol(**(usual | changes))  # pyright: ignore[reportArgumentType]


def test_averages_by_hand():
    found = figures(COUNTS, protocol())
    ious = (60 / 90, 10 / 44, None, 16 / 20)
    assert found.per_class == pytest.approx(ious)
    assert found.miou == pytest.approx((60 / 90 + 10 / 44 + 16 / 20) / 3)
    assert found.fg_miou == pytest.approx((10 / 44 + 16 / 20) / 2)
    assert found.area_iou == pytest.approx((80 * 60 / 90 + 20 * 10 / 44 + 20 * 16 / 20) / 120)
    assert found.fg_area_iou == pytest.approx((20 * 10 / 44 + 20 * 16 / 20) / 40)
    assert found.pixel_accuracy == pytest.approx(86 / 120)


def test_an_absent_class_as_zero():
    found = figures(COUNTS, protocol(absent="zero"))
    assert found.miou == pytest.approx((60 / 90 + 10 / 44 + 0 + 16 / 20) / 4)
    assert found.fg_miou == pytest.approx((10 / 44 + 0 + 16 / 20) / 3)
    assert found.area_iou == pytest.approx(figures(COUNTS, protocol()).area_iou)  # it has no area


def test_ignored_classes_count_neither_as_truth_nor_in_averages_but_as_wrong_answers():
    found = figures(COUNTS, protocol(ignore=(0,)))
    # of class 1: 10 right, 10 called class 0, and 4 of class 3 called 1; the 20 of class 0 called 1 do not count
    assert found.per_class == pytest.approx((None, 10 / 24, None, 16 / 20))
    assert found.miou == found.fg_miou == pytest.approx((10 / 24 + 16 / 20) / 2)
    assert found.pixel_accuracy == pytest.approx(26 / 40)
    assert COUNTS[0, 0] == 60, "the counts were changed"


def test_nothing_to_count_is_said():
    with pytest.raises(GannotateError, match="nothing to score"):
        figures(np.array([[5, 1], [0, 0]]), protocol(ignore=(0,)))
    with pytest.raises(UsageError, match="ignores class 4, there are 4 classes"):
        figures(COUNTS, protocol(ignore=(4,)))
    with pytest.raises(GannotateError, match="there is no FG-mIoU: no pixel is of a foreground class"):
        figures(np.array([[5, 0], [0, 0]]), protocol()).value("fg_miou")


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    classes = draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    present = rng.choice(classes, rng.integers(1, classes + 1), replace=False).astype(np.uint8)
    shape = (draw(st.integers(1, 4)), 3, 4)
    truth, answers = rng.choice(present, shape), rng.choice(present, shape)
    truth[rng.random(shape) < 0.2] = 255
    truth[0, 0, 0] = present[0]
    return truth, answers, classes


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from(["skip", "zero"]))
def test_without_ignored_classes_they_are_the_confusions_own(case: tuple[np.ndarray, np.ndarray, int], absent: str):
    truth, answers, classes = case
    counts = confusion(truth, answers, classes)
    found, base = figures(counts, protocol(absent=absent)), scores(counts, absent)  # pyright: ignore[reportArgumentType]
    for name in ("miou", "fg_miou", "area_iou", "pixel_accuracy", "per_class"):
        assert getattr(found, name) == pytest.approx(getattr(base, name))
    np.testing.assert_array_equal(count_pictures(truth, answers, classes).sum(axis=0), counts)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_ignoring_a_class_is_ignoring_its_pixels(case: tuple[np.ndarray, np.ndarray, int]):
    truth, answers, classes = case
    if not ((truth != 0) & (truth != 255)).any():
        return
    without = np.where(truth == 0, 255, truth).astype(np.uint8)
    found = figures(confusion(truth, answers, classes), protocol(ignore=(0,)))
    expected = scores(confusion(without, answers, classes))
    assert found.pixel_accuracy == pytest.approx(expected.pixel_accuracy)
    assert found.per_class[1:] == pytest.approx(expected.per_class[1:])
    assert found.fg_miou == pytest.approx(expected.fg_miou)


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_every_protocol_is_whole(name: str):
    one = find_protocol(name)
    assert one.name == name
    assert one.about
    assert one.source
    assert (one.choice == "folds") == bool(one.folds)
    assert 0 <= figures(COUNTS, one).value(one.figure) <= 1


def test_absent_classes_as_each_peer_has_them():
    zero = {name for name, one in PROTOCOLS.items() if one.absent == "zero"}
    lagm = {"lagm-fg", "lagm-all", "lagm-cgpart", "lagm-cv"}
    assert zero == lagm | {"datasetgan-cv", "datasetgan-best", "ddpm-fg", "semantic-projection"}
    # its code divides by the union and a tiny number, and averages over all classes
    alone = figures(np.array([[5, 0], [0, 0]]), PROTOCOLS["semantic-projection"])
    assert alone.miou == 0.5
    assert PROTOCOLS["pixelssl"].absent == "skip"
    assert PROTOCOLS["lagm-cv"].last == 20


def test_a_choice_on_test_is_said_loudly():
    for name in ("datasetgan-best", "lagm-cgpart"):
        assert any(f"NOTE: the authors of {name} chose" in note for note in find_protocol(name).notes())
    assert any("no spread over seeds" in note for note in find_protocol("datasetgan-cv").notes())
    assert find_protocol("lagm-fg").notes() == []


def test_unknown_names_are_refused():
    with pytest.raises(UsageError, match=r"there is no protocol 'lagm'; use one of plain, .*; did you mean 'lagm-"):
        find_protocol("lagm")


SHOTS = {"1": ((0.578, 0.711, 0.760), 0.717), "5": ((0.736, 0.840, 0.821), 0.821), "10": ((0.759, 0.853, 0.827), 0.835)}
"""RepurposeGAN's Table 2: IoU of eyes, mouth and nose, and the weighted average that the paper gives for them."""


def test_repurposegans_average_is_of_parts_alone():
    """One set of areas of the three parts explains the paper's averages; background (IoU near 1) has no place in it."""
    parts = np.array([ious for ious, _ in SHOTS.values()])
    told = np.array([average for _, average in SHOTS.values()])
    areas = np.linalg.lstsq(np.vstack([parts, np.full((1, 3), 100.0)]), np.append(told, 100.0), rcond=None)[0]
    assert (areas > 0.05).all()
    assert areas.sum() == pytest.approx(1, abs=1e-3)
    assert np.abs(parts @ areas - told).max() < 0.005
    with_background = (0.9 * 0.98 + 0.1 * parts @ areas).min()
    assert with_background > told.max()


TABLES = {"car": ((75.5, 17.8, 29.3, 57.2, 62.4, 70.7), 52.2), "horse": ((50.1, 70.5, 49.6, 19.9, 81.6), 53.1)}
"""RepurposeGAN's Tables 4 to 6: IoU of the parts and, last, of background, and the average that the paper gives."""


def test_repurposegans_average_of_horses_is_not_the_mean_that_it_is_for_cars():
    means = {name: float(np.mean(ious)) for name, (ious, _) in TABLES.items()}
    assert means == {"car": pytest.approx(52.15), "horse": pytest.approx(54.34)}
    assert abs(means["car"] - TABLES["car"][1]) < 0.051
    assert abs(means["horse"] - TABLES["horse"][1]) > 1
    assert np.mean(TABLES["horse"][0][:-1]) == pytest.approx(47.525)  # nor is it that of the parts alone
    (note,) = find_protocol("repurpose-mean").notes()
    assert "(Table 6) 54.3, where it says 53.1" in note


HAIR = ((0.8831, 0.7549), (0.8967, 0.8243))
"""Teaching GAN's Table 2: accuracy, and the mean IoU of hair and background."""


@given(st.floats(0.5, 0.999), st.floats(0, 1))
def test_the_mean_iou_of_two_classes_has_a_largest_value(accuracy: float, part: float):
    """At an accuracy a it is a / (2 - a), where both classes are as large: the IoUs are concave in their shares."""
    wrong, right = 1 - accuracy, part * accuracy
    mean = (right / (right + wrong) + (accuracy - right) / (accuracy - right + wrong)) / 2
    assert mean <= accuracy / (2 - accuracy) + 1e-12


def test_teaching_gans_figures_of_hair_are_not_of_one_answer():
    most = [accuracy / (2 - accuracy) for accuracy, _ in HAIR]
    assert HAIR[0][1] < most[0]
    assert HAIR[1][1] > most[1] == pytest.approx(0.813, abs=5e-4)
    (note,) = find_protocol("semantic-projection").notes()
    assert ".8967 and a mean IoU of .8243: .813 is the most" in note


def test_choosing_takes_the_best_and_the_first_of_equal_ones():
    good, bad = np.array([[8, 2], [2, 8]]), np.array([[5, 5], [5, 5]])
    index, values = choose(np.stack([bad, good, good]), protocol())
    assert index == 1
    assert values == pytest.approx([1 / 3, 8 / 12, 8 / 12])
    with pytest.raises(UsageError, match="nothing to choose from"):
        choose(np.zeros((0, 2, 2), np.int64), protocol())


@settings(max_examples=25, deadline=None)
@given(cases())
def test_agrees_with_torchmetrics(case: tuple[np.ndarray, np.ndarray, int]):
    make_importable()  # it looks for torchvision
    torchmetrics = pytest.importorskip("torchmetrics")
    import torch

    truth, answers, classes = case
    found = figures(confusion(truth, answers, classes), protocol(absent="zero"))
    pair = torch.from_numpy(answers.astype(np.int64)), torch.from_numpy(truth.astype(np.int64))
    each = torchmetrics.classification.MulticlassJaccardIndex(classes, average="none", ignore_index=255)(*pair)
    np.testing.assert_allclose(each.numpy(), np.array(found.per_class, np.float64), atol=1e-6)
    weighted = torchmetrics.classification.MulticlassJaccardIndex(classes, average="weighted", ignore_index=255)(*pair)
    assert float(weighted) == pytest.approx(found.area_iou, abs=1e-6)
    micro = torchmetrics.classification.MulticlassAccuracy(classes, average="micro", ignore_index=255)(*pair)
    assert float(micro) == pytest.approx(found.pixel_accuracy, abs=1e-6)
