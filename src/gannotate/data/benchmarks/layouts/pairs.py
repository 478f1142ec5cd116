"""Pictures in one folder, label maps of ids in another, by the same name; the names may be in a list.

images/a.jpg                           masks/a.png                             what `gannotate data label` writes
Images/car_imagenet_cropped/n01.JPEG   Annotations_png/.../n01.png             CGPart's real pictures
data/img_000001.jpg                    data/mask_000001.png                    by semantic projection's annotator
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import ClassVar, Literal, Self

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from pydantic import Field, model_validator

from gannotate.data.benchmarks.classes import Merge, merged
from gannotate.data.benchmarks.items import Item, LabelMap
from gannotate.data.benchmarks.splits import Split
from gannotate.data.benchmarks.tree import Tree, safe
from gannotate.data.pictures import SUFFIXES
from gannotate.errors import GannotateError
from gannotate.labels import IGNORE
from gannotate.picture_files import open_picture
from gannotate.project_config import Strict

NAME = "{name}"

UNLABELLED = "ignore"
"""Stands among the names of `greys` for pixels without a label: 255."""


class Pairs(Strict):
    """A split's `pictures` and `labels` say where the files are; {name} may have folders in it."""

    kind: Literal["pairs"]
    split_fields: ClassVar[tuple[str, ...]] = ("names", "pictures", "labels", "only", "draw", "hashed", "merged")
    greys: Mapping[str, tuple[int, int]] = Field(default_factory=dict)
    """For masks that hold greys and not ids: the first and the last grey of each name, `ignore` among them."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        covered = [grey for first, last in sorted(self.greys.values()) for grey in range(first, last + 1)]
        if self.greys and covered != list(range(256)):
            raise ValueError("greys must give each grey from 0 to 255 to one name, as [first, last]")
        return self

    def anchors(self, splits: Sequence[Split]) -> tuple[str, ...]:
        """Names one of which is in the dataset's own folder."""
        return tuple(dict.fromkeys(_before(split.pictures) for split in splits))

    def place(self, split: Split) -> str:
        """Where the split's pictures are told or lie, for messages."""
        return split.names or split.pictures.replace(NAME, "*")

    def items(self, tree: Tree, split: Split, source: Sequence[str], merge: Merge) -> list[Item]:
        """One item for each name of the list; without a list, for each picture.

        Raises:
            GannotateError: no list, a name in it that leads out of the folder, or two pictures of one name. A name
            that is listed twice counts once.
        """
        if split.merged:
            source, merge = tuple(merge.table), Merge({name: (name,) for name in merge.table})
        listed = list(dict.fromkeys(tree.lines(split.names))) if split.names else _found(tree, split.pictures)
        return [self._item(tree, split, name, tuple(source), merge) for name in split.take(listed)]

    def _item(self, tree: Tree, split: Split, name: str, source: tuple[str, ...], merge: Merge) -> Item:
        if not safe(name):
            raise GannotateError(f"{split.names} names {name!r}, which leads out of the folder")
        picture = tree.picture_name(split.pictures.replace(NAME, name))
        labels = split.labels.replace(NAME, name)
        wanted = [picture, labels] if split.labelled else [picture]
        return Item(
            name=name,
            picture=partial(tree.picture, picture),
            label_map=partial(self._label_map, tree, labels, source, merge) if split.labelled else None,
            missing=lambda: [file for file in wanted if not tree.has(file)],
        )

    def _label_map(self, tree: Tree, file: str, source: tuple[str, ...], merge: Merge) -> LabelMap:
        data = tree.read(file)
        try:
            image = open_picture(data)
        except GannotateError as error:
            raise GannotateError(f"{file} is {error}") from error
        ids = self._of_greys(image, source, file) if self.greys else _ids(image, file)
        return merged(ids, source, merge, file)

    def _of_greys(self, image: Image.Image, source: Sequence[str], file: str) -> UInt8[np.ndarray, "h w"]:
        """The dataset's ids of a mask of greys, whether it was saved with one channel or with three equal ones."""
        channels = np.asarray(image.convert("RGB") if image.mode in ("L", "RGB") else image, np.uint8)
        if channels.ndim != 3 or (channels != channels[..., :1]).any():
            raise GannotateError(f"{file} is {image.mode} with more than greys; a mask has {_told(self.greys)}")
        found = np.empty(256, np.uint8)
        for name, (first, last) in self.greys.items():
            found[first : last + 1] = IGNORE if name == UNLABELLED else source.index(name)
        return found[channels[..., 0]]


def _told(greys: Mapping[str, tuple[int, int]]) -> str:
    return ", ".join(f"{name} from {first} to {last}" for name, (first, last) in greys.items())


def _before(pattern: str) -> str:
    """The folder of a pattern, as far as it is the same for every name."""
    return str(PurePosixPath(pattern.split(NAME)[0] + "x").parent)


def _found(tree: Tree, pattern: str) -> list[str]:
    """The names of the pictures that are there."""
    folder, (head, ending) = _before(pattern), pattern.split(NAME)
    first = head.rpartition("/")[2]  # of the pictures' names, as img_
    named = (name for name in tree.below(folder) if name.startswith(first))
    files = [name for name in named if (name.lower().endswith(SUFFIXES) if ending == ".*" else name.endswith(ending))]
    check_apart(files, folder)
    return sorted(str(PurePosixPath(name).with_suffix("")).removeprefix(first) for name in files)


def check_apart(files: Sequence[str], folder: str) -> None:
    """Raises GannotateError when two of the pictures differ in their endings alone: they would share a label map."""
    known: dict[PurePosixPath, str] = {}
    for name in files:
        other = known.setdefault(PurePosixPath(name).with_suffix(""), name)
        if other != name:
            raise GannotateError(f"{folder} has {other} and {name}, which would share one label map; rename one")


def _ids(image: Image.Image, file: str) -> UInt8[np.ndarray, "h w"]:
    """The ids of a mask; one of a single bit has 0 and 1."""
    if image.mode not in ("P", "L", "1"):
        raise GannotateError(f"{file} is {image.mode}; a label map has one channel of class ids")
    ids = np.asarray(image.convert("L") if image.mode == "1" else image, np.uint8)
    return (ids > 0).astype(np.uint8) if image.mode == "1" else ids
