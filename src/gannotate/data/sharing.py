"""Work that several processes share by number, through a folder and nothing else.

Part i is done by process i mod the number of processes. What is done is noted in a file for each part, written after
the part's own files, so that a process may die at any time and come back, in any number: nothing is lost or doubled.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gannotate.data.remote import Place, put
from gannotate.errors import GannotateError
from gannotate.files import as_json
from gannotate.parsing import DAMAGED, load_json

UNDER_TORCHRUN = "TORCHELASTIC_RUN_ID"
"""In the environment of processes that torchrun started."""

PATIENT_PARTS = 5
"""Another process may be so many times as slow as this one before it is taken for dead."""

MOST = 10**10
"""More than a dataset has samples, and than there are seeds: a larger number in a note or a manifest is damage."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Which of several processes this one is. They share a folder, and nothing else."""

    number: int = 0
    """This process's, from 0."""
    numbers: int = 1
    """How many there are."""
    patience_s: float = 1800.0
    """Seconds that the first waits at its end while nobody else finishes a part; longer where its own took long, and
    for ever under torchrun, which ends all processes when one of them dies."""
    look_s: float = 1.0
    """Seconds between its looks."""

    def own(self, parts: range) -> list[int]:
        """The parts that are this process's."""
        return [index for index in parts if index % self.numbers == self.number]

    def waits(self, found: Callable[[], int], parts: int, folder: Place, slowest_s: float = 0.0) -> Iterator[int]:
        """Yields how many of the parts are done while some are missing; ends when none is.

        slowest_s: seconds that the slowest of this process's own parts took.

        Raises:
            GannotateError: nobody has finished a part for too long.
        """
        patience_s = math.inf if UNDER_TORCHRUN in os.environ else max(self.patience_s, PATIENT_PARTS * slowest_s)
        seen, since = -1, time.monotonic()
        while (done := found()) < parts:
            if done != seen:
                seen, since = done, time.monotonic()
            elif time.monotonic() - since > patience_s:
                raise GannotateError(
                    f"{parts - done} of {parts} parts of {folder} are missing, and nobody has written one for "
                    f"{patience_s / 60:.0f} minutes; run the same command again, in any number of processes, to "
                    "write them"
                )
            yield done
            time.sleep(self.look_s)


class PartNotes:
    """Notes of the parts that are done, each a json-able dict, in `folder`/000012.json and so on."""

    def __init__(self, folder: Place, numbers: tuple[str, ...] = ()) -> None:
        """`numbers`: entries that every note has, whole numbers from 0 to `MOST`."""
        self.folder, self.numbers = folder, numbers
        self._known: dict[int, dict[str, Any]] = {}

    def add(self, index: int, note: dict[str, Any]) -> None:
        """Notes a part whose files are written."""
        data = as_json(note)
        put(self._path(index), data)
        self._known[index] = load_json(data)

    def get(self, index: int) -> dict[str, Any] | None:
        """What was noted of a part; None when nothing was. A note that was found is not looked for again.

        Raises:
            GannotateError: the note is damaged.
        """
        if index in self._known:
            return self._known[index]
        try:
            note = load_json(self._path(index).read_bytes())
            if all(type(note[name]) is int and 0 <= note[name] <= MOST for name in self.numbers):
                self._known[index] = note
                return note
            reason = f"{' or '.join(self.numbers)} is no number from 0 to {MOST}"
        except FileNotFoundError:
            return None
        except DAMAGED as error:
            reason = str(error)
        raise GannotateError(f"{self._path(index)} is damaged ({reason}); delete it, and its part is written again")

    def exist(self) -> bool:
        """Whether any part is noted."""
        return self.folder.exists()

    def drop(self) -> None:
        """Forgets all of them: what they say is kept elsewhere now."""
        if isinstance(self.folder, Path):
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            self.folder.remove()

    def _path(self, index: int) -> Place:
        return self.folder / f"{index:06d}.json"
