"""The files of a public dataset below one folder, as its authors laid them out, in bounded memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from PIL import Image

from gannotate.data.formats.files import MOST_BYTES
from gannotate.data.pictures import SUFFIXES, decode_picture
from gannotate.data.walking import names_below, unreadable
from gannotate.errors import GannotateError, UsageError

T = TypeVar("T")

Told = Callable[[str, int, int], object]
"""Called with what is read, how many files so far, and of how many."""


def silent(what: str, done: int, total: int) -> None:
    """A `Told` that tells nobody."""


class Tree:
    """The dataset's own top folder, wherever in `folder` it lies.

    told: called while many files must be read before it is known which pictures there are.

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
        self.told: Told = silent
        self.listing = functools.cache(self._listing)
        self._known: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` finds in the files; made once for all splits that ask by the same key."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def _listing(self, folder: str) -> frozenset[str]:
        """Names of the files in one folder, hidden ones left out; none when there is no such folder."""
        if not self._is(Path.is_dir, folder):
            return frozenset()
        try:
            items = [item for item in (self.path / folder).iterdir() if not item.name.startswith(".")]
        except OSError as error:
            raise unreadable(folder, error) from error
        return frozenset(item.name for item in items if item.is_file())

    def below(self, folder: str) -> list[str]:
        """Files below a folder, with / between folders and relative to it, sorted; hidden ones are left out.

        Raises:
            GannotateError: a folder in it cannot be read.
        """
        return names_below(self.path / folder) if self._is(Path.is_dir, folder) else []

    def is_file(self, name: str) -> bool:
        """Whether there is such a file, wherever it lies; see `has` for names that files tell."""
        return self._is(Path.is_file, name)

    def _is(self, kind: Callable[[Path], bool], name: str) -> bool:
        try:
            return kind(self.path / name)
        except OSError:  # a name that is longer than names may be
            return False

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
            raise unreadable(name, error) from error
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
