"""CelebAMask-HQ: numbered pictures, and for each a mask file for every part that it has.

CelebA-HQ-img/0.jpg ... 29999.jpg                      1024 px
CelebAMask-HQ-mask-anno/0/00000_skin.png, ...          512 px, 0 or 255; 2000 pictures a folder
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool

from gannotate.data.benchmarks.classes import Merge, merged
from gannotate.data.benchmarks.items import Item, LabelMap
from gannotate.data.benchmarks.splits import Split
from gannotate.data.benchmarks.tree import Tree
from gannotate.errors import GannotateError
from gannotate.picture_files import open_picture
from gannotate.project_config import Strict


class PartMasks(Strict):
    """Parts are painted in the order of the dataset's ids, so that of overlapping ones the later is seen."""

    kind: Literal["part-masks"]
    split_fields: ClassVar[tuple[str, ...]] = ()
    pictures: str
    """Folder of the pictures."""
    masks: str
    """Folder of the masks' folders."""
    total: int
    """Pictures in all."""
    a_folder: int
    """Pictures whose masks share a folder."""
    mask_px: int
    """Side of every mask."""

    def anchors(self, splits: Sequence[Split]) -> tuple[str, ...]:
        """Names one of which is in the dataset's own folder."""
        return (self.pictures, self.masks)

    def place(self, split: Split) -> str:
        """Where the split's pictures lie, for messages."""
        return self.pictures

    def items(self, tree: Tree, split: Split, source: Sequence[str], merge: Merge) -> list[Item]:
        """One item for each number of the split, whether its files are there or not."""
        return [
            Item(
                name=f"{number:05d}",
                picture=partial(tree.picture, self._picture(number)),
                label_map=partial(self._label_map, tree, number, tuple(source), merge) if split.labelled else None,
                missing=partial(self._missing, tree, number, tuple(source) if split.labelled else ()),
            )
            for number in split.cut(range(self.total))
        ]

    def _picture(self, number: int) -> str:
        return f"{self.pictures}/{number}.jpg"

    def _folder(self, number: int) -> str:
        return f"{self.masks}/{number // self.a_folder}"

    def _masks(self, tree: Tree, number: int, source: Sequence[str]) -> list[tuple[int, str]]:
        """Id and file of each part that the picture has; a part without a file is not in the picture."""
        folder = self._folder(number)
        files = tree.listing(folder)
        named = ((index, f"{number:05d}_{part}.png") for index, part in enumerate(source))
        return [(index, f"{folder}/{name}") for index, name in named if name in files]

    def _missing(self, tree: Tree, number: int, source: Sequence[str]) -> list[str]:
        picture = self._picture(number)
        missing = [] if tree.has(picture) else [picture]
        if source and not self._masks(tree, number, source):
            missing.append(f"{self._folder(number)}/{number:05d}_*.png")
        return missing

    def _label_map(self, tree: Tree, number: int, source: tuple[str, ...], merge: Merge) -> LabelMap:
        found = self._masks(tree, number, source)
        if not found:
            raise GannotateError(f"{self._folder(number)} has no mask {number:05d}_*.png")
        ids = np.zeros((self.mask_px, self.mask_px), np.uint8)
        for index, file in found:
            mask = _painted(tree, file)
            if mask.shape != ids.shape:
                height, width = mask.shape
                raise GannotateError(f"{file} is {width}x{height} px, the dataset's masks are {self.mask_px} px")
            ids[mask] = index
        return merged(ids, source, merge, f"the masks {number:05d}_*.png")


def _painted(tree: Tree, file: str) -> Bool[np.ndarray, "h w"]:
    """Where a mask is above 0, whatever its depth: not read as a picture, whose own range would become 0 to 255."""
    data = tree.read(file)
    try:
        image = open_picture(data)
    except GannotateError as error:
        raise GannotateError(f"{file}: {error}") from error
    return np.asarray(image if image.mode.startswith("I") else image.convert("L")) > 0
