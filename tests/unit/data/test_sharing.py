"""Work that processes share by number: how long the first waits for the others, and what it reads meanwhile."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import pytest

from gannotate.data.sharing import UNDER_TORCHRUN, PartNotes, Worker
from gannotate.errors import GannotateError

HASTY = Worker(numbers=2, patience_s=1.0, look_s=0.0)


@pytest.fixture(autouse=True)
def seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a second whenever it is looked at."""
    monkeypatch.delenv(UNDER_TORCHRUN, raising=False)
    monkeypatch.setattr("time.monotonic", itertools.count(0.0).__next__)


def looks(worker: Worker, slowest_s: float = 0.0, most: int = 100) -> int:
    """How often a worker looks before it takes the others for dead; `most` at most."""
    seen = 0
    waiting = worker.waits(lambda: 1, 2, Path("folder"), slowest_s)
    with contextlib.suppress(GannotateError):
        for _ in itertools.islice(waiting, most):
            seen += 1
    return seen


def test_others_may_be_some_times_as_slow_as_this_process() -> None:
    assert looks(HASTY) == 2
    assert 40 <= looks(HASTY, slowest_s=10) <= 55


def test_under_torchrun_it_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(UNDER_TORCHRUN, "run")  # which ends this process when another one dies
    assert looks(HASTY) == 100


def test_a_note_is_read_once(tmp_path: Path) -> None:
    notes = PartNotes(tmp_path, ("samples",))
    assert notes.get(3) is None
    PartNotes(tmp_path).add(3, {"samples": 7})
    assert notes.get(3) == {"samples": 7}
    (tmp_path / "000003.json").unlink()
    assert notes.get(3) == {"samples": 7}
    assert PartNotes(tmp_path).get(3) is None
