"""Results that are damaged, or cannot be read: nothing but their own cell fails, and that one is made anew."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gannotate.studies import outcomes_so_far, run_plan
from gannotate.studies.cell import place, run_cell

from .conftest import Bench, cell_of


@pytest.mark.parametrize("damage", ["{", "", "5", "[]", "null", "[" * 20_000, "\xff"])
def test_a_damaged_result_is_a_failure_of_its_cell_alone_and_is_made_anew(bench: Bench, damage: str):
    plan = bench.plan(seeds=1)
    bench.run(plan)
    cells, ran = bench.how.folder / "cells", bench.ran
    base, one = cell_of(plan, "base"), cell_of(plan, "one")
    whole = (cells / base.id / "result.json").read_text()
    for cell in (base, one):
        (cells / cell.id / "result.json").write_text(damage, encoding="latin1")
    found = outcomes_so_far(plan, bench.how)
    state, error = found.state(plan, base.id)
    assert state == "failed"
    assert re.search(r"result\.json is damaged \(.*\); `gannotate study run` runs that command anew$", error)
    assert len(found.results) == len(plan.cells) - 2
    outcomes, events = bench.run(plan)
    assert [event.cell.id for event in events] == [base.id, one.id]
    assert len(outcomes.results) == len(plan.cells)
    assert len(bench.ran) == len(ran) + 2
    assert (cells / base.id / "result.json").read_text() == whole
    assert not list(cells.glob(".*.damaged"))


def test_a_damaged_result_that_cannot_be_made_anew_is_kept_aside_until_it_can(bench: Bench):
    plan = bench.plan(seeds=1)
    bench.run(plan)
    base = cell_of(plan, "base")
    where, aside = place(bench.how.folder, base.id), bench.how.folder / "cells" / f".{base.id}.damaged"
    for result in (bench.how.folder / "cells").glob("*/result.json"):
        result.write_text("{")
    (where / "network").write_text("of a long training")
    broken = replace(bench.how, runner=(sys.executable, "-c", "raise SystemExit('gannotate: it broke')"))
    outcomes = outcomes_so_far(plan, broken)
    list(run_plan(plan, broken, 1, outcomes))
    assert outcomes.state(plan, base.id) == ("failed", "it broke")
    assert (aside / "network").read_text() == "of a long training"
    assert run_cell(base, bench.how, {}).status == "done"
    assert (aside / "result.json").read_text() == "{"  # it goes when the study comes to its end
    bench.run(plan)
    assert not aside.exists()


def test_a_result_that_another_runner_made_whole_meanwhile_stays(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    plan = bench.plan(seeds=1)
    bench.run(plan)
    base, ran = cell_of(plan, "base"), bench.ran
    result = place(bench.how.folder, base.id) / "result.json"
    whole = result.read_text()
    result.write_text("{")
    rename = os.rename

    def late(one: Path, other: Path) -> None:
        """The new owner of the cell is at its end before this one, whose claim is gone, moves the folder."""
        if Path(one) == result.parent:
            result.write_text(whole)
        rename(one, other)

    monkeypatch.setattr(os, "rename", late)
    assert run_cell(base, bench.how, {}).reused
    assert bench.ran == ran
    assert result.read_text() == whole


def test_a_result_that_cannot_be_read_may_be_whole_and_stays(bench: Bench):
    plan = bench.plan(seeds=1)
    base = cell_of(plan, "base")
    result = place(bench.how.folder, base.id) / "result.json"
    result.mkdir(parents=True)  # stands for whatever the disk may answer
    outcomes, _ = bench.run(plan)
    state, error = outcomes.state(plan, base.id)
    assert state == "failed"
    assert re.search(r"result\.json cannot be read \(Is a directory\); make it readable, or delete that folder", error)
    assert result.is_dir()
    assert not any(" --value 10" in command for command in bench.ran)
