"""`gannotate predict` in several processes: each labels the batches that are its own, into one folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gannotate.data.sharing import PartNotes, Worker, write_new_json
from gannotate.data.writing import Add, check_new
from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_bytes, write_json

if TYPE_CHECKING:
    from gannotate.cli.predict import Predicted

MANIFEST = "predict.json"
"""In the folder of answers: what was asked for, and whether all of it is there."""

Item = tuple[str, str]
"""A picture's name, and that of its answer."""

Label = Callable[[Sequence[Item], Add, "Predicted"], None]
"""Labels one batch: adds the files of its answers, and notes what was skipped and how well it was redrawn."""


def open_shared(out: Path, asked: dict[str, Any]) -> None:
    """Makes `out` a folder for these answers, or finds it so: processes may come late, or come back.

    Raises:
        UsageError: it is a zip, or holds something else.
    """
    if out.suffix.lower() == ".zip":
        raise UsageError(f"several processes cannot write one zip; give a folder to --out, {out.with_suffix('')}")
    if not (out / MANIFEST).exists():
        check_new(out)
        if write_new_json(out / MANIFEST, {"asked": asked, "complete": False}):
            return
    try:
        before = json.loads((out / MANIFEST).read_text())["asked"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise GannotateError(f"{out / MANIFEST} is damaged ({error}); give another folder to --out") from error
    changed = sorted(name for name in asked if before.get(name) != asked[name])
    if changed:
        raise UsageError(f"{out} holds answers to another {', '.join(changed)}; give another folder to --out")


def predict_shared(
    label: Label, batches: Sequence[Sequence[Item]], out: Path, worker: Worker, asked: dict[str, Any]
) -> Iterator[Predicted]:
    """Labels this process's batches; the first then waits for all, and gives as its last progress what all did.

    Raises:
        GannotateError: no picture could be labelled, or the other processes finished nothing for too long.
    """
    from gannotate.cli.predict import Predicted

    def add(name: str, data: bytes) -> None:
        write_bytes(out / name, data)

    notes, begin = PartNotes(out / "parts"), time.monotonic()
    complete = bool(json.loads((out / MANIFEST).read_text())["complete"])
    own = [] if complete else worker.own(range(len(batches)))
    total, done = sum(len(batches[index]) for index in own), 0
    for index in own:
        if notes.get(index) is None:
            part = Predicted(0, len(batches[index]), 0.0, 0.0, {})
            label(batches[index], add, part)
            notes.add(index, {"skipped": part.skipped, "rows": part.rows})
        done, seconds = done + len(batches[index]), time.monotonic() - begin
        yield Predicted(done, total, seconds, seconds / done * (total - done), {})
    if worker.number > 0:
        return
    everything = sum(map(len, batches))
    if not complete:
        for _ in worker.waits(
            lambda: sum(notes.get(index) is not None for index in range(len(batches))), len(batches), out
        ):
            yield Predicted(done, everything, time.monotonic() - begin, 0.0, {})
        _collect(out, notes, len(batches), asked)
    found = json.loads((out / MANIFEST).read_text())
    if len(found["skipped"]) == everything:
        name, reason = next(iter(found["skipped"].items()))
        raise GannotateError(f"none of the {everything} pictures could be labelled, the first: {name} {reason}")
    seconds = time.monotonic() - begin
    yield Predicted(everything, everything, seconds, 0.0, {}, found["skipped"], found["rows"])


def _collect(out: Path, notes: PartNotes, parts: int, asked: dict[str, Any]) -> None:
    """Writes what the notes say beside the answers, as one process does, and drops them."""
    skipped: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for index in range(parts):
        note = notes.get(index) or {}
        skipped |= note.get("skipped", {})
        rows += note.get("rows", [])
    if rows:
        write_bytes(out / "inversion.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    write_json(out / MANIFEST, {"asked": asked, "complete": True, "skipped": skipped, "rows": rows})
    notes.drop()
