"""Scores against a slow, obvious reference and cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.errors import GannotateError, UsageError
from gannotate.metrics.confusion import confusion, scores

IGNORE = 255


def reference_confusion(label_maps: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    counts = np.zeros((classes, classes), np.int64)
    for truth, predicted in zip(label_maps.ravel().tolist(), predictions.ravel().tolist(), strict=True):
        if truth != IGNORE:
            counts[truth, predicted] += 1
    return counts


def reference_iou(label_maps: np.ndarray, predictions: np.ndarray, index: int) -> float | None:
    counted = label_maps != IGNORE
    truth, predicted = (label_maps == index) & counted, (predictions == index) & counted
    union = (truth | predicted).sum()
    return float((truth & predicted).sum() / union) if union else None


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    classes = draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    present = rng.choice(classes, rng.integers(1, classes + 1), replace=False).astype(np.uint8)
    label_maps, predictions = rng.choice(present, shape), rng.choice(present, shape)
    label_maps[rng.random(shape) < 0.2] = IGNORE
    label_maps[0, 0, 0] = present[0]  # at least one labelled pixel
    return label_maps, predictions, classes


@settings(max_examples=100, deadline=None)
@given(cases())
def test_equals_the_slow_reference(case: tuple[np.ndarray, np.ndarray, int]) -> None:
    label_maps, predictions, classes = case
    counts = confusion(label_maps, predictions, classes)
    np.testing.assert_array_equal(counts, reference_confusion(label_maps, predictions, classes))

    found = scores(counts)
    ious = [reference_iou(label_maps, predictions, index) for index in range(classes)]
    assert found.per_class == pytest.approx(ious)
    present = [iou for iou in ious if iou is not None]
    assert found.miou == pytest.approx(np.mean(present))
    front = [iou for iou in ious[1:] if iou is not None]
    assert found.fg_miou == (pytest.approx(np.mean(front)) if front else None)
    counted = label_maps != IGNORE
    assert found.pixel_accuracy == pytest.approx((label_maps == predictions)[counted].mean())
    weights = [((label_maps == index) & counted).sum() for index in range(classes)]
    assert found.area_iou == pytest.approx(np.average([iou or 0 for iou in ious], weights=weights))
    zero = scores(counts, "zero")
    assert zero.miou == pytest.approx(np.mean([iou or 0 for iou in ious]))
    assert zero.fg_miou == pytest.approx(np.mean([iou or 0 for iou in ious[1:]]))


@settings(max_examples=30, deadline=None)
@given(cases(), st.integers(0, 100))
def test_ignored_pixels_do_not_count_and_counts_add(case: tuple[np.ndarray, np.ndarray, int], seed: int) -> None:
    label_maps, predictions, classes = case
    other = np.where(label_maps == IGNORE, np.random.default_rng(seed).integers(classes), predictions)
    counts = confusion(label_maps, predictions, classes)
    np.testing.assert_array_equal(counts, confusion(label_maps, other.astype(np.uint8), classes))
    one_by_one = sum(confusion(label_maps[i : i + 1], predictions[i : i + 1], classes) for i in range(len(label_maps)))
    np.testing.assert_array_equal(counts, one_by_one)


def test_two_classes_by_hand() -> None:
    label_maps = np.array([[[0, 0, 1, 1, IGNORE]]], np.uint8)
    predictions = np.array([[[0, 1, 1, 1, 0]]], np.uint8)
    found = scores(confusion(label_maps, predictions, 3))
    assert found.per_class == (1 / 2, 2 / 3, None)
    assert found.miou == pytest.approx(7 / 12)
    assert found.fg_miou == pytest.approx(2 / 3)
    assert found.area_iou == pytest.approx((2 * 1 / 2 + 2 * 2 / 3) / 4)
    assert found.pixel_accuracy == 3 / 4
    assert scores(confusion(label_maps, predictions, 3), "zero").per_class == (1 / 2, 2 / 3, 0.0)


def test_a_class_that_is_only_predicted_counts_as_wrong() -> None:
    label_maps, predictions = np.zeros((1, 1, 4), np.uint8), np.array([[[0, 0, 0, 2]]], np.uint8)
    assert scores(confusion(label_maps, predictions, 3)).per_class == (3 / 4, None, 0.0)


def test_perfect_predictions_score_one() -> None:
    label_maps = np.arange(12, dtype=np.uint8).reshape(1, 3, 4) % 4
    found = scores(confusion(label_maps, label_maps, 4))
    assert (found.miou, found.fg_miou, found.area_iou, found.pixel_accuracy) == (1, 1, 1, 1)


def test_wrong_inputs_say_what_is_accepted() -> None:
    ok = np.zeros((1, 2, 2), np.uint8)
    with pytest.raises(GannotateError, match=r"predictions hold class id 3; accepted are 0-2"):
        confusion(ok, ok + 3, 3)
    with pytest.raises(GannotateError, match=r"label maps hold class id 4"):
        confusion(ok + 4, ok, 3)
    with pytest.raises(GannotateError, match="differ in shape"):
        confusion(ok, ok[:, :1], 3)
    with pytest.raises(GannotateError, match="nothing to score"):
        scores(confusion(np.full_like(ok, IGNORE), ok, 3))
    with pytest.raises(UsageError, match="use one of skip, zero"):
        scores(confusion(ok, ok, 3), "none")  # pyright: ignore[reportArgumentType]
