"""DatasetGAN and its followers: a folder of pictures and label arrays that are paired by the number in their names.

image_0.jpg  image_mask0.npy  image_1.jpg  image_mask1.npy ...       DatasetGAN, training pictures
img_0.png    img_0.npy ...                                           DDPM segmentation
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import ClassVar, Literal

import numpy as np

from gannotate.data.benchmarks.classes import Merge, merged, without_specks
from gannotate.data.benchmarks.items import Item, LabelMap
from gannotate.data.benchmarks.splits import Split
from gannotate.data.benchmarks.tree import Tree
from gannotate.data.formats.arrays import decode
from gannotate.data.formats.base import check_area
from gannotate.data.pictures import SUFFIXES
from gannotate.errors import GannotateError
from gannotate.labels import IGNORE
from gannotate.project_config import Strict

PICTURE = re.compile(r"(image|img)_\d+")
ARRAY = re.compile(r"(image_mask|img_)\d+")
"""How the published files are called; of several with one number these count."""


class Numbered(Strict):
    """Arrays are never unpickled. `part` of a split counts by number; pictures then go by name, as folds do."""

    kind: Literal["numbered"]
    split_fields: ClassVar[tuple[str, ...]] = ("folder", "smallest_px", "unlearned", "merged")

    def anchors(self, splits: Sequence[Split]) -> tuple[str, ...]:
        """Names one of which is in the dataset's own folder."""
        return tuple(dict.fromkeys(split.folder for split in splits))

    def place(self, split: Split) -> str:
        """Where the split's pictures lie, for messages."""
        return split.folder

    def items(self, tree: Tree, split: Split, source: Sequence[str], merge: Merge) -> list[Item]:
        """One item for each number that has a picture or an array; what has no number belongs to nothing.

        Raises:
            GannotateError: two pictures or two arrays have one number, and both or none are called as published.
        """
        names = tree.listing(split.folder)
        pictures = _by_number([name for name in names if name.lower().endswith(SUFFIXES)], PICTURE, split.folder)
        arrays = _by_number([name for name in names if name.lower().endswith(".npy")], ARRAY, split.folder)
        numbers = split.take(sorted(pictures.keys() | arrays.keys(), key=int))
        items = []
        for number in numbers:
            picture, array = pictures.get(number, f"(a picture {number})"), arrays.get(number, f"(an array {number})")
            there = {picture: number in pictures, array: number in arrays or not split.labelled}
            labels = partial(_label_map, tree, split, f"{split.folder}/{array}", tuple(source), merge)
            items.append(
                Item(
                    name=PurePosixPath(picture).stem if number in pictures else number,
                    picture=partial(tree.picture, f"{split.folder}/{picture}"),
                    label_map=labels if split.labelled else None,
                    missing=partial(list, [f"{split.folder}/{name}" for name, found in there.items() if not found]),
                    rank=int(number),  # by name 10 comes before 2, and the papers' first ones go by number
                )
            )
        return sorted(items, key=lambda item: item.name)


def _by_number(names: Sequence[str], published: re.Pattern[str], folder: str) -> dict[str, str]:
    """Each name by the number at the end of its stem, without leading zeros."""
    several: dict[str, list[str]] = {}
    for name in sorted(names):
        number = re.search(r"(\d+)$", PurePosixPath(name).stem)
        if number:
            several.setdefault(str(int(number[1])), []).append(name)
    return {number: _one_of(found, published, folder) for number, found in several.items()}


def _one_of(names: list[str], published: re.Pattern[str], folder: str) -> str:
    usual = [name for name in names if published.fullmatch(PurePosixPath(name).stem)] or names
    if len(usual) > 1:
        raise GannotateError(f"{folder} has {usual[0]} and {usual[1]}, which have one number; move one away")
    return usual[0]


def _label_map(tree: Tree, split: Split, file: str, source: tuple[str, ...], merge: Merge) -> LabelMap:
    try:
        array = _flat(decode(tree.read(file)))
        check_area(array.shape[1], array.shape[0])
    except GannotateError as error:
        raise error if file in str(error) else GannotateError(f"{file} {error}") from error
    if split.smallest_px:
        array = without_specks(array, split.smallest_px)
    unlearned = np.isin(array, [source.index(name) for name in split.unlearned])
    if split.merged:
        source, merge = tuple(merge.table), Merge({name: (name,) for name in merge.table})
    return np.where(unlearned, np.uint8(IGNORE), merged(array, source, merge, file))


def _flat(array: np.ndarray) -> np.ndarray:
    """The label map of an array (h, w), (h, w, c) or (c, h, w); of several channels the first one counts."""
    if array.ndim == 3:
        channels = int(np.argmin(array.shape))
        array = np.take(array, 0, axis=channels) if array.shape[channels] <= 4 else array
    if array.ndim != 2:
        raise GannotateError(f"is an array {array.shape}; a label map is (height, width) of class ids")
    return array
