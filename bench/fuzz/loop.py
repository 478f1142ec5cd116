"""Inputs, one after the other, through one target; what was found, with the inputs that show it."""

from __future__ import annotations

import base64
import json
import os
import random
import resource
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.fuzz.guard import Finding, Guard, Outcome
from bench.fuzz.mutate import mutated
from bench.fuzz.target import Target

RESET_EVERY = 200

SPACE_GB = 12
"""Address space of a process that reads inputs: a reader that takes more gets a MemoryError, the machine goes on."""


@dataclass
class Tally:
    """What some inputs of one target did. findings: by key, how often, the first in words, and its input's file."""

    inputs: int = 0
    refused: int = 0
    accepted: int = 0
    slowest_s: float = 0.0
    peak_mb: float = 0.0
    cpu_s: float = 0.0
    findings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def count(self, outcome: Outcome) -> None:
        """Adds one input."""
        self.inputs += 1
        self.refused += outcome.result == "refused"
        self.accepted += outcome.result == "accepted"
        self.slowest_s = round(max(self.slowest_s, outcome.cpu_s), 4)
        self.peak_mb = round(max(self.peak_mb, outcome.memory_mb), 1)
        self.cpu_s += outcome.cpu_s


def limit_memory() -> None:
    """Sets SPACE_GB for this process."""
    resource.setrlimit(resource.RLIMIT_AS, (SPACE_GB << 30, SPACE_GB << 30))


def input_of(target: Target, name: str, seed: int, number: int) -> tuple[str, bytes]:
    """Kind and bytes of one input, always the same."""
    draw = random.Random(f"{seed}/{name}/{number}")
    kind = draw.choice(sorted(target.seeds))
    seeds = target.seeds[kind]
    return kind, mutated(draw, kind, draw.choice(seeds), seeds)


def run(
    guard: Guard, name: str, target: Target, seed: int, begin: int, count: int, found: Path, journal: Path,
    until: float = float("inf"),
) -> Tally:  # fmt: skip
    """Inputs `begin` to `begin + count` of a target, or fewer when the clock passes `until`.

    Args:
        found: folder for inputs that showed something. journal: a file that holds the input at work, for whoever looks
            after this process ended.
    """
    tally, file = Tally(), os.open(journal, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for number in range(begin, begin + count):
        if time.monotonic() > until:
            break
        kind, data = input_of(target, name, seed, number)
        os.pwrite(file, str(number).encode().ljust(20), 0)
        outcome = tried(guard, target, kind, data)
        tally.count(outcome)
        if isinstance(outcome.result, Finding):
            note(tally, found, name, kind, data, outcome.result)
        if number % RESET_EVERY == 0 or isinstance(outcome.result, Finding):
            target.reset()
    os.close(file)
    tally.cpu_s = round(tally.cpu_s, 2)
    return tally


def tried(guard: Guard, target: Target, kind: str, data: bytes) -> Outcome:
    """One input."""
    return guard.outcome(lambda: target.read(kind, data), lambda: target.allowed_mb(kind, data))


def note(tally: Tally, found: Path, name: str, kind: str, data: bytes, finding: Finding) -> None:
    """Counts a finding; the first input of its key is kept."""
    if finding.key in tally.findings:
        tally.findings[finding.key]["times"] += 1
        return
    tally.findings[finding.key] = {**asdict(finding), "times": 1}
    path = kept_at(found, name, finding.key)
    if not path.exists():
        keep(path, name, kind, data, finding)


def kept_at(found: Path, name: str, key: str) -> Path:
    """Where the input of a finding is kept."""
    safe = "".join(sign if sign.isalnum() else "-" for sign in key)[:120]
    return found / f"{name}.{safe}.json"


def keep(path: Path, name: str, kind: str, data: bytes, finding: Finding) -> None:
    """Writes an input and what it showed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"reader": name, "file": kind, **asdict(finding), "data": base64.b64encode(data).decode()}
    path.write_text(json.dumps(content, indent=1))
