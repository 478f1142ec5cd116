"""Which pictures of a dataset make a split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from gannotate.project_config import Strict
from gannotate.seeding import numpy_stream


class Split(Strict):
    """One split. Which fields a layout looks at is its `split_fields`; others in a declaration are refused."""

    EVERYWHERE: ClassVar[tuple[str, ...]] = ("about", "count", "labelled", "part")
    """Fields that every layout has a use for."""

    about: str = ""
    """One line."""
    count: int | None = None
    """Pictures that it should have, as published; None where nobody tells."""
    labelled: bool = True
    """Whether there are labels to read."""
    part: tuple[int, int | None] = (0, None)
    """First picture and the one behind the last, in order (in PartMasks: by their number)."""
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
    merged: bool = False
    """The files hold the benchmark's own class ids, not the dataset's (Numbered, Pairs)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        low, high = self.hashed
        if not 0 <= low < high <= 1:
            raise ValueError(f"hashed is {low} to {high}; give two rising numbers from 0 to 1")
        if self.part[0] < 0 or (self.part[1] is not None and self.part[1] <= self.part[0]):
            raise ValueError(f"part is {self.part[0]} to {self.part[1]}; give the first and the one behind the last")
        return self

    def take(self, names: Sequence[str]) -> Sequence[str]:
        """The names of this split, of those that are there in order: `only`, `hashed`, `draw`, then `part`."""
        low, high = self.hashed
        taken = [name for name in names if not self.only or name.startswith(self.only)]
        if (low, high) != (0.0, 1.0):
            taken = [name for name in taken if low <= place_of(name) < high]
        if self.draw is not None and self.draw < len(taken):
            chosen = sorted(numpy_stream("benchmark split", self.draw).permutation(len(taken))[: self.draw])
            taken = [taken[index] for index in chosen]
        return taken[self.part[0] : self.part[1]]


def place_of(name: str) -> float:
    """Where a name falls in [0, 1), the same on every machine and whatever other names there are."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48
