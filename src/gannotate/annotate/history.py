"""Every saved label map of every picture, numbered from 1: what the annotator's versions are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gannotate.errors import GannotateError
from gannotate.files import disk_error, drop, write_bytes

UNREADABLE = ".unreadable.png"
"""How the name of a kept file ends that is no label map of the project."""

KEEP = 100
"""Versions kept of each picture, the newest ones: each is a small PNG."""


@dataclass(frozen=True)
class Begun:
    """A version whose save was cut off."""

    version: int
    started: str
    """What the person who drew it started from."""
    png: bytes


class History:
    """Files SEED/000001.png, SEED/000002.png, ... below `folder`, each written once and whole.

    What another program put there and cannot be read is SEED/000002.unreadable.png: it takes a number, so that a save
    from before it is a stale one, but is no version to go back to, and is kept for good.
    A version whose map is not the picture's annotation yet is SEED/000002.STARTED.begun, and does not count; STARTED is
    a word on what the person who drew it started from.
    """

    def __init__(self, folder: Path, keep: int = KEEP) -> None:
        self.folder, self.keep = folder, keep

    def versions(self, seed: int) -> list[int]:
        """Numbers of the kept versions of one picture, oldest first."""
        found = (self.folder / str(seed)).glob("*.png")
        return sorted(int(path.stem) for path in found if path.stem.isdecimal())

    def head(self, seed: int) -> int:
        """The newest number, of a version or of a file that cannot be read; 0 when nothing was ever saved."""
        unreadable = [path.name.split(".")[0] for path in (self.folder / str(seed)).glob(f"*{UNREADABLE}")]
        return max([*self.versions(seed), *(int(number) for number in unreadable if number.isdecimal())], default=0)

    def unreadable(self, seed: int, version: int) -> bytes | None:
        """The file that cannot be read which took this number; None when a version did.

        Raises:
            GannotateError: its copy cannot be read either.
        """
        try:
            return self._path(seed, version).with_suffix(UNREADABLE).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise GannotateError(f"{error.filename} cannot be read ({error.strerror or error})") from error

    def add_unreadable(self, seed: int, version: int, data: bytes) -> None:
        """Keeps a file that cannot be read, under the next number.

        Raises:
            GannotateError: it could not be written; nothing changed.
        """
        write_bytes(self._path(seed, version).with_suffix(UNREADABLE), data)

    def read(self, seed: int, version: int) -> bytes:
        """PNG bytes of one version.

        Raises:
            GannotateError: there is no such version, or no longer.
        """
        try:
            return self._path(seed, version).read_bytes()
        except FileNotFoundError as error:
            kept = self.versions(seed)
            shown = f"{kept[0]} to {kept[-1]}" if kept else "none"
            raise GannotateError(f"version {version} of picture {seed} is not kept; kept are {shown}") from error

    def add(self, seed: int, version: int, png: bytes) -> None:
        """Writes a version of a map that is the picture's annotation, and lets those go that are too old to keep.

        Raises:
            GannotateError: it could not be written; nothing changed.
        """
        write_bytes(self._path(seed, version), png)
        self._drop_old(seed)

    def begin(self, seed: int, version: int, png: bytes, started: str) -> None:
        """Writes a version that counts from `end` on; `started` is a word of letters.

        Raises:
            GannotateError: it could not be written; nothing changed.
        """
        write_bytes(self._path(seed, version).with_suffix(f".{started}.begun"), png)

    def end(self, seed: int, version: int) -> None:
        """Counts a version that was begun, and lets those go that are too old to keep.

        Raises:
            GannotateError: the folder cannot be written; the version is still begun.
        """
        path = self._path(seed, version)
        (begun,) = path.parent.glob(f"{path.stem}.*.begun")
        try:
            os.replace(begun, path)
        except OSError as error:
            raise disk_error(error, path) from error
        self._drop_old(seed)

    def begun(self, seed: int) -> Begun | None:
        """A version that was begun and not ended."""
        for path in (self.folder / str(seed)).glob("*.*.begun"):
            number, started, _ = path.name.split(".", 2)
            if number.isdecimal():
                return Begun(int(number), started, path.read_bytes())
        return None

    def _drop_old(self, seed: int) -> None:
        for old in self.versions(seed)[: -self.keep]:
            drop(self._path(seed, old))

    def _path(self, seed: int, version: int) -> Path:
        return self.folder / str(seed) / f"{version:06d}.png"
