"""Running: each cell once, going on, failures that stay where they are, two runners, Ctrl-C, projects as links."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gannotate.errors import GannotateError
from gannotate.studies import claim, outcomes_so_far, run_plan, runner, write_study
from gannotate.studies.cell import RESUMABLE, Ran, place, read_state, run_cell
from gannotate.studies.findings import summarise
from gannotate.studies.linking import link_project
from gannotate.studies.plan import Plan
from gannotate.studies.resolving import Cell
from gannotate.studies.words import Here

from .conftest import STUDY, Bench, cell_of


def test_a_cell_that_many_rows_share_runs_once_and_seeds_come_one_after_the_other(bench: Bench):
    plan = bench.plan()
    outcomes, events = bench.run(plan)
    assert bench.ran == [
        "make --value 10",
        "make --value 1 --add 10.0 --seed 0",
        "make --value 1 --add 10.0 --twice --seed 0",
        "make --value 2 --add 10.0 --seed 0",
        "make --value 2 --add 10.0 --twice --seed 0",
        "make --value 1 --add 10.0 --seed 1",
        "make --value 1 --add 10.0 --twice --seed 1",
        "make --value 2 --add 10.0 --seed 1",
        "make --value 2 --add 10.0 --twice --seed 1",
    ]
    assert [event.done for event in events] == list(range(1, 10))
    assert events[0].cells == 9
    assert events[-1].eta_s == 0
    assert {outcomes.state(plan, cell)[0] for cell in plan.cells} == {"done"}


def test_a_second_run_runs_nothing_and_has_the_same_results(bench: Bench):
    first, _ = bench.run(bench.plan())
    ran = bench.ran
    again, events = bench.run(bench.plan())
    assert bench.ran == ran
    assert events == []
    assert again.results == first.results
    assert all(one.reused and (one.seconds or 0.0) > 0 for one in again.ran.values())


def test_another_study_takes_the_cells_that_are_there(bench: Bench):
    bench.run(bench.plan(quick=True, seeds=1))
    before = len(bench.ran)
    other = STUDY.replace("title: Sums", "title: Other").replace("[1, 2]", "[1, 2, 5]")
    bench.run(bench.plan(other, seeds=1, only={"n": (1, 5)}))
    assert bench.ran[before:] == ["make --value 5 --add 10.0 --seed 0", "make --value 5 --add 10.0 --twice --seed 0"]


def test_a_figure_that_is_there_needs_none_of_the_cells_before_it(bench: Bench):
    plan = bench.plan(
        STUDY.replace('  base: {from: "{base.value}", format: number}\n', "").replace(", beside: [base]", "")
    )
    bench.run(plan)
    shutil.rmtree(place(bench.how.folder, cell_of(plan, "base").id))
    ran = bench.ran
    outcomes, _ = bench.run(plan)
    assert bench.ran == ran
    assert outcomes.results[plan.rows[0].figures["value"].cell]["value"] == 11


def test_a_failure_takes_what_needs_it_and_nothing_else(bench: Bench):
    text = STUDY.replace("how: --twice", 'how: "{bad.value}"').replace("{way.how}", "--add {way.how}", 1)
    text = text.replace('how: ""', "how: '1'").replace("steps:\n", "steps:\n  bad: break --value 1\n")
    plan = bench.plan(text, seeds=1)
    outcomes, events = bench.run(plan)
    bad = cell_of(plan, "bad")
    assert outcomes.state(plan, bad.id) == ("failed", "it broke")
    states = {row.at["way"]: outcomes.state(plan, row.figures["value"].cell) for row in plan.rows}
    assert states["plain"] == ("done", "")
    assert states["twice"] == ("not run", f"bad ({bad.id}) failed")
    assert events[-1].done == events[-1].cells
    assert read_state(bench.how.folder, bad.id)["exit_code"] == 1
    # the same command tries again what failed, and only that
    before = len(bench.ran)
    bench.run(plan)
    assert bench.ran[before:] == ["break --value 1"]
    assert outcomes_so_far(plan, bench.how).state(plan, bad.id) == ("failed", "it broke")


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("chat", "it printed no JSON"),
        ("list", "it printed JSON without fields"),
        ("make --add {base.nothing}", "the result base has no 'nothing'"),
    ],
)
def test_what_cannot_be_read_is_a_failure_of_that_cell(bench: Bench, command: str, error: str):
    text = STUDY.replace("one: make --value {n} --add {base.value} {way.how} --seed {seed}", f"one: {command}")
    plan = bench.plan(text, seeds=1)
    outcomes, _ = bench.run(plan)
    state, why = outcomes.state(plan, cell_of(plan, "one").id)
    assert state == "failed"
    assert why.startswith(error)


def test_the_commands_have_their_threads_and_leave_a_record(bench: Bench):
    plan = bench.plan(seeds=1)
    bench.run(plan)
    one = cell_of(plan, "one")
    record = read_state(bench.how.folder, one.id)
    assert record["command"] == "gannotate make --value 1 --add 10.0 --seed 0"
    assert (record["status"], record["exit_code"], record["step"]) == ("done", 0, "one")
    assert record["at"] == {"n": 1, "way": "plain", "seed": 0}
    assert record["uses"] == [cell_of(plan, "base").id]
    if hasattr(os, "wait4"):
        assert record["peak_mb"] > 1
        assert record["cpu_s"] > 0
        assert bench.run(plan)[0].ran[one.id].cpu_s == record["cpu_s"]
    assert sorted(path.name for path in place(bench.how.folder, one.id).iterdir()) == [
        "cell.json",
        "log.txt",
        "result.json",
    ]


SLOW = STUDY.replace("one: make", "one: make --sleep 0.3")


def test_two_runners_share_the_work_and_no_cell_runs_twice(bench: Bench):
    plan = bench.plan(SLOW, seeds=1)
    found = {}

    def run(name: str) -> None:
        found[name], _ = bench.run(plan)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bench.ran) == len(set(bench.ran)) == 5
    assert found["a"].results == found["b"].results
    assert len(found["a"].results) == 5


def test_processes_run_side_by_side(bench: Bench):
    plan = bench.plan(STUDY.replace("one: make", "one: make --sleep 0.5"), seeds=1)
    running, most = threading.Event(), 0

    def watch() -> None:
        nonlocal most
        while not running.is_set():
            states = [read_state(bench.how.folder, cell).get("status") for cell in plan.cells]
            most = max(most, states.count("running"))
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    bench.run(plan, processes=2)
    running.set()
    watcher.join()
    assert most == 2


def test_a_stopped_training_goes_on_in_its_folder_and_others_start_anew(bench: Bench):
    text = STUDY.replace("one: make", "one: train {here} --sleep 20")
    plan = bench.plan(text, seeds=1, only={"n": (1,), "way": ("plain",)})
    one = cell_of(plan, "one")
    starts = place(bench.how.folder, one.id) / "starts"
    outcomes = outcomes_so_far(plan, bench.how)
    with contextlib.closing(run_plan(plan, bench.how, 1, outcomes)) as running:
        assert next(running).cell.step == "base"
        stopper = threading.Thread(target=_raise_when, args=(starts, plan, bench))
        stopper.start()
        stopper.join()
    record = read_state(bench.how.folder, one.id)
    assert record["status"] == "stopped"
    assert starts.read_text() == "start\n"
    outcomes, _ = bench.run(plan)
    assert starts.read_text() == "start\nstart\n"
    assert outcomes.state(plan, one.id)[0] == "done"
    assert outcomes.ran[one.id].seconds > record["seconds"] > 0
    if hasattr(os, "wait4"):
        assert (outcomes.ran[one.id].cpu_s or 0) > record["cpu_s"] > 0


def _raise_when(starts: Path, plan: Plan, bench: Bench) -> None:
    """Runs the training itself and stops it once it has started."""
    stop, one = threading.Event(), cell_of(plan, "one")
    results = outcomes_so_far(plan, bench.how).results
    ran = []
    thread = threading.Thread(target=lambda: ran.append(run_cell(one, bench.how, results, stop)))
    thread.start()
    while not starts.exists():
        time.sleep(0.02)
    stop.set()
    thread.join()
    assert ran[0].status == "stopped"


def test_a_command_whose_runner_was_killed_is_waited_for(bench: Bench):
    plan = bench.plan(seeds=1, only={"n": (1,), "way": ("plain",)})
    base = cell_of(plan, "base")
    leftover = subprocess.Popen(["sleep", "0.6"])
    threading.Thread(target=leftover.wait, daemon=True).start()  # nobody reaps it otherwise
    where = place(bench.how.folder, base.id)
    where.mkdir(parents=True)
    state = {"status": "running", "pid": leftover.pid, "host": os.uname().nodename, "seconds": 0}
    (where / "cell.json").write_text(json.dumps(state))
    begin = time.monotonic()
    ran = run_cell(base, bench.how, {})
    assert ran.status == "done"
    assert leftover.poll() is not None
    assert time.monotonic() - begin > 0.3


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"seconds": "long", "cpu_s": [1]}', "\xff"])
def test_a_damaged_record_takes_the_time_with_it_and_no_more(bench: Bench, damage: str):
    plan = bench.plan(STUDY.replace('"{base.value}", format', '"{base.cell.seconds}", format'), seeds=1)
    outcomes, _ = bench.run(plan)
    base = cell_of(plan, "base")
    assert summarise(plan, outcomes)[0].figures["base"].count == 1
    (place(bench.how.folder, base.id) / "cell.json").write_text(damage, encoding="latin1")
    again, events = bench.run(plan)
    assert not events
    figures = summarise(plan, again)[0].figures
    assert figures["value"].count == 1
    assert figures["base"].mean is None  # and not 0 seconds
    assert write_study(bench.how.folder, plan, again, "", 1.0)["cells"][base.id]["seconds"] is None


@pytest.mark.parametrize(
    "damage",
    [
        '{"status": "failed"}',
        '{"status": "stopped", "seconds": "x", "exit_code": "y"}',
        '{"status": "running", "pid": "z"}',
    ],
)
def test_a_damaged_record_of_what_is_not_done_hinders_nobody(bench: Bench, damage: str):
    plan = bench.plan(seeds=1)
    where = place(bench.how.folder, cell_of(plan, "base").id)
    where.mkdir(parents=True)
    (where / "cell.json").write_text(damage)
    outcomes, _ = bench.run(plan)
    assert len(outcomes.results) == len(plan.cells)


PROJECTS = """
title: Projects
paper: {of: A paper, where: Table 1}
claim: None.
axes: {n: [1, 2]}
steps:
  bare: new {here}/project
  fit: fit {project:bare} --value {n}
  used: make {project:bare} --value {n} --read {project:bare}/decoders/{fit.decoder:name}/run.json
