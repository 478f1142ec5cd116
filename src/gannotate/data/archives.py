"""The files in a zip that anybody may have made: their names, and their bytes up to a limit."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO

from gannotate.errors import GannotateError

UNPACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Methods of packing: of the other two, zipfile unpacks all that there is, however little of it is asked for."""

MOST_BYTES = 1 << 29
"""A larger file, when it is unpacked, is refused: half a gigabyte of JSON, or of one picture, is none."""


class Archive:
    """A zip that stays open."""

    def __init__(self, path: str | Path | IO[bytes]) -> None:
        """Reads the directory of a zip: a file's, or one that is in memory.

        Raises:
            GannotateError: not a zip that can be read; the reason begins behind its name.
        """
        try:
            self._zip = zipfile.ZipFile(path)
            names = [info.filename for info in self._zip.infolist() if info.filename and not info.is_dir()]
        except Exception as error:  # zipfile raises many kinds on a broken directory
            raise GannotateError(f"is not a zip that can be read ({error})") from error
        self.names = tuple(dict.fromkeys(names))
        """Names of the files in it, each once: of several of one name the last one counts."""

    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        """A file's bytes.

        Raises:
            GannotateError: not there, damaged, encrypted, or more than `most` bytes; no more than that are unpacked.
                The reason begins behind its name.
        """
        try:
            info = self._zip.getinfo(name)
            if info.compress_type not in UNPACKED:
                raise GannotateError("is packed by an unusual method; pack the zip again with the usual one (deflate)")
            with self._zip.open(info) as file:
                data = file.read(most + 1)
        except GannotateError:
            raise
        except Exception as error:  # zipfile and its decompressors raise a dozen kinds
            raise GannotateError(f"cannot be read ({error})") from error
        return checked_size(data, most)


def told_of(names: Collection[str]) -> str:
    """What was found where something else was looked for: `it is empty`, or `it holds a.npz and 3 more files`."""
    if not names:
        return "it is empty"
    more = len(names) - 1
    return f"it holds {min(names)}" + (f" and {more} more {'file' if more == 1 else 'files'}" if more else "")


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a plain file, under the same rules as one of a zip.

    Raises:
        GannotateError: not there, not readable, or more than `most` bytes; the reason begins behind its name.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (OSError, ValueError) as error:  # of a name with a null byte
        raise GannotateError(f"cannot be read ({error})") from error
    return checked_size(data, most)


def checked_size(data: bytes, most: int) -> bytes:
    """`data`, of which one byte more than `most` was read where there was one.

    Raises:
        GannotateError: there was.
    """
    if len(data) > most:
        raise GannotateError(f"has more than {most >> 20} MB")
    return data
