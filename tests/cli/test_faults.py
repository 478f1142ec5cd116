"""Kills and faults in every long command (bench/faults), and what compares the results there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

sys.path.insert(0, str(Path(__file__).parents[2]))
from bench.faults.fingerprint import differences, fingerprint, leftovers
from bench.faults.warm import Command
from bench.faults.world import CASES

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills forks, watched by pidfd")

ARRAYS = {"w": np.zeros(3, np.float32)}


def made(folder: Path, **changed: Any) -> Path:
    """A folder as a run leaves it."""
    told = {"wall_s": 1.5, "started": "2026-01-01T00:00:00+00:00", "parts": 1, "result": {"decoder": "decoders/0001-x"}}
    tree = {"dict": [["done", {"value": 3}], ["seconds", {"value": 1.5}], ["trainer", {"tensor": "w"}]]}
    files = {
        "run.json": json.dumps(told | changed.get("run", {})).encode(),
        "manifest.json": json.dumps({"parts": changed.get("parts", [{"samples": 2}])}).encode(),
        "log.csv": f"step,seconds,loss\n1,{changed.get('seconds', 0.5)},0.25\n".encode(),
        "checkpoint.safetensors": save(
            changed.get("arrays", ARRAYS), {"tree": json.dumps(tree).replace("1.5", str(changed.get("seconds", 0.5)))}
        ),
        "model.safetensors": save(ARRAYS),
    }
    where = folder / "decoders" / changed.get("name", "0001-x")
    where.mkdir(parents=True)
    for name, data in files.items():
        (where / name).write_bytes(data)
    return folder


def test_times_and_numbers_of_runs_make_no_difference(tmp_path: Path):
    expected = fingerprint(made(tmp_path / "a"))
    later = {
        "wall_s": 9.0,
        "started": "2027-01-01T00:00:00+00:00",
        "parts": 2,
        "result": {"decoder": "decoders/0002-x"},
    }
    other = made(tmp_path / "b", run=later, seconds=7.5, name="0002-x")
    assert differences(expected, fingerprint(other)) == []
    made(other)  # the same run once more
    assert differences(expected, fingerprint(other)) == []


@pytest.mark.parametrize(
    ("changed", "file"),
    [
        ({"run": {"status": "failed"}}, "run.json"),
        ({"parts": []}, "manifest.json"),
        ({"arrays": {"w": np.ones(3, np.float32)}}, "checkpoint.safetensors"),
    ],
)
def test_what_was_made_makes_a_difference(tmp_path: Path, changed: dict[str, Any], file: str):
    expected = fingerprint(made(tmp_path / "a"))
    assert differences(expected, fingerprint(made(tmp_path / "b", **changed))) == [f"decoders/NNNN-x/{file} differs"]


def test_how_long_something_took_makes_no_difference_in_words_either(tmp_path: Path):
    def told(folder: Path, minutes: str, log: str) -> dict[str, set[str]]:
        folder.mkdir()
        (folder / "table.md").write_text(f"2 cells, {minutes} minutes of them together, on 2 cores\n")
        (folder / "log.txt").write_text(log)
        return fingerprint(folder)

    expected = told(tmp_path / "a", "0.1", "render: 2/2 in 0:01\nit was noted\n")
    log = "render: 1/2 in 5:00:00, 1:05 left\nrender: 2/2 in 0:00, psnr_db 3.5\nit was noted\n"
    assert differences(expected, told(tmp_path / "b", "-12.5", log)) == []
    assert differences(expected, told(tmp_path / "c", "0.1", "gannotate: it broke\n")) == ["log.txt differs"]


def test_what_a_kill_leaves_is_found(tmp_path: Path):
    made(tmp_path)
    assert leftovers(tmp_path) == []
    (tmp_path / ".a.json.part").touch()
    (tmp_path / "decoders" / "0002-x").mkdir()
    assert leftovers(tmp_path) == [".a.json.part", "decoders/0002-x"]
    assert differences(fingerprint(tmp_path / "decoders"), fingerprint(tmp_path))


def test_a_command_is_signalled_before_it_leads_a_group_too():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])  # in the group of these tests
    command = object.__new__(Command)
    command.pid = child.pid
    command.send(signal.SIGKILL)
    assert child.wait(10) == -signal.SIGKILL


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a few kills and one fault of each kind did to every command."""
    out = tmp_path_factory.mktemp("faults") / "faults.json"
    words = [sys.executable, "-m", "bench.faults", "--kills", "3", "--operations", "3", "--faults", "1", "--out", out]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert out.exists(), run.stderr
    return json.loads(out.read_text())["cases"]


@pytest.mark.slow
@pytest.mark.parametrize("case", [case.name for case in CASES])
def test_every_command_survives(found: dict[str, Any], case: str):
    row = found[case]
    kills = row["kills"]
    assert (kills["kills"] >= 3, kills["equal"], kills["faults"]) == (True, kills["trials"], [])
    for kind, fault in row["faults"].items():
        assert fault["faults"] == [], kind
        assert fault["equal"] + fault["named"] == fault["injected"], kind
