"""Pascal-Part on PASCAL VOC 2010: an annotation of objects and parts for each picture, cut to one object a picture.

JPEGImages/2008_000003.jpg  Annotations/2008_000003.xml  ImageSets/Main/horse_train.txt       VOC 2010
Annotations_Part/2008_000003.mat   (also in part_segmentation/)                               Pascal-Part
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from gannotate.data.walking import unreadable
from gannotate.errors import GannotateError
from gannotate.project_config import Strict


@dataclass(frozen=True)
class Crop:
    """One object of a picture, and the size in px of the annotation that it is cut out of."""

    place: int
    """Among the picture's objects of its kind."""
    square: Square
    width: int
    height: int


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

    def place(self, split: Split) -> str:
        """Where the split's pictures are told, for messages."""
        return f"ImageSets/Main/{self.thing}_{split.names}.txt"

    def items(self, tree: Tree, split: Split, source: Sequence[str], merge: Merge) -> list[Item]:
        """One item for each crop, sorted by name (picture, then place among its objects).

        Which crops there are is told by the labelled area, so this reads all annotations of VOC's list: seconds, and
        of persons minutes. A picture without them, or with damaged ones, is one item, which cannot be read.
        """
        crops = tree.once((repr(self), repr(merge), split.names), lambda: self._listed(tree, split, merge))
        items: list[Item] = []
        for name, found in crops.items():
            if isinstance(found, GannotateError):
                items.append(_broken(tree, name, found, split))
            else:
                items += [self._item(tree, name, crop, split, merge) for crop in found]
        items.sort(key=lambda item: item.name)
        return split.cut(items)

    def _item(self, tree: Tree, name: str, crop: Crop, split: Split, merge: Merge) -> Item:
        files = _files(tree, name)
        return Item(
            name=f"{name}_{crop.place}",
            picture=partial(_picture, tree, files["picture"], crop),
            label_map=partial(self._read, tree, files, crop.square, merge) if split.labelled else None,
            missing=lambda: [files["picture"]] if not tree.has(files["picture"]) else [],
        )

    def _listed(self, tree: Tree, split: Split, merge: Merge) -> dict[str, list[Crop] | GannotateError]:
        """The crops of each picture of VOC's list, or why they cannot be told; the picture itself is not read."""
        names, found = self._pictures(tree, split), {}
        for done, name in enumerate(names, 1):
            try:
                found[name] = self._crops(tree, _files(tree, name), merge)
            except GannotateError as error:
                found[name] = error
            tree.told(self.place(split), done, len(names))
        return found

    def _pictures(self, tree: Tree, split: Split) -> list[str]:
        file = self.place(split)
        rows = [line.split() for line in tree.lines(file)]
        wrong = next((row for row in rows if len(row) != 2 or not safe(row[0])), None)
        if wrong is not None:
            raise GannotateError(f"{file} has the line {' '.join(wrong)!r}; a line is a name and 1, 0 or -1")
        return list(dict.fromkeys(name for name, flag in rows if flag == "1"))  # one that is listed twice counts once

    def _crops(self, tree: Tree, files: dict[str, str], merge: Merge) -> list[Crop]:
        """Each object of the picture that is taken."""
        boxes = read_boxes(tree.read(files["boxes"]), self.thing, files["boxes"])
        apart = overlaps(boxes).max(axis=1, initial=0) <= self.overlap
        large = [min(box.width, box.height) >= self.smallest_px for box in boxes]
        if not (apart & large).any():
            return []
        labels = self._whole(tree, files, merge)
        if labels is None:
            return []
        height, width = labels.shape
        crops = [Crop(place, square_around(box, width, height), width, height) for place, box in enumerate(boxes)]
        taken = [one for one in crops if apart[one.place] and large[one.place] and one.square.side_px]
        return [one for one in taken if (cut_square(labels, one.square) > 0).mean() >= self.area]

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


def _picture(tree: Tree, file: str, crop: Crop) -> Image.Image:
    image = tree.picture(file).convert("RGB")
    if image.size != (crop.width, crop.height):
        raise GannotateError(
            f"{file} is {image.width}x{image.height} px and its annotation {crop.width}x{crop.height}; they must be of "
            "one size"
        )
    return Image.fromarray(cut_square(np.asarray(image), crop.square))


def _things(tree: Tree, file: str) -> tuple[Thing, ...]:
    path = tree.path / file  # may lie beside VOC's folder, where Pascal-Part was unpacked
    if not tree.is_file(file):
        raise GannotateError(f"{tree.path} has no {file}")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise GannotateError(f"{file} has more than {MOST_BYTES >> 20} MB")
        return read_things(path.read_bytes(), file)
    except OSError as error:
        raise unreadable(file, error) from error


def _files(tree: Tree, name: str) -> dict[str, str]:
    folder = next((place for place in PARTS if (tree.path / place).is_dir()), PARTS[0])
    return {
        "picture": f"JPEGImages/{name}.jpg",
        "boxes": f"Annotations/{name}.xml",
        "parts": f"{folder}/{name}.mat",
    }


def _broken(tree: Tree, name: str, error: GannotateError, split: Split) -> Item:
    """A picture whose crops cannot be told. It counts as one."""
    missing = [file for file in _files(tree, name).values() if not tree.is_file(file)]
    reason = f"has no {missing[0]}" if missing else str(error)
    if split.ranges != ((0, None),):
        reason += "; how many crops it has is not known, so that those behind it may be of another split than published"

    def fail() -> Image.Image:
        raise GannotateError(reason)

    def fail_labels() -> LabelMap:
        raise GannotateError(reason)

    return Item(name, fail, fail_labels, lambda: missing)
