"""`gannotate predict` in several processes: each labels the batches that are its own, into one folder."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gannotate.cli.flags import MAY_DIFFER
from gannotate.data.sharing import PartNotes, Worker
from gannotate.data.writing import Add, check_new
from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_bytes, write_json, write_new_json
from gannotate.parsing import DAMAGED, load_json
from gannotate.wording import counted

if TYPE_CHECKING:
    from gannotate.cli.predict_pictures import Predicted

MANIFEST = "predict.json"
"""In the folder of answers: what was asked for, and whether all of it is there."""

Item = tuple[str, str]
"""A picture's name, and that of its answer."""

Label = Callable[[Sequence[Item], Add, "Predicted"], None]
"""Labels one batch: adds the files of its answers, and notes what was skipped and how well it was redrawn."""


def asked_of(settings: dict[str, Any], pictures: Sequence[str]) -> dict[str, Any]:
    """What the answers depend on: not where they go, nor where they are computed; of the pictures a hash of names."""
    asked = {name: value for name, value in settings.items() if name not in (*MAY_DIFFER, "out", "seed")}
    return asked | {"pictures": hashlib.sha256(json.dumps(pictures).encode()).hexdigest()}


def open_shared(out: Path, asked: dict[str, Any]) -> None:
    """Makes `out` a folder for these answers, or finds it so: processes may come late, or come back.

    Raises:
        UsageError: it is a zip, or holds something else.
    """
    if out.suffix.lower() == ".zip":
        raise UsageError(f"several processes cannot write one zip; give a folder to --out, {out.with_suffix('')}")
    # looked for before the manifest is: others may be writing it, and after it their first answers
    foreign = out.is_file() or (out.is_dir() and not all(_is_manifest_begun(path) for path in out.iterdir()))
    if not (out / MANIFEST).exists():
        if foreign:
            check_new(out)
        if write_new_json(out / MANIFEST, {"asked": asked, "complete": False}):
            return
    before = _read(out)["asked"]
    changed = sorted(name for name in asked if before.get(name) != asked[name])
    if changed:
        raise UsageError(f"{out} holds answers to another {', '.join(changed)}; give another folder to --out")


def _is_manifest_begun(path: Path) -> bool:
    return path.name.startswith(f".{MANIFEST}.")


def predict_shared(
    label: Label, batches: Sequence[Sequence[Item]], out: Path, worker: Worker, asked: dict[str, Any]
) -> Iterator[Predicted]:
    """Labels this process's batches; whoever finds all labelled writes what all did beside the answers.

    The first process waits for that, and gives it as its last progress.

    Raises:
        GannotateError: no picture could be labelled, or the other processes finished nothing for too long.
    """
    from gannotate.cli.predict_pictures import Predicted

    def add(name: str, data: bytes) -> None:
        write_bytes(out / name, data)

    def found() -> int:
        if _read(out)["complete"]:
            return len(batches)
        return sum(notes.get(index) is not None for index in range(len(batches)))

    notes, begin = PartNotes(out / "parts"), time.monotonic()
    own = worker.own(range(len(batches)))
    total, done, slowest_s = sum(len(batches[index]) for index in own), 0, 0.0
    for index in own:
        begun = time.monotonic()
        if _read(out)["complete"]:  # by others that have begun since, in another number
            break
        if notes.get(index) is None:
            part = Predicted(0, len(batches[index]), 0.0, 0.0, {})
            label(batches[index], add, part)
            notes.add(index, {"skipped": part.skipped, "rows": part.rows})
            slowest_s = max(slowest_s, time.monotonic() - begun)
        done, seconds = done + len(batches[index]), time.monotonic() - begin
        yield Predicted(done, total, seconds, seconds / done * (total - done), {})
    everything = sum(map(len, batches))
    if worker.number == 0:
        for _ in worker.waits(found, len(batches), out, slowest_s):
            yield Predicted(done, everything, time.monotonic() - begin, 0.0, {})
    elif found() < len(batches):
        return
    _collect(out, notes, len(batches), asked)
    if worker.number > 0:
        return
    whole = _read(out)
    if len(whole["skipped"]) == everything:
        name, reason = next(iter(whole["skipped"].items()))
        raise GannotateError(f"of {counted(everything, 'picture')} none could be labelled, the first: {name} {reason}")
    seconds = time.monotonic() - begin
    yield Predicted(everything, everything, seconds, 0.0, {}, whole["skipped"], whole["rows"])


def _collect(out: Path, notes: PartNotes, parts: int, asked: dict[str, Any]) -> None:
    """Writes what the notes say beside the answers, as one process does, where nobody has yet, and drops them."""
    if not _read(out)["complete"]:  # two processes may do so at once: they know all notes, and write the same
        known = [notes.get(index) or {} for index in range(parts)]
        skipped = {name: reason for note in known for name, reason in note.get("skipped", {}).items()}
        rows = [row for note in known for row in note.get("rows", [])]
        if rows:
            write_bytes(out / "inversion.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
        write_json(out / MANIFEST, {"asked": asked, "complete": True, "skipped": skipped, "rows": rows})
    notes.drop()


def _read(out: Path) -> dict[str, Any]:
    """What stands in the folder's manifest.

    Raises:
        GannotateError: it is damaged.
    """
    try:
        found = load_json((out / MANIFEST).read_bytes())
        kinds = {"asked": dict, "complete": bool} | ({"skipped": dict, "rows": list} if found["complete"] else {})
        wrong = [name for name, kind in kinds.items() if not isinstance(found[name], kind)]
        if not wrong:
            return found
        reason = f"{wrong[0]} is of another kind"
    except DAMAGED as error:
        reason = str(error)
    raise GannotateError(f"{out / MANIFEST} is damaged ({reason}); give another folder to --out")
