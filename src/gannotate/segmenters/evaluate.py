"""Testing whatever labels pictures on labelled pictures that it has not seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gannotate.data.labelled import LabelledSet
from gannotate.metrics.calibration import Reliability, ReliabilityCounter
from gannotate.metrics.confusion import Absent, confusion, scores
from gannotate.segmenters.predict import Predictor


@dataclass(frozen=True)
class Answers:
    """What a segmenter says of labelled pictures: uint8 (n, h, w) class ids, and how far its probabilities hold."""

    predictions: np.ndarray
    reliability: Reliability


def ask(segmenter: Predictor, test: LabelledSet) -> Answers:
    """Labels the test pictures at their own size; the probabilities are counted and not kept.

    Raises:
        UsageError: no pixel of the test pictures is labelled.
    """
    predictions, counter = np.empty_like(test.label_maps), ReliabilityCounter()
    for index, probabilities in enumerate(segmenter.iterate(test.pictures)):
        predictions[index] = probabilities.argmax(axis=0)
        counter.add(probabilities, test.label_maps[index])
    return Answers(predictions, counter.result())


def evaluate(
    segmenter: Predictor, test: LabelledSet, absent: Absent = "skip", answers: Answers | None = None
) -> dict[str, Any]:
    """Scores over all pixels of all test pictures together, at the pictures' own size.

    Args:
        answers: what `ask` gave, if that is known already.

    Returns:
        Ready for json: miou, fg_miou, area_iou, pixel_accuracy (fractions; see `Scores`), per_class {name: IoU or
        None}, confusion (rows: truth, in pixels), calibration (see `Reliability`), pictures (how many) and absent (how
        absent classes count).

    Raises:
        GannotateError: the labels hold unknown class ids. UsageError: they hold none at all.
    """
    answers = answers or ask(segmenter, test)
    counts = confusion(test.label_maps, answers.predictions, segmenter.config.classes)
    result = asdict(scores(counts, absent))
    names = [item.name for item in segmenter.config.class_infos]
    result["per_class"] = dict(zip(names, result["per_class"], strict=True))
    result |= {"confusion": counts.tolist(), "calibration": answers.reliability.as_dict()}
    return result | {"pictures": len(test), "absent": absent}
