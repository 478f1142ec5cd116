"""Other faults than kills: each must end in one sentence and exit code 1 or 2, or change nothing.

The same command must then, with the fault gone, leave what one leaves that nobody disturbed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gannotate.record import RECORD

from .kills import Undisturbed
from .operations import at_each_change, at_each_read
from .warm import Command, Ended

DISK_KB = 131072
"""Size of the disk that is filled or made read-only: several times what a command leaves, as files are replaced."""

JUMPS_S = (-6 * 3600.0, 6 * 3600.0)
"""How far the clock jumps, at most."""

STOPPED_AT = (0.3, 0.6, 0.9)
"""Parts of a command's time after which it is held, while the same command is started beside it."""


@dataclass
class Disturbed:
    """What became of one fault in one case.

    injected: how often. sentences: ended with exit code 1 or 2 and one sentence. unharmed: went on to the end. named:
    ended well without an input that had vanished, and named it. equal: left what an undisturbed one leaves, once the
    fault was gone. shown: a sentence.
    """

    injected: int = 0
    sentences: int = 0
    unharmed: int = 0
    named: int = 0
    equal: int = 0
    shown: str = ""
    faults: list[str] = field(default_factory=list)

    def as_row(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


Fault = Callable[[Undisturbed, int, random.Random], Disturbed]
"""Injects a fault into a case so many times."""


def full_disk(whole: Undisturbed, count: int, rng: random.Random) -> Disturbed:
    """A disk that is full after so many KB, spread evenly over what the command writes."""
    done = Disturbed()
    with _disk(whole.place / "disk") as disk:
        before = _used_kb(_fresh(whole, disk))
        ended = whole.run(disk / "copy")
        if ended.code:
            raise SystemExit(f"{whole.case.text} ended with {ended.code} on a disk of {DISK_KB} KB: {ended.err}")
        needed = max(4, _used_kb(disk) - before)
        for part in range(count):
            folder, filler = _fresh(whole, disk), disk / "filler"
            _fill(filler, needed * part // count)
            ended = whole.run(folder)
            filler.unlink()
            _judge(whole, done, folder, ended, f"{needed * part // count} KB free")
    return done


def full_at_operation(whole: Undisturbed, count: int, rng: random.Random) -> Disturbed:
    """A disk that is full at one of the command's file operations."""
    return _at_operations(whole, count, rng, errno.ENOSPC)


def read_only(whole: Undisturbed, count: int, rng: random.Random) -> Disturbed:
    """A folder that cannot be written, from the start or from one of the file operations on."""
    done = Disturbed()
    with _disk(whole.place / "disk") as disk:
        folder = _fresh(whole, disk)
        _mount("remount,ro", disk)
        ended = whole.run(folder)
        _mount("remount,rw", disk)
        _judge(whole, done, folder, ended, "read-only")
    more = _at_operations(whole, count - 1, rng, errno.EROFS)
    return Disturbed(
        done.injected + more.injected,
        done.sentences + more.sentences,
        done.unharmed + more.unharmed,
        0,
        done.equal + more.equal,
        done.shown or more.shown,
        done.faults + more.faults,
    )


def vanished_input(whole: Undisturbed, count: int, rng: random.Random) -> Disturbed:
    """A file that is gone at the moment when the command opens it, and back for the next one."""
    done, note = Disturbed(), whole.place / "reads"
    folder = whole.copy()
    # a record is no input: a folder that was put there by hand has none
    inputs = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != RECORD}
    whole.run(folder, lambda: _note_reads(folder, note))
    read = [name for name in dict.fromkeys(note.read_text().splitlines()) if name in inputs]
    # what compiled code opens is not told of: these are gone from the command's first own look at a file on
    unseen = sorted(name for name in inputs if name.endswith(".safetensors") and name not in read)
    chosen = rng.sample(read, min(count, len(read))) + rng.sample(unseen, min(2, len(unseen)))
    away = whole.place / "away"
    for name in chosen:
        folder = whole.copy()
        vanish = partial(_vanish, folder, name, away, name in unseen)
        ended = whole.run(folder, vanish, quiet=False)
        gone = away.exists()
        if gone:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(away, folder / name)
        if gone and ended.code == 0 and Path(name).stem in ended.out + ended.err:
            done.injected, done.named = done.injected + 1, done.named + 1
        elif gone:
            _judge(whole, done, folder, ended, f"{name} vanished")
    return done


def clock_jumps(whole: Undisturbed, count: int, rng: random.Random) -> Disturbed:
    """Clocks that jump by hours, forwards and backwards, all the time."""
    done = Disturbed()
    for _ in range(count):
        folder, seed = whole.copy(), rng.random()
        ended = whole.run(folder, lambda seed=seed: _jump(random.Random(seed)))
        done.injected += 1
        wrong = [f"ended with {ended.code}: {ended.err[-200:]}"] if ended.code else whole.wrong(folder)
        done.unharmed += not ended.code
        done.equal += not wrong
        done.faults += ["; ".join(wrong[:3])] if wrong else []
    return done


def two_processes(whole: Undisturbed, count: int, rng: random.Random) -> Disturbed:
    """The same command once more while the first is at it: held at a moment, or (studies) going on beside it."""
    done, together = Disturbed(), whole.case.text.startswith("study")
    for part in STOPPED_AT[:count]:
        folder = whole.copy()
        first = Command(whole.case.words, folder)
        if first.has_ended(part * whole.seconds):
            first.wait()
            continue
        if not together:
            first.send(signal.SIGSTOP)
        try:
            second = Command(whole.case.words, folder, name="second").wait()
        finally:
            first.send(signal.SIGCONT)
        ended = first.wait()
        done.injected += 1
        refused = next((one for one in (second, ended) if one.failed_in_a_sentence), None)
        done.sentences += refused is not None
        done.unharmed += second.code == ended.code == 0
        done.shown = done.shown or (refused.sentences[0] if refused else "")
        both = {"first": ended, "second": second}
        wrong = [
            f"the {name}: {one.err[-300:]}" for name, one in both.items() if one.code and not one.failed_in_a_sentence
        ]
        if ended.code and second.code:
            wrong.append(f"both ended in a sentence: {ended.err[-200:]} {second.err[-200:]}")
        wrong = wrong or whole.wrong(folder)
        done.equal += not wrong
        done.faults += [f"second started at {part:.0%}: {'; '.join(wrong[:4])}"] if wrong else []
    return done


MOUNTING = ("full disk", "read-only folder")
"""Faults that only root can inject."""

FAULTS: dict[str, Fault] = {
    "full disk": full_disk,
    "disk full at an operation": full_at_operation,
    "read-only folder": read_only,
    "vanished input": vanished_input,
    "clock jumps": clock_jumps,
    "two processes": two_processes,
}


def _at_operations(whole: Undisturbed, count: int, rng: random.Random, code: int) -> Disturbed:
    done, numbers = Disturbed(), range(1, whole.operations + 1)
    for number in sorted(rng.sample(numbers, min(count, len(numbers)))):
        folder = whole.copy()
        ended = whole.run(folder, lambda folder=folder, number=number: _fail_from(folder, number, code))
        _judge(whole, done, folder, ended, f"{errno.errorcode[code]} from operation {number} of {whole.operations} on")
    return done


def _judge(whole: Undisturbed, done: Disturbed, folder: Path, ended: Ended, what: str) -> None:
    """Was it one sentence, or no harm? And does the same command now end as an undisturbed one?"""
    done.injected += 1
    done.sentences += ended.failed_in_a_sentence
    done.unharmed += ended.code == 0
    done.shown = done.shown or (ended.sentences[0] if ended.failed_in_a_sentence else "")
    if ended.code and not ended.failed_in_a_sentence:
        done.faults.append(f"{what}: ended with {ended.code}: {ended.err.strip()[-300:]}")
        return
    _, wrong = whole.finish(folder)
    done.equal += not wrong
    done.faults += [f"{what}, afterwards: {'; '.join(wrong[:4])}"] if wrong else []


def _fail_from(folder: Path, number: int, code: int) -> None:
    def act(count: int, path: str, event: str) -> None:
        takes_none = code == errno.ENOSPC and event in ("os.remove", "os.rmdir")
        if count >= number and not takes_none:
            raise OSError(code, os.strerror(code), path)

    at_each_change(folder, act)


def _note_reads(folder: Path, note: Path) -> None:
    handle = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    at_each_read(folder, lambda _, path, __: os.write(handle, f"{os.path.relpath(path, folder)}\n".encode()))


def _vanish(folder: Path, name: str, away: Path, at_once: bool) -> None:
    def act(_: int, path: str, __: str) -> None:
        if (at_once or path == str(folder / name)) and (folder / name).exists():
            os.replace(folder / name, away)

    at_each_read(folder, act)


def _jump(rng: random.Random) -> None:
    """The clock of the day jumps to and fro, the others only forward: what waits by them relies on that."""

    def jumping(clock: Callable[[], float], back: bool) -> Callable[[], float]:
        shift = [0.0]

        def told() -> float:
            if rng.random() < 0.1:
                jump = rng.uniform(*JUMPS_S)
                shift[0] = jump if back else shift[0] + abs(jump)
            return clock() + shift[0]

        return told

    time.time = jumping(time.time, back=True)
    time.monotonic, time.perf_counter = (jumping(clock, back=False) for clock in (time.monotonic, time.perf_counter))


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[Path]:
    """A small disk of its own, in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_KB}k", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(options: str, folder: Path) -> None:
    subprocess.run(["mount", "-o", options, str(folder)], check=True)


def _fresh(whole: Undisturbed, disk: Path) -> Path:
    """A copy of what the case needs, on that disk; what the command prints is kept elsewhere."""
    shutil.rmtree(disk / "copy", ignore_errors=True)
    return whole.copy(disk / "copy")


def _used_kb(folder: Path) -> int:
    about = os.statvfs(folder)
    return (about.f_blocks - about.f_bfree) * about.f_frsize // 1024


def _fill(path: Path, free_kb: int) -> None:
    """Writes a file that leaves so much free."""
    about = os.statvfs(path.parent)
    with path.open("wb") as file:
        file.write(bytes(max(0, about.f_bavail * about.f_frsize - free_kb * 1024)))
