"""Testing whatever labels pictures on labelled pictures that it has not seen."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from gannotate.data.labelled import LabelledSet
from gannotate.errors import UsageError
from gannotate.metrics.calibration import Reliability, ReliabilityCounter
from gannotate.metrics.confusion import Absent, confusion, scores
from gannotate.metrics.folds import CrossValidation, cross_validate
from gannotate.metrics.protocols import TITLES, Protocol, choose, count_pictures, figures
from gannotate.metrics.uncertainty import entropy_levels
from gannotate.segmenters.predict import Predictor
from gannotate.training.loop import Progress


@dataclass(frozen=True)
class Answers:
    """What a segmenter says of labelled pictures.

    predictions: uint8 (n, h, w) class ids. uncertainty: uint8 (n, h, w), the entropy of each pixel's probabilities, 0
    (certain) to 255 (all classes alike). reliability: how far its probabilities hold.
    """

    predictions: np.ndarray
    uncertainty: np.ndarray
    reliability: Reliability


class Asking:
    """Labels test pictures at their own size; of the probabilities their entropy is kept.

    Going through it gives progress, a picture at a time, and leaves `answers`.

    Raises:
        UsageError: no pixel of the test pictures is labelled.
    """

    answers: Answers

    def __init__(self, segmenter: Predictor, test: LabelledSet) -> None:
        self.segmenter, self.test = segmenter, test

    def __iter__(self) -> Iterator[Progress]:
        test, count, begin = self.test, len(self.test), time.monotonic()
        predictions, uncertainty = np.empty_like(test.label_maps), np.empty_like(test.label_maps)
        counter = ReliabilityCounter()
        for index, probabilities in enumerate(self.segmenter.iterate(test.pictures)):
            predictions[index] = probabilities.argmax(axis=0)
            uncertainty[index] = entropy_levels(probabilities)
            counter.add(probabilities, test.label_maps[index])
            yield Progress.since(begin, index + 1, count)
        self.answers = Answers(predictions, uncertainty, counter.result())


def ask(segmenter: Predictor, test: LabelledSet) -> Answers:
    """What `Asking` leaves, at once."""
    asking = Asking(segmenter, test)
    deque(asking, maxlen=0)
    return asking.answers


def evaluate(
    segmenter: Predictor,
    test: LabelledSet,
    absent: Absent = "skip",
    answers: Answers | None = None,
    protocol: Protocol | None = None,
) -> dict[str, Any]:
    """Scores over all pixels of all test pictures together, at the pictures' own size.

    Args:
        answers: what `ask` gave, if that is known already.
        protocol: average as it says, and not as `absent` does.

    Returns:
        Ready for json: miou, fg_miou, area_iou, pixel_accuracy (fractions; see `Scores`), per_class {name: IoU or
        None}, confusion (rows: truth, in pixels), calibration (see `Reliability`), pictures (how many) and absent (how
        absent classes count). With a protocol also fg_area_iou, and protocol {name, figure, title, value, notes}.

    Raises:
        GannotateError: the labels hold unknown class ids. UsageError: they hold none at all.
    """
    names = [item.name for item in segmenter.config.class_infos]
    return score(names, test, answers or ask(segmenter, test), absent, protocol)


def score(
    names: Sequence[str], test: LabelledSet, answers: Answers, absent: Absent = "skip", protocol: Protocol | None = None
) -> dict[str, Any]:
    """What `evaluate` gives, of answers that are known; names: of the classes.

    Raises:
        GannotateError: the labels hold unknown class ids. UsageError: they hold none at all.
    """
    counts = confusion(test.label_maps, answers.predictions, len(names))
    result = asdict(scores(counts, absent)) if protocol is None else _by(protocol, counts)
    result["per_class"] = dict(zip(names, result["per_class"], strict=True))
    result |= {"confusion": counts.tolist(), "calibration": answers.reliability.as_dict()}
    return result | {"pictures": len(test), "absent": protocol.absent if protocol else absent}


def _by(protocol: Protocol, counts: Int64[np.ndarray, "k k"]) -> dict[str, Any]:
    found = figures(counts, protocol)
    told = {
        "name": protocol.name,
        "figure": protocol.figure,
        "title": TITLES[protocol.figure],
        "value": found.value(protocol.figure),
        "notes": protocol.notes(),
    }
    return asdict(found) | {"protocol": told}


@dataclass(frozen=True)
class Choice:
    """Which of several segmenters is scored, and how that was found.

    index: its place. validation: each one's figure on the validation pictures; None where folds choose. folds: the
    cross-validation on the test pictures, where the protocol asks for it.
    """

    index: int
    validation: tuple[float, ...] | None = None
    folds: CrossValidation | None = None


Open = Callable[[], Predictor]
"""Opens a segmenter: one after the other, so that no more than one is in memory."""


def choose_segmenter(
    candidates: Sequence[Open], protocol: Protocol, test: LabelledSet, validation: LabelledSet | None = None
) -> Choice:
    """Chooses as a protocol does: on validation pictures, or in folds of the test pictures; never on all of these.

    With folds the one that most folds choose (the first of equal ones) stands for all in tables.

    Args:
        candidates: in the order of their making. test: only looked at when the protocol has folds.

    Raises:
        UsageError: no validation pictures where they are needed, or some where folds choose; too few test pictures.
    """
    if protocol.folds:
        if validation is not None:
            raise UsageError(
                f"the protocol {protocol.name} chooses in folds of the test pictures; leave --validation out"
            )
        found = cross_validate(np.stack([count_answers(opened(), test) for opened in candidates]), protocol)
        usual = Counter(fold.chosen for fold in found.folds).most_common()
        return Choice(min(index for index, times in usual if times == usual[0][1]), folds=found)
    if len(candidates) == 1:
        return Choice(0)
    if validation is None:
        raise UsageError(
            f"{len(candidates)} segmenters were given to choose from; nothing is chosen on test pictures, give others "
            "with --validation DIR"
        )
    counts = np.stack([count_answers(opened(), validation).sum(axis=0) for opened in candidates])
    index, values = choose(counts, protocol)
    return Choice(index, validation=tuple(values))


def count_answers(segmenter: Predictor, data: LabelledSet) -> Int64[np.ndarray, "n k k"]:
    """A confusion matrix for each picture."""
    return count_pictures(data.label_maps, segmenter.predict(data.pictures), segmenter.config.classes)
