"""What `gannotate predict` does with pictures: reads them, has them labelled batch by batch, and writes the answers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from PIL import Image

from gannotate.cli.predict_shared import Item
from gannotate.data.pictures import PictureSource, decode_picture, stems
from gannotate.data.writing import Add, encode_picture, new_pictures
from gannotate.errors import GannotateError
from gannotate.inversion.labelling import GeneratorLabeller, Redrawn
from gannotate.labels import ClassInfo, encode_label_map
from gannotate.segmenters.predict import BATCH, Predictor
from gannotate.segmenters.tiling import View
from gannotate.viz import overlay
from gannotate.wording import counted

T = TypeVar("T")


@dataclass
class Predicted:
    """Progress of labelling; `skipped` names the pictures that could not be read."""

    done: int
    steps: int
    seconds: float
    eta_s: float
    metrics: dict[str, float]
    skipped: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    """How well each picture was redrawn, where it went through the generator."""


@dataclass(frozen=True)
class Answer:
    """A picture's label map; where it went through the generator, also what that drew and how well."""

    label_map: np.ndarray
    redrawn: Redrawn | None = None


class Labeller(Protocol):
    """Labels pictures in batches."""

    @property
    def batch(self) -> int: ...
    @property
    def classes(self) -> Sequence[ClassInfo]: ...

    def __call__(self, pictures: Sequence[np.ndarray]) -> list[Answer | str]:
        """An answer for each picture, or why there is none."""
        ...


class BySegmenter:
    """Labels pictures of any size with whatever looks at them once."""

    batch = BATCH

    def __init__(self, segmenter: Predictor, view: View) -> None:
        self.segmenter, self.view, self.classes = segmenter, view, segmenter.config.class_infos

    def __call__(self, pictures: Sequence[np.ndarray]) -> list[Answer | str]:
        return [Answer(label_map) for label_map in self.segmenter.predict(list(pictures), view=self.view)]


class ByGenerator:
    """Labels square pictures through a generator that draws them again."""

    batch = 16

    def __init__(self, labeller: GeneratorLabeller, classes: Sequence[ClassInfo]) -> None:
        self.labeller, self.classes = labeller, classes

    def __call__(self, pictures: Sequence[np.ndarray]) -> list[Answer | str]:
        answers: list[Answer | str] = ["" for _ in pictures]
        fitting: dict[int, np.ndarray] = {}
        for place, picture in enumerate(pictures):
            try:
                fitting[place] = self.labeller.prepare(picture)
            except GannotateError as error:
                answers[place] = str(error)
        if fitting:
            sizes = [pictures[place].shape[:2] for place in fitting]
            found = self.labeller.label(np.stack(list(fitting.values())), sizes)
            for place, redrawn in zip(fitting, found, strict=True):
                answers[place] = Answer(redrawn.label_map, redrawn)
        return answers


def predict_pictures(
    labeller: Labeller, source: PictureSource | None, names: tuple[str, ...], out: Path, overlays: bool
) -> Iterator[Predicted]:
    """Labels the pictures into the new folder or zip `out`, which appears once it is whole.

    Args:
        source: where they are read; None where `names` is the path of one picture.
        overlays: write the pictures with the classes laid over them too.

    Raises:
        GannotateError: none of them could be labelled.
    """
    begin = time.monotonic()
    progress = Predicted(0, len(names), 0.0, 0.0, {})
    with new_pictures(out) as add:
        for batch in batches_of(names, source, labeller):
            label_batch(labeller, source, overlays, batch, add, progress)
            progress.done += len(batch)
            progress.seconds = time.monotonic() - begin
            progress.eta_s = progress.seconds / progress.done * (progress.steps - progress.done)
            yield progress
        if len(progress.skipped) == len(names):
            name, reason = next(iter(progress.skipped.items()))
            raise GannotateError(
                f"of {counted(len(names), 'picture')} none could be labelled, the first: {name} {reason}"
            )
        if progress.rows:
            add("inversion.jsonl", "".join(json.dumps(row) + "\n" for row in progress.rows).encode())


def label_batch(
    labeller: Labeller,
    source: PictureSource | None,
    overlays: bool,
    batch: Sequence[Item],
    add: Add,
    progress: Predicted,
) -> None:
    """Labels one batch, and notes in `progress` what was skipped and how well it was redrawn."""
    read = [(name, out, picture) for name, out in batch if (picture := _read(source, name, progress)) is not None]
    answers = labeller([picture for _, _, picture in read])
    for (name, out, picture), answer in zip(read, answers, strict=True):
        if isinstance(answer, str):
            progress.skipped[name] = answer
        else:
            _add_answer(add, out, picture, answer, labeller.classes, overlays)
            progress.rows += [{"name": out, **answer.redrawn.about}] if answer.redrawn else []


def batches_of(names: tuple[str, ...], source: PictureSource | None, labeller: Labeller) -> list[list[Item]]:
    """The pictures in the order given, with the names of their answers; the same for any number of processes."""
    outs = out_names(names if source is not None else (Path(names[0]).name,))
    return list(_batches(iter(zip(names, outs, strict=True)), labeller.batch))


def _add_answer(
    add: Add, out: str, picture: np.ndarray, answer: Answer, classes: Sequence[ClassInfo], overlays: bool
) -> None:
    add(f"masks/{out}", encode_label_map(answer.label_map, classes))
    if overlays:
        add(f"overlays/{out}", encode_picture(overlay(picture, answer.label_map, classes)))
    if answer.redrawn is not None:
        add(f"redrawn/{out}", encode_picture(answer.redrawn.picture))


def out_names(names: tuple[str, ...]) -> list[str]:
    """NAME.png for each picture, its folder kept but for a leading images/; NAME.jpg.png where two would be one."""
    return [f"{stem}.png" for stem in stems(names)]


def _read(source: PictureSource | None, name: str, progress: Predicted) -> np.ndarray | None:
    try:
        image = decode_picture(Path(name).read_bytes()) if source is None else source.read(name)
    except GannotateError as error:
        progress.skipped[name] = str(error)
        return None
    return as_array(image)


def _batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while batch := list(islice(items, size)):
        yield batch


def as_array(image: Image.Image) -> np.ndarray:
    """A Pillow image of mode L or RGB as uint8 (h, w, 1 or 3)."""
    array = np.asarray(image, dtype=np.uint8)
    return array.reshape(*array.shape[:2], -1)
