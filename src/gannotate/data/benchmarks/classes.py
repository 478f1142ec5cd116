"""Class merges: from the names that a dataset's files have to the classes of a benchmark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from jaxtyping import Shaped, UInt8

from gannotate.errors import GannotateError
from gannotate.labels import IGNORE

Lookup = UInt8[np.ndarray, "ids"]
"""Class id of each of the 256 values that a file may hold."""

REST = "rest"
"""Stands for every name of the dataset that no other class has."""


@dataclass(frozen=True)
class Merge:
    """For each class, in the order of the ids, the dataset's names that it takes: words, or patterns like wheel_*.

    At most one class takes REST. Names are compared exactly.
    """

    table: Mapping[str, tuple[str, ...]]

    def id_of(self, name: str) -> int | None:
        """The class id of a name of the dataset; None when no class takes it."""
        rest = None
        for index, patterns in enumerate(self.table.values()):
            if any(fnmatchcase(name, pattern) for pattern in patterns if pattern != REST):
                return index
            if REST in patterns:
                rest = index
        return rest

    def lookup(self, source: Sequence[str]) -> Lookup:
        """Class id of each id in the dataset's files; 255 for an id that no class takes."""
        found = np.full(256, IGNORE, np.uint8)
        for index, name in enumerate(source):
            taken = self.id_of(name)
            found[index] = IGNORE if taken is None else taken
        return found


def merged(ids: Shaped[np.ndarray, "h w"], source: Sequence[str], merge: Merge, file: str) -> UInt8[np.ndarray, "h w"]:
    """A label map of class ids, from one of the dataset's ids. 255 stays what it is.

    Raises:
        GannotateError: numbers that are no ids of the dataset.
    """
    if ids.dtype.kind not in "biu" and not (ids.dtype.kind == "f" and bool((ids == np.floor(ids)).all())):
        raise GannotateError(f"{file} holds numbers that are not whole ({ids.dtype}); a label map holds class ids")
    wrong = np.unique(ids[((ids < 0) | (ids >= len(source))) & (ids != IGNORE)])
    if len(wrong):
        shown = ", ".join(str(int(value)) for value in wrong[:5]) + (", ..." if len(wrong) > 5 else "")
        raise GannotateError(f"{file} has unknown class id {shown}; the dataset has 0-{len(source) - 1} and {IGNORE}")
    return merge.lookup(source)[ids.astype(np.int64)]


def without_specks(ids: Shaped[np.ndarray, "h w"], smallest_px: int) -> Shaped[np.ndarray, "h w"]:
    """DatasetGAN's cleaning: a class with fewer pixels than that in a picture becomes background (0).

    Pixels without a label (255) are no class and stay.
    """
    found, counts = np.unique(ids, return_counts=True)
    specks = found[(counts < smallest_px) & (found != IGNORE)]
    return np.where(np.isin(ids, specks), np.zeros((), ids.dtype), ids)


def words_of(label: str) -> tuple[str, ...]:
    """The names that a network's label stands for: `building;edifice` and `sidewalk, pavement` have two each."""
    return tuple(" ".join(word.split()).casefold() for word in re.split(r"[,;]", label) if word.strip())


def network_lookup(labels: Sequence[str], merge: Merge) -> Lookup:
    """Class id of each of a network's outputs, by any of the names that its label stands for; 255 for no class."""
    found = np.full(256, IGNORE, np.uint8)
    for index, label in enumerate(labels):
        ids = [taken for word in words_of(label) if (taken := merge.id_of(word)) is not None]
        named = [taken for taken in ids if REST not in list(merge.table.values())[taken]]
        taken = (named or ids or [IGNORE])[0]
        found[index] = taken
    return found
