"""Real pictures for a project's pool, read from files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from gannotate.data.pictures import PictureSource, Skipped
from gannotate.data.real_pictures import read_real
from gannotate.errors import GannotateError, UsageError
from gannotate.project import Project, RealPicture
from gannotate.seeding import numpy_stream
from gannotate.wording import counted


class Cropping(Protocol):
    """The flags that adding real pictures reads."""

    @property
    def crop(self) -> bool: ...
    @property
    def seed(self) -> int: ...
    @property
    def quiet(self) -> bool: ...


def add_pictures(project: Project, pictures: Path, flags: Cropping, count: int | None = None) -> list[int]:
    """Adds real pictures of a folder or zip to the pool, all or `count` of them; gives their numbers.

    Those that cannot be taken are told on stderr.

    Raises:
        UsageError: no pictures, or fewer than `count`. GannotateError: none of them can be taken.
    """
    source = PictureSource(pictures)
    there = counted(len(source.names), "picture")
    if count is not None and not 1 <= count <= len(source.names):
        raise UsageError(f"-n is {count}; {pictures} has {there}, give 1 to that many")
    order = range(len(source.names))
    if count is not None:
        order = sorted(numpy_stream(flags.seed, "real pictures").permutation(len(order))[:count].tolist())
    known = [picture.real for picture in project.pool("real") if picture.real]
    size, channels = project.config.size, project.config.image_channels
    skipped: list[Skipped] = []

    def taken() -> Iterator[tuple[RealPicture, bytes]]:
        for one in read_real(source, [source.names[place] for place in order], size, channels, flags.crop, known):
            if isinstance(one, Skipped):
                skipped.append(one)
            else:
                yield one

    added = project.add_real(taken())
    if not added:
        raise GannotateError(
            f"of {counted(len(skipped), 'picture')} in {pictures} none was added, the first: {skipped[0].name} "
            f"{skipped[0].reason}"
        )
    if skipped and not flags.quiet:
        left = counted(len(skipped), "picture was", "pictures were")
        sys.stderr.write(f"{left} left out, the first: {skipped[0].name} {skipped[0].reason}\n")
    return added
