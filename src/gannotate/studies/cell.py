"""One cell on disk: cells/ID/ with result.json once it is done, cell.json (what it is and how it went) and log.txt.

A cell runs in a process of its own, in the folder of all studies, so that what it prints are paths in there and the
whole folder may be moved. Of several runners on the folder one runs it (see claim.py). A project in it is a link to
what an earlier cell left: what is done to it stays in here.

A cell whose result is damaged is not done. Its runner moves the folder to cells/.ID.damaged and begins a new one, so
that nothing of it is lost before there is another result; then it is removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gannotate.errors import GannotateError
from gannotate.files import disk_error, drop, write_json, write_new_json
from gannotate.parsing import Malformed, load_json
from gannotate.record import now
from gannotate.studies.claim import Claim, claimed, clear_claims
from gannotate.studies.linking import PROJECT, link_project
from gannotate.studies.resolving import Cell
from gannotate.studies.starting import FRESH, KILLED, Command, Ended, Fresh, Warm
from gannotate.studies.words import as_command, fill

CELLS, RESULT, RECORD, LOG, SHOWN = "cells", "result.json", "cell.json", "log.txt", "stdout.txt"
DAMAGED = ".damaged"
"""What the name ends with that a folder with a damaged result gets."""
FORMAT_VERSION = 1

RESUMABLE = ("fit", "synthesize", "train", "train-generator", "pretrain", "invert")
"""Verbs that go on in a folder where they were stopped; others begin in an empty one."""

LAUNCH = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""The variables that tell a process that it is one of several: a cell's command is not."""

PATIENCE_S, LOOK_S = 30.0, 0.05
"""How long a stopped command may take to end; how often is looked."""

Status = str
"""done, failed, stopped, busy (another runner has it)."""


@dataclass(frozen=True)
class Ran:
    """How a cell went. seconds, cpu_s: of all its parts, when it was stopped in between; None where not known.

    elsewhere: its figures are known from there, and what it made is not here; command: that made it there, error: why
    it could not be made again. damaged: there is a result that cannot be read, and the cell is to run anew.
    """

    status: Status
    result: Mapping[str, Any] | None = None
    seconds: float | None = None
    peak_mb: float | None = None
    cpu_s: float | None = None
    error: str = ""
    reused: bool = False
    elsewhere: bool = False
    command: str = ""
    damaged: bool = False

    @classmethod
    def of(cls, status: Status, record: Mapping[str, Any], result: Mapping[str, Any] | None = None, **more: Any) -> Ran:
        """How a cell went, with what its record says of time and memory."""
        seconds, peak_mb, cpu_s = (_number(record.get(name)) for name in ("seconds", "peak_mb", "cpu_s"))
        return cls(status, result, seconds, peak_mb, cpu_s, **more)


@dataclass(frozen=True, kw_only=True)
class How:
    """How cells are run. folder: of all studies. runner: words before the verb. device: of all commands.

    environment: variables that they have besides. warm: what forks them, where that is not their own Python each.
    """

    folder: Path
    runner: Sequence[str] = FRESH
    threads: int = 1
    device: str = "auto"
    environment: Mapping[str, str] = field(default_factory=dict)
    warm: Warm | None = None

    @property
    def variables(self) -> dict[str, str]:
        """All environment variables of a command."""
        threads = str(self.threads)
        alone = {name: value for name, value in os.environ.items() if name not in LAUNCH}
        counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
        return {**alone, **counts, **self.environment}


def place(folder: Path, cell: str) -> Path:
    """Where a cell is."""
    return folder / CELLS / cell


def read_result(folder: Path, cell: str) -> Ran | None:
    """How a cell went, if it has a result; None when it has none.

    One whose result is damaged failed, and so did one that cannot be read, which may be whole: that one stays.
    """
    where = place(folder, cell)
    try:
        result = load_json((where / RESULT).read_bytes())
        if not isinstance(result, dict):
            raise Malformed("it holds no fields")
    except FileNotFoundError:
        return None
    except OSError as error:
        told = f"{where / RESULT} cannot be read ({error.strerror or error}); make it readable, or delete that folder"
        return Ran("failed", error=str(GannotateError(f"{told}, and it runs anew")))
    except ValueError as error:
        told = f"{where / RESULT} is damaged ({error}); `gannotate study run` runs that command anew"
        return Ran("failed", error=str(GannotateError(told)), damaged=True)
    return Ran.of("done", read_state(folder, cell), result, reused=True)


