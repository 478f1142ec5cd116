"""SIGKILL in the middle of a command, at a random moment or at one of its file operations; then the same command again.

What it leaves must equal what a command leaves that nobody disturbed, and no half-written file may remain.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .fingerprint import differences, fingerprint, leftovers, runs
from .operations import at_each_change
from .warm import Command, Ended, Prepare, run
from .world import Case, copy_of

MOST_KILLS, AGAIN = 5, 0.6
"""Kills of one trial at most, and how likely the command is killed again when it has been started again."""


@dataclass
class Killed:
    """What became of a case: how often its command was killed and started again, and where the end was another.

    late: trials in which all was done when it was killed, so that the next command made a second run, equal to the
    first, or said that there is nothing left to do.
    """

    kills: int = 0
    at_operations: int = 0
    restarts: int = 0
    late: int = 0
    equal: int = 0
    trials: int = 0
    seconds: float = 0.0
    operations: int = 0
    faults: list[str] = field(default_factory=list)

    def as_row(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self) | {"seconds": round(self.seconds, 3)}


class Undisturbed:
    """A case as it goes when nothing happens: what is there then, how long it takes, how many files it changes."""

    def __init__(self, case: Case, world: Path, place: Path) -> None:
        self.case, self.world, self.place = case, world, place
        took, prints = [], []
        for _ in range(2):
            ended = self.run(self.copy())
            if ended.code:
                raise SystemExit(f"{case.text} ended with {ended.code}: {ended.err}")
            took.append(ended.seconds)
            prints.append(fingerprint(place / "copy"))
        self.seconds, self.expected, self.runs = statistics.fmean(took), prints[0], runs(place / "copy")
        self.unstable = differences(prints[0], prints[1])
        folder = self.copy()
        count = place / "operations"
        self.run(folder, lambda: _count_operations(folder, count))
        self.operations = len(count.read_text())

    def copy(self, folder: Path | None = None) -> Path:
        """A fresh copy of what the case needs."""
        return copy_of(self.world, self.case, folder or self.place / "copy")

    def run(self, folder: Path, prepare: Prepare | None = None, quiet: bool = True) -> Ended:
        """Runs the case's command to its end."""
        words = self.case.words if quiet else [word for word in self.case.words if word != "--quiet"]
        return run(words, folder, prepare)

    def wrong(self, folder: Path) -> list[str]:
        """What is otherwise than undisturbed."""
        found = differences(self.expected, fingerprint(folder))
        return [*found, *(f"{name} was left behind" for name in leftovers(folder))]

    def finish(self, folder: Path) -> tuple[Ended, list[str]]:
        """Runs the same command to its end; gives that, and what is wrong then."""
        ended = self.run(folder)
        if ended.code in (1, 2) and self.case.again and self.case.again in ended.err:
            return ended, self.wrong(folder)  # all was done when it was killed
        return ended, [f"ended with {ended.code}: {ended.err.strip()[-300:]}"] if ended.code else self.wrong(folder)


def kill_case(whole: Undisturbed, count: int, operations: int, seed: int = 0, before: Killed | None = None) -> Killed:
    """Kills a case's command `count` times at random moments, and at up to `operations` of its file operations.

    Those of `before` are counted too.
    """
    done, begin = before or Killed(), time.monotonic()
    rng = random.Random(f"{whole.case.name} {seed} {done.trials}")
    done.operations = whole.operations
    done.faults += [f"undisturbed: {one}" for one in whole.unstable]
    trials = 0
    while done.kills < count and trials < 4 * count:
        _trial(whole, done, rng)
        trials += 1
    numbers = range(1, whole.operations + 1)
    for number in sorted(rng.sample(numbers, min(len(numbers), max(0, operations - done.at_operations)))):
        folder = whole.copy()
        ended = whole.run(folder, lambda folder=folder, number=number: _kill_at(folder, number))
        done.at_operations += ended.killed
        _again(whole, done, folder, f"killed at file operation {number} of {whole.operations}")
    done.seconds += time.monotonic() - begin
    return done


def _trial(whole: Undisturbed, done: Killed, rng: random.Random) -> None:
    """Kills at a random moment; the command that goes on may be killed too."""
    folder, moments = whole.copy(), []
    while True:
        moment = rng.uniform(0, whole.seconds)
        ended = Command(whole.case.words, folder).kill_after(moment)
        if not ended.killed:
            break
        done.kills += 1
        moments.append(f"{moment / whole.seconds:.0%}")
        if len(moments) == MOST_KILLS or rng.random() > AGAIN:
            break
        done.restarts += 1
    if moments:
        _again(whole, done, folder, f"killed at {', '.join(moments)}")


def _again(whole: Undisturbed, done: Killed, folder: Path, what: str) -> None:
    done.trials += 1
    done.restarts += 1
    ended, wrong = whole.finish(folder)
    done.late += ended.code != 0 or runs(folder) > whole.runs
    if wrong:
        done.faults.append(f"{what}: {'; '.join(wrong[:4])}")
    done.equal += not wrong


def _count_operations(folder: Path, note: Path) -> None:
    handle = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    at_each_change(folder, lambda *_: os.write(handle, b"."))


def _kill_at(folder: Path, number: int) -> None:
    at_each_change(folder, lambda count, *_: os.killpg(0, signal.SIGKILL) if count == number else None)
