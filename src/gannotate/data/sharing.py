"""Work that several processes share by number, through a folder and nothing else.

Part i is done by process i mod the number of processes. What is done is noted in a file for each part, written after
the part's own files, so that a process may die at any time and come back, in any number: nothing is lost or doubled.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gannotate.errors import GannotateError
from gannotate.files import disk_error, write_json


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Which of several processes this one is. They share a folder, and nothing else."""

    number: int = 0
    """This process's, from 0."""
    numbers: int = 1
    """How many there are."""
    patience_s: float = 1800.0
    """Seconds that the first waits at its end while nobody else finishes a part."""
    look_s: float = 1.0
    """Seconds between its looks."""

    def own(self, parts: range) -> list[int]:
        """The parts that are this process's."""
        return [index for index in parts if index % self.numbers == self.number]

    def waits(self, found: Callable[[], int], parts: int, folder: Path) -> Iterator[int]:
        """Yields how many of the parts are done while some are missing; ends when none is.

        Raises:
            GannotateError: nobody has finished a part for too long.
        """
        seen, since = -1, time.monotonic()
        while (done := found()) < parts:
            if done != seen:
                seen, since = done, time.monotonic()
            elif time.monotonic() - since > self.patience_s:
                raise GannotateError(
                    f"{parts - done} of {parts} parts of {folder} are missing, and nobody has written one for "
                    f"{self.patience_s / 60:.0f} minutes; run the same command again, in any number of processes, to "
                    "write them"
                )
            yield done
            time.sleep(self.look_s)


class PartNotes:
    """Notes of the parts that are done, each a json-able dict, in `folder`/000012.json and so on."""

    def __init__(self, folder: Path, numbers: tuple[str, ...] = ()) -> None:
        """`numbers`: entries that every note has, whole numbers."""
        self.folder, self.numbers = folder, numbers

    def add(self, index: int, note: dict[str, Any]) -> None:
        """Notes a part whose files are written."""
        write_json(self._path(index), note)

    def get(self, index: int) -> dict[str, Any] | None:
        """What was noted of a part; None when nothing was.

        Raises:
            GannotateError: the note is damaged.
        """
        try:
            note = json.loads(self._path(index).read_text())
            if all(type(note[name]) is int for name in self.numbers):
                return note
            reason = f"{' or '.join(self.numbers)} is no number"
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, OSError) as error:
            reason = str(error)
        raise GannotateError(f"{self._path(index)} is damaged ({reason}); delete it, and its part is written again")

    def drop(self) -> None:
        """Forgets all of them: what they say is kept elsewhere now."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:06d}.json"


def write_new_json(path: Path, value: Any) -> bool:
    """Writes `value` to `path` where nothing is; False when another process was faster, whose file stays.

    Raises:
        GannotateError: the disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as beside:
            made = Path(beside) / path.name
            write_json(made, value)
            try:
                os.link(made, path)  # unlike a renaming, it replaces nothing
            except FileExistsError:
                return False
            except OSError:  # a file system without hard links
                if path.exists():
                    return False
                os.replace(made, path)
    except OSError as error:
        raise disk_error(error, path) from error
    return True
