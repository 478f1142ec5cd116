"""Testing a segmenter on labelled pictures that it has not seen."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gannotate.data.labelled import LabelledSet
from gannotate.metrics.confusion import Absent, confusion, scores
from gannotate.segmenters.predict import Segmenter


def evaluate(
    segmenter: Segmenter,
    test: LabelledSet,
    absent: Absent = "skip",
    predictions: UInt8[np.ndarray, "n h w"] | None = None,
) -> dict[str, Any]:
    """Scores over all pixels of all test pictures together, at the pictures' own size.

    Args:
        predictions: what the segmenter says of the pictures, if that is known already; else it is asked.

    Returns:
        Ready for json: miou, fg_miou, area_iou, pixel_accuracy (fractions; see `Scores`), per_class {name: IoU or
        None}, confusion (rows: truth, in pixels), pictures (how many) and absent (how absent classes count).

    Raises:
        GannotateError: the labels hold unknown class ids, or none at all.
    """
    predictions = segmenter.predict(test.pictures) if predictions is None else predictions
    counts = confusion(test.label_maps, predictions, segmenter.config.classes)
    result = asdict(scores(counts, absent))
    names = [item.name for item in segmenter.config.class_infos]
    result["per_class"] = dict(zip(names, result["per_class"], strict=True))
    return result | {"confusion": counts.tolist(), "pictures": len(test), "absent": absent}
