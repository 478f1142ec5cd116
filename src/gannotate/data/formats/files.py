"""The files of a folder or zip, by name, read in bounded memory; nothing outside of it can be named."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from gannotate.data.archives import MOST_BYTES, Archive, read_file
from gannotate.data.pictures import SUFFIXES
from gannotate.data.walking import hidden, names_below
from gannotate.errors import GannotateError, UsageError


class Files:
    """Names of the files below a folder or in a zip, sorted, with / between folders; hidden ones are left out.

    `path` may also be one file of a folder, e.g. one JSON of several: `chosen` is its name then. With an `archive` it
    is only what that is called.
    """

    def __init__(self, path: str | Path, kinds: Sequence[str] = (), archive: Archive | None = None) -> None:
        self.path, self.chosen, self._zip = Path(path), "", archive
        if archive is None and self.path.is_file() and self.path.suffix.lower() in kinds:
            self.path, self.chosen = self.path.parent, self.path.name
        if archive is None and not self.path.exists():
            raise UsageError(f"{path} does not exist; give the folder or zip with the labels")
        if archive is None and self.path.is_file():
            try:
                self._zip = Archive(self.path)
            except GannotateError as error:
                raise UsageError(f"{path} is not a folder or a zip: it {error}") from error
        names = self._zip.names if self._zip is not None else names_below(self.path)
        self.names = tuple(sorted(name for name in names if not hidden(name)))
        self._known = frozenset(self.names)
        self._pictures: dict[str, list[str]] | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def ending(self, *endings: str, under: str = "") -> list[str]:
        """Names that end so (any case), in a folder and below it."""
        inside = under + "/" if under else ""
        return [name for name in self.names if name.startswith(inside) and name.lower().endswith(endings)]

    def read(self, name: str) -> bytes:
        """The bytes of one file.

        Raises:
            GannotateError: not there, not readable, or larger than MOST_BYTES when unpacked.
        """
        if name not in self._known:
            raise GannotateError(f"{self.path} has no {name}")
        try:
            return self._zip.read(name, MOST_BYTES) if self._zip else read_file(self.path / name, MOST_BYTES)
        except GannotateError as error:
            raise GannotateError(f"{name} {error}") from error

    def archive(self, name: str) -> Files:
        """The files in one of these that is a zip itself, as an npz is.

        Raises:
            GannotateError: not a zip that can be read, or larger than MOST_BYTES.
        """
        data = self.read(name)
        try:
            return Files(self.path / name, archive=Archive(io.BytesIO(data)))
        except GannotateError as error:
            raise GannotateError(f"{name} {error}") from error

    def picture(self, name: str, folders: Sequence[str] = ("images",)) -> str | None:
        """The picture file that a label file means by `name`: by that path, in one of `folders`, or by its last part.

        Whatever `name` says, only a file of this folder or zip is found; None when there is none, or two fit.
        """
        last = PurePosixPath(name.replace("\\", "/")).name
        for tried in (name, *(f"{folder}/{name}" for folder in folders), *(f"{folder}/{last}" for folder in folders)):
            if tried in self._known and tried.lower().endswith(SUFFIXES):
                return tried
        if self._pictures is None:
            self._pictures = {}
            for known in self.ending(*SUFFIXES):
                self._pictures.setdefault(PurePosixPath(known).name, []).append(known)
        found = self._pictures.get(last, [])
        return found[0] if len(found) == 1 else None

    def beside(self, stem: str, folder: str) -> str | None:
        """The picture FOLDER/STEM.* for a mask of that stem; the folder may be `.`."""
        path = (PurePosixPath(folder) / stem).as_posix()
        tried = (f"{path}{ending}" for suffix in SUFFIXES for ending in (suffix, suffix.upper()))
        return next((name for name in tried if name in self._known), None)


def stem_of(name: str, under: str = "") -> str:
    """A file's name in its folder without ending, e.g. `a/b` for masks/a/b.png under masks."""
    path = PurePosixPath(name)
    inside = path.relative_to(under) if under else path
    return str(inside.with_suffix(""))
