"""Inputs guided by coverage: Atheris (libFuzzer) keeps those that reach new lines of gannotate, and changes them on.

It looks at Python's own lines, so it is for readers that are written here: `pip install '.[fuzz]'`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.fuzz.guard import Finding, Guard
from bench.fuzz.loop import Tally, limit_memory, note, tried
from bench.fuzz.mutate import mutated
from bench.fuzz.target import Target
from bench.fuzz.targets import make

OURS = (
    "gannotate.data.benchmarks.matlab",
    "gannotate.data.benchmarks.part_annotations",
    "gannotate.data.formats",
    "gannotate.generators.checkpoints",
    "gannotate.jsonlines",
    "gannotate.parsing",
    "gannotate.project_config",
    "gannotate.studies.documents",
)
"""Modules, and packages with all that is in them, whose lines are watched."""

SHARE_OF_OURS = 0.5
"""Part of the changes that know the file's structure; the others are libFuzzer's."""


def run_atheris(flags: argparse.Namespace, folder: Path) -> None:
    """As many inputs of one target as `flags` asks for; appends its row and ends the process, as libFuzzer does."""
    import atheris

    name = flags.only
    flags.out.mkdir(parents=True, exist_ok=True)
    hook: Any = atheris.instrument_imports  # pyright: ignore[reportAttributeAccessIssue]
    with hook(include=list(OURS), enable_loader_override=False):
        target = make(name, folder)
        importlib.import_module(target.read.__module__)
    kinds, tally = sorted(target.seeds), Tally()
    corpus = folder / "corpus"
    corpus.mkdir()
    for place, kind in enumerate(kinds):
        for number, data in enumerate(target.seeds[kind]):
            (corpus / f"{place}-{number}").write_bytes(bytes([place]) + data)
            with contextlib.suppress(Exception):
                target.read(kind, data)
    guard = Guard(folder)
    limit_memory()

    def test_one(data: bytes) -> None:
        if data:
            _count(tally, guard, target, name, kinds[data[0] % len(kinds)], data[1:], flags.out / "found")
        if tally.inputs == flags.inputs:
            _finish(tally, flags, folder)

    words = [sys.argv[0], str(corpus), f"-seed={flags.seed + 1}", "-runs=-1", "-max_len=65536", "-timeout=100",
             "-rss_limit_mb=0", "-verbosity=0", "-print_final_stats=0", f"-artifact_prefix={flags.out}/"]  # fmt: skip
    atheris.Setup(words, test_one, custom_mutator=_mutator(atheris, target, kinds))
    atheris.Fuzz()


def _mutator(atheris: Any, target: Target, kinds: list[str]) -> Callable[[bytes, int, int], bytes]:
    """Half of the time a change that knows the structure; the first byte, which tells the kind, stays."""

    def change(data: bytes, most: int, seed: int) -> bytes:
        draw = random.Random(seed)
        if len(data) < 2 or draw.random() > SHARE_OF_OURS:
            return atheris.Mutate(data, most)
        kind = kinds[data[0] % len(kinds)]
        return (data[:1] + mutated(draw, kind, data[1:], target.seeds[kind]))[:most]

    return change


def _count(tally: Tally, guard: Guard, target: Target, name: str, kind: str, data: bytes, found: Path) -> None:
    outcome = tried(guard, target, kind, data)
    tally.count(outcome)
    if isinstance(outcome.result, Finding):
        note(tally, found, name, kind, data, outcome.result)


def _finish(tally: Tally, flags: argparse.Namespace, folder: Path) -> None:
    tally.cpu_s = round(tally.cpu_s, 2)
    row = {"reader": flags.only, "engine": "atheris", "seed": flags.seed, "begin": 0, **asdict(tally)}
    with (flags.out / f"{flags.only}.atheris.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    sys.stdout.write(f"{flags.only}: {tally.inputs} inputs, {len(tally.findings)} findings\n")
    sys.stdout.flush()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)