measures:
  read: {from: "{used.read}"}
tables:
  - {rows: [n], measures: [read]}
"""


def test_a_project_is_linked_with_the_decoders_of_the_cells_used(bench: Bench):
    plan = bench.plan(PROJECTS, seeds=1)
    outcomes, _ = bench.run(plan)
    assert {outcomes.state(plan, cell)[0] for cell in plan.cells} == {"done"}
    bare, fits = cell_of(plan, "bare"), [cell for cell in plan.cells.values() if cell.step == "fit"]
    picture = "project/pool/a.png"
    assert os.path.samefile(*(place(bench.how.folder, cell.id) / picture for cell in (bare, fits[0])))
    # what one cell made is not in another's project
    assert not (place(bench.how.folder, bare.id) / "project" / "decoders").exists()
    texts = {(place(bench.how.folder, one.id) / "project/decoders/0001-light/run.json").read_text() for one in fits}
    assert texts == {"1.0", "2.0"}


def test_two_decoders_of_one_name_are_refused(tmp_path: Path):
    for name, text in (("a", "1"), ("b", "2")):
        decoder = tmp_path / name / "decoders" / "0001-light"
        decoder.mkdir(parents=True)
        (decoder / "run.json").write_text(text)
        (tmp_path / name / "project.yaml").write_text("x")
    link_project(tmp_path / "a", [tmp_path / "a"], tmp_path / "c")
    assert (tmp_path / "c/decoders/0001-light/run.json").read_text() == "1"
    with pytest.raises(GannotateError, match="both called 0001-light"):
        link_project(tmp_path / "a", [tmp_path / "a", tmp_path / "b"], tmp_path / "d")
    with pytest.raises(GannotateError, match="is no project"):
        link_project(tmp_path / "none", [], tmp_path / "e")


def test_a_link_that_is_replaced_leaves_the_original(tmp_path: Path):
    (tmp_path / "a" / "pool").mkdir(parents=True)
    (tmp_path / "a" / "pool" / "pool.jsonl").write_text("old")
    (tmp_path / "a" / "pool" / ".lock").write_text("")
    (tmp_path / "a" / "project.yaml").write_text("x")
    link_project(tmp_path / "a", [], tmp_path / "b")
    (tmp_path / "new").write_text("new")
    os.replace(tmp_path / "new", tmp_path / "b" / "pool" / "pool.jsonl")
    assert (tmp_path / "a" / "pool" / "pool.jsonl").read_text() == "old"
    assert not (tmp_path / "b" / "pool" / ".lock").exists()


def test_here_is_what_a_cell_calls_its_folder(bench: Bench):
    plan = bench.plan(PROJECTS, seeds=1)
    bare = cell_of(plan, "bare")
    assert bare.words[1] == (Here(), "/project")
    bench.run(plan)
    assert bench.ran[0] == f"new cells/{bare.id}/project"
    assert set(RESUMABLE) > {"fit", "train"}


@pytest.mark.parametrize("others", [False, True])
def test_what_a_runner_left_that_was_killed_after_a_result_is_removed(bench: Bench, others: bool):
    plan = bench.plan()
    bench.run(plan)
    ran, cells = bench.ran, bench.how.folder / "cells"
    before = sorted(cells.rglob("*"))
    machine = "another" if others else claim.machine()
    for cell in plan.cells:
        (cells / f".{cell}.claim").write_text(json.dumps({"token": "theirs", "machine": machine}))
        (cells / cell / "stdout.txt").touch()
        os.link(cells / cell / "result.json", cells / cell / ".result.json.part")
    foreign = cells / ".0000.claim"  # of a cell that another study runs
    foreign.write_text(json.dumps({"token": "theirs", "machine": machine}))
    bench.run(plan)
    assert bench.ran == ran
    foreign.unlink()
    assert sorted(cells.rglob("*")) == before


def test_a_full_disk_is_a_cell_s_sentence(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    def full(*_: Any) -> Ran:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "cells")

    monkeypatch.setattr(runner, "run_cell", full)
    outcomes, _ = bench.run(bench.plan(seeds=1))
    told = {ran.error for ran in outcomes.ran.values()}
    assert told == {
        "no space left on the disk while writing cells: nothing was replaced; free some space and run the same "
        "command again"
    }


def test_an_unexpected_error_is_one_cell_s_trouble(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    def torn(cell: Cell, *more: Any) -> Ran:
        if "--twice" in [part for word in cell.words for part in word]:
            raise KeyError("a slip")
        return run_cell(cell, *more)

    monkeypatch.setattr(runner, "run_cell", torn)
    plan = bench.plan(seeds=1)
    outcomes, events = bench.run(plan)
    states = [outcomes.state(plan, row.figures["value"].cell) for row in plan.rows]
    assert states == [("done", ""), ("failed", "unexpected KeyError: 'a slip'")] * 2
    assert events[-1].done == 5


def test_a_training_that_was_killed_goes_on_and_one_that_failed_starts_anew(bench: Bench):
    plan = bench.plan(STUDY.replace("one: make", "one: train {here}"), seeds=1, only={"n": (1,), "way": ("plain",)})
    one = cell_of(plan, "one")
    where = place(bench.how.folder, one.id)
    for status, code, starts in (("failed", -9, 2), ("running", -9, 2), ("failed", 1, 1)):
        shutil.rmtree(where, ignore_errors=True)
        where.mkdir(parents=True)
        (where / "starts").write_text("start\n")
        state = {"status": status, "exit_code": code, "error": "", "seconds": 5}
        (where / "cell.json").write_text(json.dumps(state))
        outcomes, _ = bench.run(plan)
        assert len((where / "starts").read_text().split()) == starts
        took = outcomes.ran[one.id]
        if status == "running":  # its runner was killed too, and could not write what it took
            assert (took.seconds, took.cpu_s) == (None, None)
            continue
        assert ((took.seconds or 0.0) > 5) is (code < 0)
        assert (took.cpu_s is None) is (code < 0)  # what an older build's first part took is not known
