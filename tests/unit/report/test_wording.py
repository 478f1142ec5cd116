"""What a report says of each tested model: what had taught it, by its own records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gannotate.project import Annotation
from gannotate.report.gather import Run
from gannotate.report.wording import count_labels, provenance, words_of_test

DECODER = {"label_source": "decoder 0001-light", "labels": 5}
MIXED = {"label_source": "decoder 0001-light and labelled pictures", "labels": 15, "real_labels": 10, "mix": 0.25}
REAL = {"label_source": "labelled pictures", "labels": 10}
STORED: dict[str, Any] = {"pictures": 2000}
ONLINE: dict[str, Any] = {"online": {"refresh": 0.25}}


def an_evaluation(about: dict[str, Any], **result: Any) -> Run:
    """A test as `gannotate evaluate` leaves it."""
    told = {name: about.get(name) for name in ("label_source", "labels")}
    result = {"of": "segmenter", "scored": "segmenters/0002-unet", "pictures": 12, **told, **result}
    return Run(Path("runs/0001"), {"verb": "evaluate", "result": result}, [], {})


def a_training(about: dict[str, Any], pictures: int, settings: dict[str, Any]) -> Run:
    """A training as `gannotate train` leaves it."""
    record = {"verb": "train", "about": about, "result": {"pictures": pictures}}
    return Run(Path("segmenters/0002-unet"), record, [], settings)


@pytest.mark.parametrize(
    ("about", "pictures", "settings", "name", "words"),
    [
        (REAL, 10, STORED, "supervised segmenter", "10 labels (labelled pictures)"),
        (
            DECODER,
            2000,
            STORED,
            "segmenter",
            "2,000 generated pictures that decoder 0001-light labelled (it had 5 labels)",
        ),
        (
            DECODER,
            1712,
            ONLINE,
            "segmenter",
            "1,712 generated pictures, drawn while it learned, that decoder 0001-light labelled (it had 5 labels)",
        ),
        (
            MIXED,
            2010,
            {"mix": [STORED, {"pictures": 10}]},
            "segmenter",
            "2,000 generated pictures that decoder 0001-light labelled (it had 5 labels) and 10 labelled ones "
            "(25% of each batch)",
        ),
        (
            MIXED,
            1722,
            {"mix": [ONLINE, {"pictures": 10}]},
            "segmenter",
            "1,712 generated pictures, drawn while it learned, that decoder 0001-light labelled (it had 5 labels) "
            "and 10 labelled ones (25% of each batch)",
        ),
        (
            REAL | {"method": "mean-teacher", "unlabelled": 4141},
            10,
            STORED,
            "mean teacher",
            "10 labels (labelled pictures) and 4,141 unlabelled pictures",
        ),
        (
            DECODER | {"method": "gct", "unlabelled": 50},
            2000,
            STORED,
            "gct",
            "2,000 generated pictures that decoder 0001-light labelled (it had 5 labels) and 50 unlabelled pictures",
        ),
    ],
)
def test_a_segmenter_is_told_by_its_training(
    about: dict[str, Any], pictures: int, settings: dict[str, Any], name: str, words: str
) -> None:
    found = words_of_test(an_evaluation(about), a_training(about, pictures, settings))
    assert found == (name, f"0002-unet, trained on {words}")


def test_where_it_started_is_told() -> None:
    training = a_training(REAL | {"labels": 1}, 1, STORED)
    training.record["config"] = {"weights": "runs/encoders/layermatch"}
    found = words_of_test(an_evaluation(REAL), training)
    words = "0002-unet, trained on 1 label (labelled pictures), started from layermatch"
    assert found == ("supervised segmenter", words)
    training.record["config"] = {"weights": "random"}
    assert "started" not in words_of_test(an_evaluation(REAL), training)[1]


def test_a_segmenter_whose_folder_is_gone_is_told_by_its_test() -> None:
    words = "0002-unet, trained on generated pictures that decoder 0001-light labelled (it had 5 labels)"
    assert words_of_test(an_evaluation(DECODER), None) == ("segmenter", words)
    name, words = words_of_test(an_evaluation(REAL, method="s4gan", unlabelled=7), None)
    assert (name, words) == ("s4gan", "0002-unet, trained on 10 labels (labelled pictures) and 7 unlabelled pictures")


def test_a_decoder_is_tested_on_other_pictures() -> None:
    test = an_evaluation({}, of="decoder", scored="decoders/0001-light", labels=5, test="held-out annotations")
    assert words_of_test(test, None) == ("decoder", "0001-light, 5 labels; on 12 held-out annotations")


def test_counts_are_written_as_people_write_them() -> None:
    assert [count_labels(count) for count in (None, 0, 1, 5)] == ["? labels", "0 labels", "1 label", "5 labels"]
    stood_in = Annotation(3, "simulated", {"network": "unet", "labels": 12000, "miou": 0.5})
    assert "trained on 12,000 other labels" in provenance([stood_in])
