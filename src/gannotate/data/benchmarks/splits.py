"""Which pictures of a dataset make a split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self, TypeVar

from pydantic import Field, model_validator

from gannotate.project_config import Strict
from gannotate.seeding import numpy_stream

T = TypeVar("T")

Range = tuple[int, int | None]
"""First place and the one behind the last; None for the end."""


class Split(Strict):
    """One split. Which fields a layout looks at is its `split_fields`; others in a declaration are refused."""

    EVERYWHERE: ClassVar[tuple[str, ...]] = ("about", "count", "labelled", "part", "parts")
    """Fields that every layout has a use for."""

    about: str = ""
    """One line."""
    count: int | None = None
    """Pictures that it should have, as published; None where nobody tells."""
    labelled: bool = True
    """Whether there are labels to read."""
    part: Range = (0, None)
    """First picture and the one behind the last, in order (in PartMasks: by their number)."""
    parts: Annotated[tuple[Range, ...], Field(min_length=2)] | None = None
    """Several of these in place of `part`, rising and apart, e.g. [[0, 27500], [28000, 29500]]."""
    folder: str = ""
    """Folder with the split's files (Numbered)."""
    names: str = ""
    """Text file with the pictures' names, one a line (Pairs), or the name of VOC's list (PascalPart)."""
    pictures: str = ""
    """Picture files, e.g. images/{name}.* (Pairs)."""
    labels: str = ""
    """Label files, e.g. masks/{name}.png (Pairs)."""
    only: tuple[str, ...] = ()
    """Take only names that begin with one of these (Pairs)."""
    draw: Annotated[int, Field(ge=1)] | None = None
    """Draw so many of the pictures, always the same ones (Pairs)."""
    hashed: tuple[float, float] = (0.0, 1.0)
    """Take the pictures whose name falls into this part of 0 to 1; other pictures do not change that (Pairs)."""
    smallest_px: int = 0
    """A class with fewer pixels in a picture becomes background, at the file's own size (Numbered)."""
    unlearned: tuple[str, ...] = ()
    """Names of the dataset whose pixels have no label in this split: 255 (Numbered)."""
    merged: bool = False
    """The files hold the benchmark's own class ids, not the dataset's (Numbered, Pairs)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        low, high = self.hashed
        if not 0 <= low < high <= 1:
            raise ValueError(f"hashed is {low} to {high}; give two rising numbers from 0 to 1")
        if {"part", "parts"} <= self.model_fields_set and self.parts is not None:
            raise ValueError("both part and parts are given; give one of them")
        behind: int | None = 0
        for first, end in self.ranges:
            if first < 0 or (end is not None and end <= first):
                raise ValueError(f"part is {first} to {end}; give the first and the one behind the last")
            if behind is None or first < behind:
                raise ValueError(
                    f"parts has {first} to {end} behind {behind or 'the end'}; give rising ones, none twice"
                )
            behind = end
        return self

    @property
    def ranges(self) -> tuple[Range, ...]:
        """`parts`, or `part` alone."""
        return self.parts or (self.part,)

    def cut(self, pictures: Sequence[T]) -> list[T]:
        """Those of the pictures, which are in order, that lie in the ranges."""
        return [one for first, end in self.ranges for one in pictures[first:end]]

    def take(self, names: Sequence[str]) -> Sequence[str]:
        """The names of this split, of those that are there in order: `only`, `hashed`, `draw`, then `part(s)`."""
        low, high = self.hashed
        taken = [name for name in names if not self.only or name.startswith(self.only)]
        if (low, high) != (0.0, 1.0):
            taken = [name for name in taken if low <= place_of(name) < high]
        if self.draw is not None and self.draw < len(taken):
            chosen = sorted(numpy_stream("benchmark split", self.draw).permutation(len(taken))[: self.draw])
            taken = [taken[index] for index in chosen]
        return self.cut(taken)


def place_of(name: str) -> float:
    """Where a name falls in [0, 1), the same on every machine and whatever other names there are."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
