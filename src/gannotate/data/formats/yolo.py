"""YOLO segmentation: images/train/NAME.png, labels/train/NAME.txt and data.yaml.

A line is `class x1 y1 x2 y2 ...`, corners as parts of the picture's width and height. Written: one line for each part
of a class (pieces of one where it has holes, see outlines.py); classes are counted from 0 without the background, which
is what no line covers; a picture that is all background has an empty file. YOLO knows no unlabelled pixels: they become
background, and it is said how many. Read: the same, of overlapping parts the smaller one lies above; lines with four
numbers are boxes, not outlines, and are refused; a picture without a file is not labelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import PurePosixPath

import numpy as np
import yaml

from gannotate.data.formats.base import Entry, Labels, Picture, ReadOptions, size_of
from gannotate.data.formats.files import Files
from gannotate.data.formats.outlines import Polygon, rasterise, to_polygons
from gannotate.data.formats.regions import Region, paint
from gannotate.data.writing import Add, encode_picture
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import IGNORE, ClassInfo
from gannotate.parsing import DAMAGED, load_yaml

NAMES = ("data.yaml", "data.yml", "dataset.yaml")

FAR = 2.0
"""Corners further outside than the picture's own size are no corners of it."""


def read(files: Files, options: ReadOptions) -> list[Entry]:
    """See base.Format."""
    named = next((name for name in files.names if PurePosixPath(name).name in NAMES), None)
    if named is None:
        raise UsageError(f"{files.path} has no data.yaml; give the folder or zip that holds it, images/ and labels/")
    names = _read_names(files, named)
    entries = []
    for text in files.ending(".txt"):
        parts = PurePosixPath(text).parts
        if "labels" not in parts[:-1]:
            continue
        place = len(parts) - 1 - parts[::-1].index("labels")
        stem = str(PurePosixPath(*parts[:place], "images", *parts[place + 1 :]).with_suffix(""))
        picture = files.beside(PurePosixPath(stem).name, str(PurePosixPath(stem).parent))
        size = partial(size_of, files, picture, PurePosixPath(stem).name, options)
        labels = partial(_labels, files, text, names, size)
        entries.append(Entry(PurePosixPath(stem).name, labels, partial(files.read, picture) if picture else None))
    return entries


def _read_names(files: Files, named: str) -> dict[int, str]:
    try:
        found = load_yaml(files.read(named))
        names = found["names"]
        items = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(index): str(name)[:200] for index, name in items}
    except DAMAGED as error:
        raise GannotateError(f"{named} has no list `names:` of the classes; add e.g. names: [nose, ear]") from error


def _labels(files: Files, text: str, names: dict[int, str], size: Callable[[], tuple[int, int]]) -> Labels:
    lines = [line.split() for line in files.read(text).decode("utf-8", "replace").splitlines() if line.strip()]
    width, height = size()
    regions = []
    for number, words in enumerate(lines, start=1):
        index, polygon = _outline(words, number, width, height)
        regions.append(Region(names.get(index, str(index)), rasterise([polygon], height, width)))
    return paint(regions, height, width)


def _outline(words: Sequence[str], number: int, width: int, height: int) -> tuple[int, Polygon]:
    try:
        index, numbers = int(words[0]), np.array([float(word) for word in words[1:]])
    except ValueError as error:
        raise GannotateError(f"has a line {number} that is not `class x1 y1 x2 y2 ...`") from error
    if len(numbers) == 4:
        raise GannotateError(
            f"has a box in line {number}; only outlines (3 corners or more) say which pixels are meant"
        )
    if len(numbers) < 6 or len(numbers) % 2 or not (np.abs(numbers) <= FAR).all():
        raise GannotateError(f"has a line {number} that is no outline of 3 or more corners between 0 and 1")
    return index, numbers.reshape(-1, 2) * [width, height]


def write(add: Add, pictures: Iterable[Picture], classes: Sequence[ClassInfo]) -> list[str]:
    """See base.Format."""
    lost_px = lost = 0
    for picture in pictures:
        height, width = picture.label_map.shape
        lines = []
        for value in np.unique(picture.label_map).tolist():
            if value in (0, IGNORE):
                continue
            for polygon in to_polygons(picture.label_map == value):
                corners = (polygon / [width, height]).ravel()
                lines.append(" ".join([str(value - 1), *(f"{corner:.8g}" for corner in corners)]) + "\n")
        add(f"images/train/{picture.name}.png", encode_picture(picture.picture))
        add(f"labels/train/{picture.name}.txt", "".join(lines).encode())
        unlabelled = int((picture.label_map == IGNORE).sum())
        lost_px, lost = lost_px + unlabelled, lost + bool(unlabelled)
    names = {index - 1: item.name for index, item in enumerate(classes) if index}
    about = {"path": ".", "train": "images/train", "val": "images/train", "names": names}
    add("data.yaml", yaml.safe_dump(about, sort_keys=False, allow_unicode=True).encode())
    if not lost:
        return []
    return [f"YOLO knows no unlabelled pixels: {lost_px} px of {lost} pictures are background in it"]
