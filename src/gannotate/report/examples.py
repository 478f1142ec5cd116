"""Test pictures kept beside an evaluation, so that a page can show them, and how well each of them all was labelled.

examples/examples.json      [{"name", "chosen": "random" | "worst" | "best", "miou", "source", "uncertainty"}, ...]
examples/NAME.png NAME.truth.png NAME.prediction.png NAME.uncertainty.png (grey: the entropy, see `Answers`)
examples/pictures.json      [{"name", "miou", "uncertainty"}, ...]: all test pictures, in their order
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from gannotate.data.labelled import LabelledSet
from gannotate.data.pictures import read_picture
from gannotate.data.writing import encode_picture
from gannotate.errors import GannotateError
from gannotate.files import write_bytes, write_json
from gannotate.labels import ClassInfo, read_label_map, write_label_map
from gannotate.metrics.confusion import confusion, scores
from gannotate.metrics.uncertainty import level_of_picture
from gannotate.parsing import DAMAGED, load_json
from gannotate.seeding import numpy_stream

LIST, PICTURES = "examples.json", "pictures.json"

ON_POOL = "held-out annotations"
"""What a decoder's test on annotated pool pictures is called, which have a truth and were not learned from."""

Chosen = Literal["random", "worst", "best"]


@dataclass(frozen=True)
class Choice:
    """One picture that is kept, and why.

    name: of its files here; source: of the test picture. miou: its own, of the classes that it has. uncertainty: mean
    over its most uncertain tenth of the pixels, 0 to 1 (all classes alike); None where it was not kept.
    """

    name: str
    chosen: Chosen
    miou: float
    source: str = ""
    uncertainty: float | None = None


@dataclass(frozen=True)
class Example:
    """A kept picture uint8 (h, w, c) with its true and its predicted label map, uint8 (h, w).

    uncertainty: uint8 (h, w), 0 certain to 255 all classes alike; None where it was not kept.
    """

    choice: Choice
    picture: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    uncertainty: np.ndarray | None = None


@dataclass(frozen=True)
class Tested:
    """One test picture: its name, its own mIoU (None when nothing in it is labelled), and as in `Choice`."""

    name: str
    miou: float | None
    uncertainty: float | None = None


def write_examples(
    folder: str | Path,
    test: LabelledSet,
    predictions: UInt8[np.ndarray, "n h w"],
    classes: Sequence[ClassInfo],
    random: int = 8,
    worst: int = 8,
    best: int = 4,
    seed: int = 0,
    uncertainty: UInt8[np.ndarray, "n h w"] | None = None,
) -> list[Choice]:
    """Keeps `random` pictures drawn with `seed`, and of the others the `worst` and then the `best` by their own mIoU.

    Args:
        uncertainty: of each pixel, 0 certain to 255 all classes alike.
    """
    folder = Path(folder)
    mious = [picture_miou(*pair, len(classes)) for pair in zip(test.label_maps, predictions, strict=True)]
    unsure = [None if uncertainty is None else round(level_of_picture(uncertainty[i]), 4) for i in range(len(test))]
    choices = []
    for index, chosen in _choose(mious, random, worst, best, seed).items():
        miou = round(mious[index] or 0.0, 4)
        choice = Choice(f"{index:06d}", chosen, miou, test.names[index], unsure[index])
        write_bytes(folder / f"{choice.name}.png", encode_picture(test.pictures[index]))
        write_label_map(folder / f"{choice.name}.truth.png", test.label_maps[index], classes)
        write_label_map(folder / f"{choice.name}.prediction.png", predictions[index], classes)
        if uncertainty is not None:
            write_bytes(folder / f"{choice.name}.uncertainty.png", encode_picture(uncertainty[index][..., None]))
        choices.append(choice)
    rounded = [None if miou is None else round(miou, 4) for miou in mious]
    tested = [Tested(*row) for row in zip(test.names, rounded, unsure, strict=True)]
    write_json(folder / PICTURES, [asdict(one) for one in tested])
    write_json(folder / LIST, [asdict(choice) for choice in choices])
    return choices


def _choose(mious: Sequence[float | None], random: int, worst: int, best: int, seed: int) -> dict[int, Chosen]:
    """Indices and why: the random ones in order, then the worst, worst first, then the best, best first."""
    drawn = numpy_stream(seed, "examples").permutation(len(mious))[:random].tolist()
    others = sorted((miou, index) for index, miou in enumerate(mious) if miou is not None and index not in drawn)
    reasons: dict[int, Chosen] = dict.fromkeys(sorted(drawn), "random")
    reasons |= dict.fromkeys([index for _, index in others[:worst]], "worst")
    reasons |= dict.fromkeys([index for _, index in others[worst:][::-1][:best]], "best")
    return reasons


def read_pictures(folder: str | Path) -> list[Tested]:
    """How well each test picture was labelled, nothing when that was not kept.

    Raises:
        GannotateError: the list is damaged.
    """
    path = Path(folder) / PICTURES
    if not path.exists():
        return []
    try:
        return [Tested(**row) for row in load_json(path.read_bytes())]
    except DAMAGED as error:
        raise GannotateError(f"{path} is damaged ({error}); delete it, or evaluate again") from error


def read_examples(folder: str | Path, classes: int) -> list[Example]:
    """The kept pictures, none when there are no such files.

    Raises:
        GannotateError: the list or a file that it names is damaged or missing.
    """
    folder = Path(folder)
    if not (folder / LIST).exists():
        return []
    try:
        choices = [Choice(**row) for row in load_json((folder / LIST).read_bytes())]
        if any(Path(one.name).name != one.name for one in choices):
            raise ValueError("a picture is called by a path")
        return [_read(folder, choice, classes) for choice in choices]
    except (GannotateError, *DAMAGED) as error:
        raise GannotateError(f"{folder} is damaged ({error}); delete it, or evaluate again") from error


def picture_miou(truth: UInt8[np.ndarray, "h w"], prediction: UInt8[np.ndarray, "h w"], classes: int) -> float | None:
    """Mean IoU of one picture over the classes in its truth or prediction; None when nothing in it is labelled."""
    counts = confusion(truth[None], prediction[None], classes)
    return scores(counts).miou if counts.any() else None


def _read(folder: Path, choice: Choice, classes: int) -> Example:
    image = read_picture(folder / f"{choice.name}.png")
    picture = np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
    truth, prediction = (
        read_label_map(folder / f"{choice.name}.{kind}.png", classes) for kind in ("truth", "prediction")
    )
    return Example(choice, picture, truth, prediction, _read_uncertainty(folder / f"{choice.name}.uncertainty.png"))


def _read_uncertainty(path: Path) -> np.ndarray | None:
    if not path.exists():
        return None
    return np.asarray(read_picture(path).convert("L"), np.uint8)
