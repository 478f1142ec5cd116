"""The command: see the package's text."""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.fuzz.guard import ROOT, Finding, Guard
from bench.fuzz.loop import Tally, input_of, keep, kept_at, limit_memory, run, tried
from bench.fuzz.target import Target
from bench.fuzz.targets import SHARE, load_all, make

CHUNK_S = 40.0

LONGEST_S = 600
"""Seconds after which a process counts as stuck where no signal reaches it."""

SHM = Path("/dev/shm")


@contextlib.contextmanager
def sandbox() -> Iterator[Path]:
    """A folder in memory, where there is one: writing to disk costs more than reading."""
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=SHM if SHM.is_dir() else None) as folder:
        yield Path(folder)


def child(flags: argparse.Namespace, name: str, begin: int, count: int, answer: Path) -> None:
    """Inputs of one target in this process; writes the tally as JSON."""
    with sandbox() as folder:
        target, guard = ready(name, folder)
        until, journal = time.monotonic() + flags.seconds, answer.with_suffix(".journal")
        tally = run(guard, name, target, flags.seed, begin, count, flags.out / "found", journal, until)
    answer.write_text(json.dumps(asdict(tally)))


def ready(name: str, folder: Path) -> tuple[Target, Guard]:
    """A target that has read its whole files once, so that modules imported late are there, and who watches it now."""
    tempfile.tempdir = str(folder)  # where the server puts what it is sent
    target = make(name, folder)
    for kind, seeds in target.seeds.items():
        for data in seeds:
            with contextlib.suppress(Exception):
                target.read(kind, data)
    target.reset()
    limit_memory()
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff and FFmpeg have a word on every damaged file
    return target, Guard(folder)


def chunk(flags: argparse.Namespace, name: str, begin: int, count: int) -> dict[str, Any]:
    """Some inputs in a process of their own, which may die: then that is a finding of the input that it was at."""
    answer = flags.out / f"{name}.answer"
    journal = answer.with_suffix(".journal")
    for path in (answer, journal):
        path.unlink(missing_ok=True)
    # forked: everything is imported, which takes longer than a thousand inputs
    process = multiprocessing.get_context("fork").Process(target=child, args=(flags, name, begin, count, answer))
    process.start()
    process.join(flags.seconds + LONGEST_S)
    if process.is_alive():
        process.kill()
        process.join()
    if answer.exists():
        return json.loads(answer.read_text())
    reached = journal.read_text().strip() if journal.exists() else ""
    if not reached:
        sys.exit(f"{name}: its process ended with {process.exitcode} before the first input")
    return died(name, int(reached), begin, Finding("killed", "", f"exit {process.exitcode}"), flags)


def died(name: str, number: int, begin: int, finding: Finding, flags: argparse.Namespace) -> dict[str, Any]:
    """The tally of a process that ended at input `number`: what the others were is lost, so that they do not count."""
    with sandbox() as folder:
        kind, data = input_of(make(name, folder), name, flags.seed, number)
    keep(kept_at(flags.out / "found", name, f"killed-{number}"), name, kind, data, finding)
    tally = Tally(inputs=1, findings={f"killed {number}": {**asdict(finding), "times": 1}})
    return asdict(tally) | {"skip": number + 1 - begin}


def rows_of(path: Path) -> list[dict[str, Any]]:
    """What was done of a target so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def work(names: list[str], flags: argparse.Namespace) -> None:
    """All targets in turns, until each has its part of the inputs or the time is over."""
    end, total = time.monotonic() + 60 * flags.minutes, sum(SHARE[name] for name in names)
    wanted = {name: round(flags.inputs * SHARE[name] / total) for name in names}
    left = list(names)
    while left:
        for name in list(left):
            path = flags.out / f"{name}.{flags.engine}.jsonl"
            rows = [row for row in rows_of(path) if row["seed"] == flags.seed]
            done, place = sum(row["inputs"] for row in rows), sum(row.get("skip", row["inputs"]) for row in rows)
            if done >= wanted[name] or time.monotonic() > end:
                left.remove(name)
                continue
            row = {"reader": name, "engine": flags.engine, "seed": flags.seed, "begin": place}
            row |= chunk(flags, name, place, wanted[name] - done)
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            show(row)


def show(row: dict[str, Any]) -> None:
    """A line of the table."""
    found = "; ".join(sorted(row["findings"])) or "-"
    sys.stdout.write(
        f"{row['reader']:14} {row['inputs']:8} inputs {row['refused']:8} refused {row['accepted']:8} accepted "
        f"{row['slowest_s']:7.3f} s {row['peak_mb']:7.1f} MB  {found}\n"
    )
    sys.stdout.flush()


def again(flags: argparse.Namespace) -> int:
    """Every kept input once more, each in a process of its own; how many still show something."""
    failing, kept = 0, sorted((flags.out / "found").glob("*.json"))
    load_all([json.loads(path.read_text())["reader"] for path in kept])
    for path in kept:
        answer = flags.out / "replay.answer"
        answer.unlink(missing_ok=True)
        process = multiprocessing.get_context("fork").Process(target=one, args=(path, answer))
        process.start()
        process.join(LONGEST_S)
        said = answer.read_text() if answer.exists() else f"exit {process.exitcode}"
        failing += said not in ("refused", "accepted")
        sys.stdout.write(f"{path.stem}: {said}\n")
    (flags.out / "replay.json").write_text(json.dumps({"kept": len(kept), "failing": failing}) + "\n")
    return failing


def one(path: Path, answer: Path) -> None:
    """One kept input in this process."""
    with sandbox() as folder:
        content = json.loads(path.read_text())
        target, guard = ready(content["reader"], folder)
        data = base64.b64decode(content["data"])
        answer.write_text(str(tried(guard, target, content["file"], data).result))


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000, help="of all targets together, what was done included")
    parser.add_argument("--minutes", type=float, default=1e6, help="end after so many")
    parser.add_argument("--only", default="", help="targets, with commas between")
    parser.add_argument("--engine", default="own", choices=("own", "atheris"), help="atheris: guided by coverage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "scratch" / "fuzz")
    parser.add_argument("--replay", action="store_true", help="only the kept inputs, again")
    parser.add_argument("--seconds", type=float, default=CHUNK_S, help="of one process, before the next target's turn")
    flags = parser.parse_args()
    flags.out = flags.out.resolve()
    if flags.replay:
        return again(flags) > 0
    if flags.engine == "atheris":
        from bench.fuzz.coverage import run_atheris

        with sandbox() as folder:
            run_atheris(flags, folder)
    else:
        flags.out.mkdir(parents=True, exist_ok=True)
        names = flags.only.split(",") if flags.only else list(SHARE)
        load_all(names)
        work(names, flags)
    return 0


if __name__ == "__main__":
    sys.exit(main())
