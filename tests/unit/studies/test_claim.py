"""Who is at a cell: one runner at a time, dead ones are told from slow ones, and the first result stands."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from gannotate.studies import How, claim, outcomes_so_far
from gannotate.studies.cell import failed_attempt, place, read_state, run_cell
from gannotate.studies.claim import claimed, clear_claims, machine, read_claim
from gannotate.studies.plan import Plan
from gannotate.studies.resolving import Cell

from .conftest import STUDY, Bench


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    """Where a cell would be."""
    return tmp_path / "0123"


def write_claim(cell: Path, machine: str, token: str = "theirs") -> Path:
    path = cell.with_name(f".{cell.name}.claim")
    path.write_text(json.dumps({"token": token, "machine": machine}))
    return path


def is_free(cell: Path) -> bool:
    with claimed(cell) as found:
        return found is not None


def test_one_at_a_time(cell: Path):
    with claimed(cell) as first:
        assert first is not None
        assert first.is_held()
        told = read_claim(first.path)
        assert told is not None
        assert told.machine == machine() != ""
        assert not is_free(cell)
    assert read_claim(first.path) is None
    assert is_free(cell)


def test_what_a_dead_runner_of_this_machine_left_is_taken_at_once(cell: Path):
    write_claim(cell, machine())
    assert is_free(cell)


def test_another_machine_is_left_alone_while_it_is_alive(cell: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(claim, "GONE_S", 0.15)
    path = write_claim(cell, "another")
    for step in range(5):
        assert not is_free(cell)
        os.utime(path, ns=(step, step))  # a beat; the clocks of the two may differ by years
        time.sleep(0.06)
    assert not is_free(cell)
    time.sleep(0.2)
    assert is_free(cell)
    assert [one.name for one in cell.parent.iterdir() if "claim" in one.name] == []


def test_a_torn_claim_is_watched_like_any(cell: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(claim, "GONE_S", 0.05)
    cell.with_name(f".{cell.name}.claim").write_text("{")
    assert not is_free(cell)
    time.sleep(0.1)
    assert is_free(cell)


def test_a_full_disk_leaves_no_torn_claim_which_would_hold_others_up(cell: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(json, "dump", full)
        with pytest.raises(OSError, match="No space left"):
            is_free(cell)
    assert is_free(cell)


def test_claims_of_cells_that_are_done_are_removed_whoever_made_them(cell: Path):
    path = write_claim(cell, "another")
    put_away = path.with_name(f"{path.name}.4567")  # its remover was killed
    put_away.write_text("{")
    asked: list[str] = []

    def none_is_done(name: str) -> bool:
        asked.append(name)
        return False

    clear_claims(cell.parent, none_is_done)
    assert asked == [cell.name] * 2
    assert path.exists()
    assert put_away.exists()
    clear_claims(cell.parent, lambda name: name == cell.name)
    assert list(cell.parent.iterdir()) == []


def test_a_claim_that_changed_hands_after_the_look_is_left_alone(cell: Path):
    path = write_claim(cell, "another", "old")

    def is_done(_: str) -> bool:
        write_claim(cell, "a third", "new")
        return True

    clear_claims(cell.parent, is_done)
    told = read_claim(path)
    assert told is not None
    assert told.token == "new"


def test_a_disk_without_locks_goes_by_claims_alone(cell: Path, monkeypatch: pytest.MonkeyPatch):
    def without(self: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr("gannotate.studies.claim.FileLock.acquire", without)
    monkeypatch.setattr(claim, "GONE_S", 0.05)
    with claimed(cell) as first:
        assert first is not None
        assert not is_free(cell)
    assert is_free(cell)
    write_claim(cell, machine())  # perhaps of a living one: without locks nobody can tell
    assert not is_free(cell)


def test_of_two_that_take_over_one_wins(cell: Path):
    seen = read_claim(write_claim(cell, "another", "old"))
    assert seen is not None
    path = write_claim(cell, "a third", "new")  # which was faster
    assert not claim._put_away(path, seen)
    told = read_claim(path)
    assert told is not None
    assert told.token == "new"
    assert claim._put_away(path, told)
    assert read_claim(path) is None
    assert claim._put_away(path, told)  # given up in between


def test_an_owner_sees_that_it_lost_its_claim(cell: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(claim, "BEAT_S", 0.01)
    with claimed(cell) as first:
        assert first is not None
        before = read_claim(first.path)
        assert not first.lost.wait(0.1)
        told = read_claim(first.path)
        assert told is not None
        assert before is not None
        assert told.touched_ns > before.touched_ns
        write_claim(cell, "another")
        assert first.lost.wait(5)
        assert not first.is_held()
    left = read_claim(first.path)
    assert left is not None
    assert left.token == "theirs"  # it is not this runner's to remove


def test_the_first_result_stands(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    base = only(bench.plan(seeds=1), "base")
    first = place(bench.how.folder, base.id) / "result.json"

    def another_was_faster(self: claim.Claim) -> bool:
        first.write_text('{"value": 7}')
        return True

    monkeypatch.setattr(claim.Claim, "is_held", another_was_faster)
    assert run_cell(base, bench.how, {}).status == "busy"
    assert run_cell(base, bench.how, {}).result == {"value": 7}


def only(plan: Plan, step: str) -> Cell:
    return next(cell for cell in plan.cells.values() if cell.step == step)


def test_a_runner_that_was_cut_off_throws_its_result_away(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(claim, "BEAT_S", 0.02)
    base = only(bench.plan(STUDY.replace("base: make", "base: make --sleep 30"), seeds=1), "base")
    ran = []
    thread = threading.Thread(target=lambda: ran.append(run_cell(base, bench.how, {})))
    thread.start()
    while not bench.ran:
        time.sleep(0.01)
    write_claim(place(bench.how.folder, base.id), "another")
    thread.join(20)
    assert ran[0].status == "busy"
    assert not (place(bench.how.folder, base.id) / "result.json").exists()
    assert read_state(bench.how.folder, base.id)["status"] == "running"  # the record is the other one's now


def test_a_failure_is_taken_from_another_runner_and_tried_again_by_the_next_run(bench: Bench):
    text = STUDY.replace("base: make --value 10", "base: break --value 10")
    base = only(bench.plan(text, seeds=1), "base")

    def last() -> str:
        return failed_attempt(read_state(bench.how.folder, base.id))

    begin = last()
    assert begin == ""
    assert run_cell(base, bench.how, {}, None, begin).error == "it broke"
    ran = run_cell(base, bench.how, {}, None, begin)  # a runner that began as early
    assert (ran.status, ran.error, len(bench.ran)) == ("failed", "it broke", 1)
    assert run_cell(base, bench.how, {}, None, last()).status == "failed"  # one that begins now
    assert len(bench.ran) == 2


def test_commands_do_not_think_that_they_are_one_of_several(tmp_path: Path, bench: Bench, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "3")
    shows = (sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))")
    how = How(folder=tmp_path, runner=shows, environment={"CUDA_VISIBLE_DEVICES": "2"})
    told = run_cell(only(bench.plan(seeds=1), "base"), how, {}).result
    assert told is not None
    assert not {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"} & set(told)
    assert told["CUDA_VISIBLE_DEVICES"] == "2"


@pytest.mark.parametrize("killed", [1, 2])
def test_runners_that_die_lose_nothing_and_double_nothing(bench: Bench, killed: int):
    plan = bench.plan(STUDY.replace("one: make", "one: make --sleep 0.3"))
    forked = multiprocessing.get_context("fork")
    runners = [forked.Process(target=bench.run, args=(plan,)) for _ in range(3)]
    for runner in runners:
        runner.start()
    for runner in runners[:killed]:
        before = len(bench.ran)
        while len(bench.ran) == before:  # in the middle of cells
            time.sleep(0.02)
        assert runner.pid is not None
        os.kill(runner.pid, signal.SIGKILL)
    for runner in runners:
        runner.join(60)
    assert [runner.exitcode for runner in runners] == [-signal.SIGKILL] * killed + [0] * (3 - killed)
    outcomes = outcomes_so_far(plan, bench.how)
    assert {outcomes.state(plan, cell)[0] for cell in plan.cells} == {"done"}
    # each once, but for those that died with their runner
    assert len(set(bench.ran)) == len(plan.cells) <= len(bench.ran) <= len(plan.cells) + killed
    before = list(bench.ran)
    again, events = bench.run(plan)
    assert (bench.ran, events) == (before, [])
    assert again.results == outcomes.results
    left = [path.name for path in (bench.how.folder / "cells").iterdir() if path.suffix not in (".lock", "")]
    assert left == []
