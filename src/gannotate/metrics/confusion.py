"""Segmentation scores in two steps: count pixels in a confusion matrix, then average as a protocol says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Int64, UInt8

from gannotate.errors import GannotateError, UsageError
from gannotate.labels import IGNORE

Absent = Literal["skip", "zero"]
"""A class that is neither in the truth nor in the predictions has no IoU: leave it out, or count it as 0."""


@dataclass(frozen=True)
class Scores:
    """Fractions from 0 to 1.

    miou: mean IoU over all classes. fg_miou: over the classes 1 and up; None when all of them are absent.
    area_iou: mean IoU weighted by the truth's pixels of each class. pixel_accuracy: part of the pixels that is right.
    per_class: IoU of each class; None for an absent class with absent="skip".
    """

    miou: float
    fg_miou: float | None
    area_iou: float
    pixel_accuracy: float
    per_class: tuple[float | None, ...]


def confusion(
    label_maps: UInt8[np.ndarray, "n h w"], predictions: UInt8[np.ndarray, "n h w"], classes: int
) -> Int64[np.ndarray, "k k"]:
    """Pixels by true class (row) and predicted class (column); pixels whose truth is 255 (ignore) are left out.

    Counts of several sets of pictures may be added.

    Raises:
        GannotateError: shapes differ, or there are other class ids (a prediction has no ignore).
    """
    if label_maps.shape != predictions.shape:
        raise GannotateError(
            f"label maps {label_maps.shape} and predictions {predictions.shape} differ in shape; give one prediction "
            "of the same size for each label map"
        )
    labelled = label_maps != IGNORE
    truth, predicted = label_maps[labelled].astype(np.int64), predictions[labelled].astype(np.int64)
    for name, ids in (("label maps", truth), ("predictions", predicted)):
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < classes:
            raise GannotateError(
                f"the {name} hold class id {int(ids.max())}; accepted are 0-{classes - 1} for {classes} classes"
            )
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


def scores(confusion: Int64[np.ndarray, "k k"], absent: Absent = "skip") -> Scores:
    """Averages of a confusion matrix (rows: truth).

    Raises:
        UsageError: `absent` is not known. GannotateError: no pixel was counted.
    """
    if absent not in get_args(Absent):
        raise UsageError(f"absent={absent!r} is not known; use one of {', '.join(get_args(Absent))}")
    total = int(confusion.sum())
    if total == 0:
        raise GannotateError(f"nothing to score: every pixel of the test labels is {IGNORE} (ignore); label some")
    right, truth = np.diagonal(confusion), confusion.sum(axis=1)
    union = truth + confusion.sum(axis=0) - right
    missing = 0.0 if absent == "zero" else None
    ious = [float(r / u) if u else missing for r, u in zip(right, union, strict=True)]
    area = sum(float(n) * (iou or 0.0) for n, iou in zip(truth, ious, strict=True)) / total
    miou = _mean(ious)
    assert miou is not None  # some pixel was counted, so some class is present
    return Scores(miou, _mean(ious[1:]), area, float(right.sum() / total), tuple(ious))


def _mean(values: list[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
