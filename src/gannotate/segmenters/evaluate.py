"""Testing a segmenter on labelled pictures that it has not seen."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from gannotate.data.labelled import LabelledSet
from gannotate.metrics.confusion import Absent, confusion, scores
from gannotate.segmenters.predict import Segmenter


def evaluate(segmenter: Segmenter, test: LabelledSet, absent: Absent = "skip") -> dict[str, Any]:
    """Scores over all pixels of all test pictures together, at the pictures' own size.

    Returns:
        Ready for json: miou, fg_miou, area_iou, pixel_accuracy (fractions; see `Scores`), per_class {name: IoU or
        None}, confusion (rows: truth, in pixels), pictures (how many) and absent (how absent classes count).

    Raises:
        GannotateError: the labels hold unknown class ids, or none at all.
    """
    counts = count(segmenter, test)
    result = asdict(scores(counts, absent))
    names = [item.name for item in segmenter.config.class_infos]
    result["per_class"] = dict(zip(names, result["per_class"], strict=True))
    return result | {"confusion": counts.tolist(), "pictures": len(test), "absent": absent}


def count(segmenter: Segmenter, test: LabelledSet) -> np.ndarray:
    """Pixels by true class (row) and predicted class (column), int64 (k, k)."""
    classes = segmenter.config.classes
    total = np.zeros((classes, classes), np.int64)
    for index, answer in enumerate(segmenter.iterate(test.pictures)):
        predicted = answer.argmax(0).astype(np.uint8)
        total += confusion(test.label_maps[index : index + 1], predicted[None], classes)
    return total
