"""Pascal-Part on PASCAL VOC 2010: an annotation of objects and parts for each picture, cut to one object a picture.

JPEGImages/2008_000003.jpg  Annotations/2008_000003.xml  ImageSets/Main/horse_train.txt       VOC 2010
Annotations_Part/2008_000003.mat   (also in part_segmentation/)                               Pascal-Part
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from pydantic import Field

from gannotate.data.benchmarks.classes import Merge
from gannotate.data.benchmarks.crops import Square, cut_square, overlaps, read_boxes, square_around
from gannotate.data.benchmarks.items import Item, LabelMap
from gannotate.data.benchmarks.part_annotations import Thing, read_things
from gannotate.data.benchmarks.splits import Split
from gannotate.data.benchmarks.tree import Tree, safe
from gannotate.data.formats.files import MOST_BYTES
from gannotate.errors import GannotateError
from gannotate.project_config import Strict

PARTS = ("Annotations_Part", "part_segmentation/Annotations_Part", "../Annotations_Part", "../../Annotations_Part")
"""Where Pascal-Part's folder is, seen from VOC's."""


class PascalPart(Strict):
    """Objects of one kind, each in a square of its own.

    Left out are boxes that overlap another of the kind, small ones, and squares with hardly any part in them. A crop
    may hold parts of another object of the kind; what the annotation gives no part is background.
    """

    kind: Literal["pascal-part"]
    split_fields: ClassVar[tuple[str, ...]] = ("names",)
    thing: str
    """Which of VOC's 20 kinds."""
    smallest_px: int = Field(ge=1)
    """A box with a shorter side is left out."""
    overlap: float = Field(0.05, ge=0, le=1)
    """A box that overlaps another one more than that is left out, see `crops.overlaps`."""
    area: float = Field(0.01, ge=0, le=1)
    """A square with a smaller part of labelled pixels is left out."""

    def anchors(self, splits: Sequence[Split]) -> tuple[str, ...]:
        """Names one of which is in the dataset's own folder."""
        return ("JPEGImages", "ImageSets")

    def items(self, tree: Tree, split: Split, source: Sequence[str], merge: Merge) -> list[Item]:
        """One item for each crop, sorted by name (picture, then place among its objects).

        Which crops there are is told by the labelled area, so this reads the split's annotations: some seconds. A
        picture with a file missing or damaged is an item of its own, which cannot be read.
        """
        items: list[Item] = []
        for name in self._pictures(tree, split):
            files = _files(tree, name)
            missing = [file for file in files.values() if not _there(tree, file)]
            if missing:
                items.append(_broken(name, f"has no {missing[0]}", missing))
                continue
            try:
                squares = self._crops(tree, files, merge)
            except GannotateError as error:
                items.append(_broken(name, str(error), []))
                continue
            for place, square in squares:
                picture, labels = (
                    partial(_picture, tree, files, square),
                    partial(self._read, tree, files, square, merge),
                )
                items.append(Item(f"{name}_{place}", picture, labels if split.labelled else None))
        items.sort(key=lambda item: item.name)
        return split.cut(items)

    def _pictures(self, tree: Tree, split: Split) -> list[str]:
        file = f"ImageSets/Main/{self.thing}_{split.names}.txt"
        rows = [line.split() for line in tree.lines(file)]
        wrong = next((row for row in rows if len(row) != 2 or not safe(row[0])), None)
        if wrong is not None:
            raise GannotateError(f"{file} has the line {' '.join(wrong)!r}; a line is a name and 1, 0 or -1")
        return [name for name, flag in rows if flag == "1"]

    def _crops(self, tree: Tree, files: dict[str, str], merge: Merge) -> list[tuple[int, Square]]:
        """Place among the picture's objects, and square, of each object that is taken."""
        boxes = read_boxes(tree.read(files["boxes"]), self.thing, files["boxes"])
        apart = overlaps(boxes).max(axis=1, initial=0) <= self.overlap
        large = [min(box.width, box.height) >= self.smallest_px for box in boxes]
        if not (apart & large).any():
            return []
        labels = self._whole(tree, files, merge)
        if labels is None:
            return []
        height, width = labels.shape
        squares = [(place, square_around(box, width, height)) for place, box in enumerate(boxes)]
        return [
            (place, square)
            for place, square in squares
            if apart[place] and large[place] and square.side_px and (cut_square(labels, square) > 0).mean() >= self.area
        ]

    def _whole(self, tree: Tree, files: dict[str, str], merge: Merge) -> UInt8[np.ndarray, "h w"] | None:
        """The label map of the whole picture; None when the annotation has no object of the kind."""
        file = files["parts"]
        things = [thing for thing in _things(tree, file) if thing.kind == self.thing]
        if not things:
            return None
        labels = np.zeros(things[0].mask.shape, np.uint8)
        for thing in things:
            for part in thing.parts:
                found = merge.id_of(part.name)
                if found is None:
                    raise GannotateError(f"{file} has a {self.thing} with the part {part.name!r}, which no class takes")
                labels[part.mask] = found
        return labels

    def _read(self, tree: Tree, files: dict[str, str], square: Square, merge: Merge) -> LabelMap:
        labels = self._whole(tree, files, merge)
        assert labels is not None  # the crop is of an object in it
        return cut_square(labels, square)


def _picture(tree: Tree, files: dict[str, str], square: Square) -> Image.Image:
    image = tree.picture(files["picture"]).convert("RGB")
    if square.right > image.width or square.bottom > image.height:
        raise GannotateError(f"{files['picture']} is {image.width}x{image.height} px, smaller than its annotation")
    return Image.fromarray(cut_square(np.asarray(image), square))


def _things(tree: Tree, file: str) -> tuple[Thing, ...]:
    path = tree.path / file  # may lie beside VOC's folder, where Pascal-Part was unpacked
    try:
        if path.stat().st_size > MOST_BYTES:
            raise GannotateError(f"{file} has more than {MOST_BYTES >> 20} MB")
        return read_things(path.read_bytes(), file)
    except OSError as error:
        raise GannotateError(f"{file} cannot be read ({error.strerror or error})") from error


def _files(tree: Tree, name: str) -> dict[str, str]:
    folder = next((place for place in PARTS if (tree.path / place).is_dir()), PARTS[0])
    return {
        "picture": f"JPEGImages/{name}.jpg",
        "boxes": f"Annotations/{name}.xml",
        "parts": f"{folder}/{name}.mat",
    }


def _there(tree: Tree, file: str) -> bool:
    return (tree.path / file).is_file()


def _broken(name: str, reason: str, missing: list[str]) -> Item:
    def fail() -> Image.Image:
        raise GannotateError(reason)

    def fail_labels() -> LabelMap:
        raise GannotateError(reason)

    return Item(name, fail, fail_labels, lambda: missing)
