"""Test pictures kept beside an evaluation, so that a page can show them: picture, truth and prediction as PNGs.

examples/examples.json      [{"name", "chosen": "random" | "worst", "miou"}, ...]
examples/NAME.png NAME.truth.png NAME.prediction.png
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gannotate.data.labelled import LabelledSet
from gannotate.data.writing import encode_picture
from gannotate.errors import GannotateError
from gannotate.files import write_bytes, write_json
from gannotate.labels import ClassInfo, read_label_map, write_label_map
from gannotate.metrics.confusion import confusion, scores
from gannotate.seeding import numpy_stream

LIST = "examples.json"


@dataclass(frozen=True)
class Choice:
    """One picture that is kept: its file name, why it was chosen, and its own mIoU (of the classes that it has)."""

    name: str
    chosen: Literal["random", "worst"]
    miou: float


@dataclass(frozen=True)
class Example:
    """A kept picture uint8 (h, w, c) with its true and its predicted label map, uint8 (h, w)."""

    choice: Choice
    picture: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray


def write_examples(
    folder: str | Path,
    test: LabelledSet,
    predictions: UInt8[np.ndarray, "n h w"],
    classes: Sequence[ClassInfo],
    random: int = 8,
    worst: int = 8,
    seed: int = 0,
) -> list[Choice]:
    """Keeps `random` pictures drawn with `seed`, and of the others the `worst` by their own mIoU, worst first."""
    folder = Path(folder)
    mious = [picture_miou(*pair, len(classes)) for pair in zip(test.label_maps, predictions, strict=True)]
    drawn = numpy_stream(seed, "examples").permutation(len(test))[:random].tolist()
    others = sorted((miou, index) for index, miou in enumerate(mious) if miou is not None and index not in drawn)
    reasons: dict[int, Literal["random", "worst"]] = dict.fromkeys(sorted(drawn), "random")
    reasons |= dict.fromkeys([index for _, index in others[:worst]], "worst")
    choices = []
    for index, chosen in reasons.items():
        choice = Choice(f"{index:06d}", chosen, round(mious[index] or 0.0, 4))
        write_bytes(folder / f"{choice.name}.png", encode_picture(test.pictures[index]))
        write_label_map(folder / f"{choice.name}.truth.png", test.label_maps[index], classes)
        write_label_map(folder / f"{choice.name}.prediction.png", predictions[index], classes)
        choices.append(choice)
    write_json(folder / LIST, [asdict(choice) for choice in choices])
    return choices


def read_examples(folder: str | Path, classes: int) -> list[Example]:
    """The kept pictures, none when there are no such files.

    Raises:
        GannotateError: the list or a file that it names is damaged or missing.
    """
    folder = Path(folder)
    if not (folder / LIST).exists():
        return []
    try:
        choices = [Choice(**row) for row in json.loads((folder / LIST).read_text())]
        return [_read(folder, choice, classes) for choice in choices]
    except (OSError, ValueError, TypeError) as error:
        raise GannotateError(f"{folder} is damaged ({error}); delete it, or evaluate again") from error


def picture_miou(truth: UInt8[np.ndarray, "h w"], prediction: UInt8[np.ndarray, "h w"], classes: int) -> float | None:
    """Mean IoU of one picture over the classes in its truth or prediction; None when nothing in it is labelled."""
    counts = confusion(truth[None], prediction[None], classes)
    return scores(counts).miou if counts.any() else None


def _read(folder: Path, choice: Choice, classes: int) -> Example:
    with Image.open(folder / f"{choice.name}.png") as image:
        picture = np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
    truth, prediction = (
        read_label_map(folder / f"{choice.name}.{kind}.png", classes) for kind in ("truth", "prediction")
    )
    return Example(choice, picture, truth, prediction)
