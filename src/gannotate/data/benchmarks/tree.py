"""The files of a public dataset below one folder, as its authors laid them out, in bounded memory."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from PIL import Image

from gannotate.data.formats.files import MOST_BYTES
from gannotate.data.pictures import SUFFIXES, decode_picture
from gannotate.errors import GannotateError, UsageError


class Tree:
    """The dataset's own top folder, wherever in `folder` it lies.

    Args:
        folder: what the user gave. roots: places below it to look at, first one first. anchors: names that must be in
            the right one; one of them is enough.

    Raises:
        UsageError: no such folder, or none of the places has any anchor.
    """

    def __init__(self, folder: str | Path, roots: Sequence[str], anchors: Sequence[str]) -> None:
        folder = Path(folder)
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "does not exist"
            raise UsageError(f"{folder} {what}; give the folder of the unpacked dataset")
        found = next(
            (folder / root for root in roots if any((folder / root / name).exists() for name in anchors)), None
        )
        if found is None:
            raise UsageError(
                f"{folder} has no {' or '.join(anchors)}; give the folder that holds "
                f"{'it' if len(anchors) == 1 else 'one of them'} (`gannotate data benchmarks NAME` shows the layout)"
            )
        self.path = found
        self.listing = functools.cache(self._listing)

    def _listing(self, folder: str) -> frozenset[str]:
        """Names of the files in one folder, hidden ones left out; none when there is no such folder."""
        place = self.path / folder
        if not place.is_dir():
            return frozenset()
        return frozenset(item.name for item in place.iterdir() if not item.name.startswith(".") and item.is_file())

    def below(self, folder: str) -> list[str]:
        """Files below a folder, with / between folders and relative to it, sorted; hidden ones are left out."""
        place = self.path / folder
        names = (item.relative_to(place) for item in place.rglob("*") if item.is_file()) if place.is_dir() else ()
        return sorted(name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))

    def has(self, name: str) -> bool:
        """Whether there is such a file; never for a name that leads out of the folder."""
        folder, _, last = name.rpartition("/")
        return safe(name) and last in self.listing(folder)  # one look a folder: datasets have 100,000 files

    def picture_name(self, pattern: str) -> str:
        """`pattern`, with its ending `.*` made into that of the picture that is there; `.png` when there is none."""
        if not pattern.endswith(".*"):
            return pattern
        stem, folder = pattern[:-2], str(PurePosixPath(pattern).parent)
        last, known = PurePosixPath(stem).name, self.listing(folder) if safe(pattern) else frozenset()
        tried = (last + form for suffix in SUFFIXES for form in (suffix, suffix.upper()))
        return stem + next((name[len(last) :] for name in tried if name in known), ".png")

    def read(self, name: str) -> bytes:
        """A file's bytes.

        Raises:
            GannotateError: not there, not readable, or larger than MOST_BYTES.
        """
        if not self.has(name):
            raise GannotateError(f"{self.path} has no {name}")
        try:
            with (self.path / name).open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise GannotateError(f"{name} cannot be read ({error.strerror or error})") from error
        if len(data) > MOST_BYTES:
            raise GannotateError(f"{name} has more than {MOST_BYTES >> 20} MB")
        return data

    def picture(self, name: str) -> Image.Image:
        """A picture, upright, as mode L or RGB.

        Raises:
            GannotateError: not there, or not a whole picture.
        """
        try:
            return decode_picture(self.read(name))
        except GannotateError as error:
            raise error if name in str(error) else GannotateError(f"{name}: {error}") from error

    def lines(self, name: str) -> list[str]:
        """The lines of a text file, without empty ones.

        Raises:
            GannotateError: not there, or no text.
        """
        try:
            text = self.read(name).decode()
        except UnicodeDecodeError as error:
            raise GannotateError(f"{name} is no text file ({error.reason})") from error
        return [line.strip() for line in text.splitlines() if line.strip()]


def safe(name: str) -> bool:
    """Whether a name that a file of the dataset tells stays in the dataset's folder."""
    parts = name.replace("\\", "/").split("/")
    return parts[0] not in ("", "~") and ".." not in parts
