"""Every reader, given some damaged files: nothing but our sentences. `bench/fuzz` gives them a million."""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

import pytest

from gannotate.errors import GannotateError

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from bench.fuzz.__main__ import chunk  # noqa: E402
from bench.fuzz.guard import Finding, Guard  # noqa: E402
from bench.fuzz.loop import input_of  # noqa: E402
from bench.fuzz.mutate import STRUCTURED, mutated  # noqa: E402
from bench.fuzz.target import Target  # noqa: E402
from bench.fuzz.targets import SHARE, load_all, make  # noqa: E402

sys.path.remove(str(ROOT))

FEW = {"http": 8, "study": 12, "project": 8, "yaml": 12, "checkpoint": 8, "video": 10}
SLOW = ("segmenter", "onnx")
"""A network is built, or a file exported, for every input."""


def tally(name: str, count: int, tmp_path: Path) -> dict:
    """Of some inputs in a process of their own, which watches its files, time and memory."""
    load_all([name])
    flags = argparse.Namespace(out=tmp_path, seed=1, seconds=300.0)
    return chunk(flags, name, 0, count)


@pytest.mark.parametrize("name", [name for name in SHARE if name not in SLOW])
def test_some_damaged_files_of_every_kind(name: str, tmp_path: Path):
    count = FEW.get(name, 30)
    found = tally(name, count, tmp_path)
    assert found["findings"] == {}
    assert found["refused"] + found["accepted"] == found["inputs"] == count


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARE)
def test_many_damaged_files_of_every_kind(name: str, tmp_path: Path):
    count = round(max(30, min(3000, 800 * SHARE[name])))
    found = tally(name, count, tmp_path)
    assert found["findings"] == {}
    assert found["refused"] > count / 5  # most changes are noticed


def test_inputs_are_known_by_their_number(tmp_path: Path):
    first, second = (make("codes", tmp_path) for _ in range(2))
    again = [input_of(first, "codes", 3, number) for number in range(50)]
    assert (
        again
        == [input_of(second, "codes", 3, number) for number in range(50)]
        != [input_of(first, "codes", 4, number) for number in range(50)]
    )


@pytest.mark.parametrize("kind", [f"a{ending}" for ending in (*STRUCTURED, ".txt")])
def test_changes_change_and_never_fail(kind: str, tmp_path: Path):
    """Whole files, noise and nothing: every change gives bytes, and mostly others than before."""
    data = json.dumps({"a": [1, {"b": "x"}], "seed": 3}).encode()
    changed = 0
    for number in range(60):
        draw = random.Random(number)
        before = (data, b"", draw.randbytes(50))[number % 3]
        changed += mutated(draw, kind, before, (data,)) != before
    assert changed > 30


def target(read, folder: Path) -> Target:  # type: ignore[no-untyped-def]
    return Target(about="", seeds={"a": [b"x"]}, read=read)


def watched(queue, folder: str, what: str) -> None:  # type: ignore[no-untyped-def]
    """In a process of its own: an audit hook stays for good."""
    import os
    import subprocess

    from bench.fuzz import guard

    if what == "hang":
        guard.HANG_S = 0.2  # elsewhere a slow machine would be found to hang first
    own = Guard(Path(folder))

    def read() -> object:
        if what == "traceback":
            return {}["x"]
        if what == "refused":
            raise GannotateError("it is not whole")
        if what == "sentence":
            error = GannotateError("")
            error.args = ("two\nlines",)
            raise error
        if what == "hang":
            while True:
                pass
        if what == "memory":
            return bytearray(200 << 20).count(b"\0")
        if what == "writes":
            return Path(folder, "..", "other").write_text("x")
        if what == "reads":
            return Path("/root-of-nowhere/secret").read_text() if Path("/tmp").exists() else None
        if what == "runs":
            with_caught = None
            try:
                subprocess.run(["true"])
            except BaseException as error:
                with_caught = error
            return with_caught
        return Path(folder, "own").write_text(str(os.getpid()))

    result = own.outcome(read).result
    queue.put(result.kind if isinstance(result, Finding) else result)


@pytest.mark.parametrize(
    ("what", "found"),
    [
        ("nothing", "accepted"),
        ("refused", "refused"),
        ("sentence", "sentence"),
        ("traceback", "traceback"),
        ("hang", "hang"),
        ("memory", "memory"),
        ("writes", "outside"),
        ("reads", "outside"),
        ("runs", "outside"),
    ],
)
def test_what_is_watched_is_found(what: str, found: str, tmp_path: Path):
    import multiprocessing

    forked = multiprocessing.get_context("fork")
    queue = forked.Queue()
    (tmp_path / "own-folder").mkdir()
    child = forked.Process(target=watched, args=(queue, str(tmp_path / "own-folder"), what))
    child.start()
    assert queue.get(timeout=120) == found
    child.join(30)
    assert not (tmp_path / "other").exists()