def read_state(folder: Path, cell: str) -> dict[str, Any]:
    """The cell's record; empty when there is none, or a torn one."""
    try:
        record = load_json((place(folder, cell) / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def tidy(folder: Path, cells: Collection[str]) -> None:
    """Removes what is left beside the results of cells by runners that were killed before they could.

    Nobody else would: a cell that is done is not looked at again.
    """

    def is_done(cell: str) -> bool:
        return cell in cells and (place(folder, cell) / RESULT).exists()

    clear_claims(folder / CELLS, is_done)
    for cell in filter(is_done, cells):
        for name in (SHOWN, f".{RESULT}.part"):  # the second is another name of the result
            drop(place(folder, cell) / name)
        shutil.rmtree(_aside(place(folder, cell)), ignore_errors=True)


def words_of(cell: Cell, device: str = "auto", results: Mapping[str, Mapping[str, Any]] | None = None) -> list[str]:
    """The words that are typed after `gannotate`, in the folder of all studies."""
    words = [fill(word, f"{CELLS}/{cell.id}", results) for word in cell.words]
    return [*words, *(["--device", device] if device != "auto" else [])]


def run_cell(
    cell: Cell,
    how: How,
    results: Mapping[str, Mapping[str, Any]],
    stop: threading.Event | None = None,
    failed: str | None = None,
) -> Ran:
    """Runs a cell unless it is done, or another runner is at it. One with a damaged result runs anew.

    Args:
        results: of the cells that it uses.
        stop: once it is set, the command is asked to end; a later call goes on with it.
        failed: the attempt that had failed when this run of the study began, "" for none; a later attempt that failed
            is another runner's, and its failure is taken. None: try again whatever happened before.
    """
    where, asked = place(how.folder, cell.id), stop or threading.Event()
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        there = read_result(how.folder, cell.id)
        if there is not None and not there.damaged:
            return there
        with claimed(where) as claim:
            if claim is None:
                return Ran("busy")
            with contextlib.suppress(OSError):
                os.listdir(where)  # a network disk may remember that there was no result
            there = read_result(how.folder, cell.id)
            if there is not None and there.damaged:
                if not claim.is_held():
                    return Ran("busy")
                there = _move_aside(how.folder, cell.id)
            return (
                there
                or _failed_elsewhere(read_state(how.folder, cell.id), failed)
                or _run(cell, how, results, where, claim, asked)
            )
    except OSError as error:
        raise disk_error(error, where) from error


def _move_aside(folder: Path, cell: str) -> Ran | None:
    """Puts a cell whose result is damaged out of the way; gives the result where it is whole after all.

    A runner that lost its claim just now may find that the new owner's result is there in place of the damaged one:
    then that one's folder goes back to where it was.
    """
    where = place(folder, cell)
    aside = _aside(where)
    shutil.rmtree(aside, ignore_errors=True)
    os.rename(where, aside)
    found = read_result(folder, aside.name)
    if found is None or found.damaged:
        return None
    os.rename(aside, where)
    return found


def _aside(where: Path) -> Path:
    return where.with_name(f".{where.name}{DAMAGED}")


def _failed_elsewhere(record: Mapping[str, Any], failed: str | None) -> Ran | None:
    if failed is None or record.get("status") != "failed" or failed_attempt(record) == failed:
        return None
    return Ran.of("failed", record, error=str(record.get("error", "")))


def failed_attempt(record: Mapping[str, Any]) -> str:
    """Which attempt failed last, as a cell's record says; "" where none did."""
    return str(record.get("attempt", "")) if record.get("status") == "failed" else ""


def _run(
    cell: Cell,
    how: How,
    results: Mapping[str, Mapping[str, Any]],
    where: Path,
    claim: Claim,
    asked: threading.Event,
) -> Ran:
    def stopping() -> bool:
        return asked.is_set() or claim.lost.is_set()

    before = read_state(how.folder, cell.id)
    _wait_for_leftover(before, stopping)
    if stopping():
        return Ran("stopped" if asked.is_set() else "busy")
    cut_off = before.get("status") in ("running", "stopped") or (_number(before.get("exit_code")) or 0) < 0
    going_on = cell.verb in RESUMABLE and cut_off
    if not going_on:
        shutil.rmtree(where, ignore_errors=True)
    spent: dict[str, float | None] = {"seconds": 0.0, "cpu_s": 0.0}
    if going_on:  # a runner that was killed could not write what its part took
        known = before.get("status") != "running"
        spent = {name: _number(before.get(name)) if known else None for name in spent}
    where.mkdir(parents=True, exist_ok=True)
    try:
        words = words_of(cell, how.device, results)
        if cell.project is not None:
            origin = place(how.folder, cell.project) / PROJECT
            link_project(origin, [place(how.folder, one) / PROJECT for one in cell.uses], where / PROJECT)
    except GannotateError as error:
        return _failed(where, _record(cell, [], spent, claim), str(error))
    record = _record(cell, words, spent, claim)
    begin = time.monotonic()
    code, peak_mb, cpu_s = _execute([*words, "--json"], how, where, record, stopping)
    record |= {"peak_mb": peak_mb, "exit_code": code}
    record |= {"seconds": _more(spent["seconds"], time.monotonic() - begin), "cpu_s": _more(spent["cpu_s"], cpu_s)}
    if not claim.is_held():
        return Ran("busy")
    if code and asked.is_set():
        write_json(where / RECORD, record | {"status": "stopped"})
        return Ran.of("stopped", record)
    if code:
        return _failed(where, record, _reason(where, code))
    try:
        result = load_json((where / SHOWN).read_bytes())
    except Malformed:
        return _failed(where, record, "it printed no JSON")
    if not isinstance(result, dict):
        return _failed(where, record, "it printed JSON without fields")
    write_json(where / RECORD, record | {"status": "done"})
    if not write_new_json(where / RESULT, result):  # the last file: when it is there the cell is done
        return Ran("busy")
    drop(where / SHOWN)
    return Ran.of("done", record, result)


def _number(value: Any) -> float | None:
    """A number of a record that somebody may have damaged."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _more(before: float | None, now_s: float | None) -> float | None:
    """Seconds of all parts; None where those of one are not known."""
    return None if before is None or now_s is None else round(before + now_s, 2)


def _record(cell: Cell, words: Sequence[str], spent: Mapping[str, float | None], claim: Claim) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "status": "running",
        "step": cell.step,
        "at": dict(cell.at),
        "uses": list(cell.uses),
        "started": now(),
        "command": as_command(["gannotate", *words]),
        "attempt": claim.token,
        **spent,
    }


def _failed(where: Path, record: dict[str, Any], error: str) -> Ran:
    write_json(where / RECORD, record | {"status": "failed", "error": error})
    return Ran.of("failed", record, error=error)


def _execute(
    words: Sequence[str], how: How, where: Path, record: dict[str, Any], stopping: Callable[[], bool]
) -> Ended:
    with (where / SHOWN).open("wb") as shown, (where / LOG).open("ab") as log:
        if how.warm is not None:
            command = how.warm.start(words, shown, log)
        else:
            command = Fresh([*how.runner, *words], how.folder, how.variables, shown, log)
    try:
        write_json(where / RECORD, record | {"pid": command.pid, "host": socket.gethostname()})
        return _wait(command, stopping)
    finally:
        command.ask_to_end()


def _wait(command: Command, stopping: Callable[[], bool]) -> Ended:
    asked_s: float | None = None
    while (ended := command.ended()) is None:
        if asked_s is None and stopping():
            asked_s = time.monotonic()
            command.ask_to_end()
        if asked_s is not None and time.monotonic() - asked_s > PATIENCE_S:
            command.kill()
        time.sleep(LOOK_S)
    return ended


def _wait_for_leftover(before: Mapping[str, Any], stopping: Callable[[], bool]) -> None:
    """A command whose runner, or what forked it, was killed ends by itself, but not at once."""
    orphan = before.get("status") == "running" or before.get("exit_code") == KILLED
    if not orphan or before.get("host") != socket.gethostname():
        return
    begin = time.monotonic()
    while time.monotonic() - begin < PATIENCE_S and not stopping() and _alive(int(_number(before.get("pid")) or 0)):
        time.sleep(LOOK_S)


def _alive(pid: int) -> bool:
    if pid <= 0 or not hasattr(os, "wait4"):
        return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _reason(where: Path, code: int) -> str:
    lines = [line.strip() for line in (where / LOG).read_text(errors="replace").splitlines() if line.strip()]
    told = [line.removeprefix("gannotate: ") for line in lines if line.startswith("gannotate: ")]
    if told:
        return told[-1]
    ended = f"ended by signal {-code}" if code < 0 else f"ended with {code}"
    return f"{ended}: {lines[-1]}" if lines else ended
