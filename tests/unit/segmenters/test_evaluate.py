"""Scoring by protocols and choosing between segmenters, with made-up ones whose answers are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from gannotate.data.labelled import LabelledSet
from gannotate.errors import UsageError
from gannotate.metrics.protocols import PROTOCOLS, figures, find_protocol
from gannotate.segmenters.build import AnswerConfig
from gannotate.segmenters.evaluate import ask, choose_segmenter, count_answers, evaluate
from gannotate.segmenters.predict import Predictor

CLASSES, SIDE = 3, 8


class Knowing(Predictor[AnswerConfig]):
    """Reads the class off the picture's grey value, and is wrong on the first `wrong` pictures that it sees."""

    def __init__(self, wrong: int) -> None:
        self.config = AnswerConfig(classes=CLASSES, image_channels=1, size=SIDE)
        self.wrong, self.seen = wrong, 0

    def answers(self, batch: np.ndarray | Sequence[np.ndarray], scale: float) -> Iterator[np.ndarray]:
        for picture in batch:
            found = (picture[..., 0].astype(int) + (self.seen < self.wrong)) % CLASSES
            self.seen += 1
            yield np.eye(CLASSES, dtype=np.float32)[found].transpose(2, 0, 1)


def pictures(count: int, seed: int = 0) -> LabelledSet:
    """Pictures whose grey value is their class."""
    label_maps = np.random.default_rng(seed).integers(0, CLASSES, (count, SIDE, SIDE)).astype(np.uint8)
    return LabelledSet(tuple(map(str, range(count))), label_maps[..., None], label_maps)


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_every_protocol_gives_its_own_figure(name: str):
    protocol, test = find_protocol(name), pictures(10)
    found = evaluate(Knowing(3), test, protocol=protocol)
    expected = figures(count_answers(Knowing(3), test).sum(axis=0), protocol)
    assert found["protocol"]["value"] == pytest.approx(expected.value(protocol.figure))
    assert 0.5 < found["protocol"]["value"] < 1
    assert found["protocol"]["notes"] == protocol.notes()
    assert found["absent"] == protocol.absent
    assert list(found["per_class"].values()) == pytest.approx(expected.per_class)


class Wavering(Knowing):
    """Is certain in the left half of every picture, and finds all classes alike in the right one."""

    def answers(self, batch: np.ndarray | Sequence[np.ndarray], scale: float) -> Iterator[np.ndarray]:
        for probabilities in super().answers(batch, scale):
            probabilities[:, :, SIDE // 2 :] = 1 / CLASSES
            yield probabilities


def test_answers_say_where_they_are_unsure():
    test = pictures(3)
    found = ask(Wavering(0), test)
    assert (found.uncertainty.dtype, found.uncertainty.shape) == (np.uint8, test.label_maps.shape)
    assert (found.uncertainty[:, :, : SIDE // 2] == 0).all()
    assert (found.uncertainty[:, :, SIDE // 2 :] == 255).all()
    assert (found.predictions[:, :, : SIDE // 2] == test.label_maps[:, :, : SIDE // 2]).all()


def test_without_a_protocol_nothing_changes():
    found = evaluate(Knowing(0), pictures(3))
    assert (found["miou"], found["absent"]) == (1.0, "skip")
    assert "protocol" not in found
    assert "fg_area_iou" not in found


def test_chosen_on_validation_pictures():
    candidates = [lambda: Knowing(3), lambda: Knowing(1), lambda: Knowing(2)]
    found = choose_segmenter(candidates, find_protocol("lagm-fg"), pictures(10), pictures(4, 1))
    assert (found.index, found.folds) == (1, None)
    assert found.validation is not None
    assert found.validation[0] < found.validation[2] < found.validation[1]


def test_nothing_is_chosen_on_test_pictures():
    with pytest.raises(UsageError, match="nothing is chosen on test pictures"):
        choose_segmenter([lambda: Knowing(3), lambda: Knowing(1)], find_protocol("datasetgan-best"), pictures(10))
    alone = choose_segmenter([lambda: Knowing(3)], find_protocol("lagm-fg"), pictures(10))
    assert (alone.index, alone.validation) == (0, None)


def test_chosen_in_folds():
    found = choose_segmenter([lambda: Knowing(10), lambda: Knowing(4)], find_protocol("datasetgan-cv"), pictures(10))
    assert found.folds is not None
    # pictures 0 to 3 are wrong by both: their folds cannot tell, and take the first of the two
    assert [fold.chosen for fold in found.folds.folds] == [0, 0, 1, 1, 1]
    assert found.index == 1
    with pytest.raises(UsageError, match="leave --validation out"):
        choose_segmenter([lambda: Knowing(1)], find_protocol("datasetgan-cv"), pictures(10), pictures(4))
