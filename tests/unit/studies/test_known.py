"""Figures that a study.json of another folder has are taken; their cells run only where others need what they make."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gannotate.cli.study_words import failures
from gannotate.errors import GannotateError
from gannotate.report.study import write_study_page
from gannotate.studies import Domain, Outcomes, Plan, add_known, outcomes_so_far, run_plan, to_run, write_study
from gannotate.studies.findings import Point, summarise
from gannotate.studies.reading import Ended, read_study

from .conftest import STUDY, Bench

SCORED = STUDY.replace("one: make --value {n}", "one: evaluate --pictures 7 --value {n}").replace(
    "measures:\n",
    'measures:\n  rare: {from: "{one.per_class.rare}", optional: true}\n  took: {from: "{base.cell.seconds}"}\n',
)


@pytest.fixture
def elsewhere(bench: Bench) -> Ended:
    """The study with one seed, done in another folder."""
    plan = bench.plan(SCORED, seeds=1)
    outcomes, _ = bench.run(plan)
    write_study(bench.how.folder, plan, outcomes, "gannotate study run sums", 1.0)
    return read_study(bench.how.folder / plan.called)


@pytest.fixture
def here(tmp_path: Path, fake: tuple[str, ...], domain: Domain) -> Bench:
    """A folder in which nothing was run."""
    return Bench(tmp_path / "here", fake, domain)


def so_far(bench: Bench, plan: Plan, *ended: Ended) -> Outcomes:
    outcomes = outcomes_so_far(plan, bench.how)
    for one in ended:
        add_known(plan, outcomes, one)
    return outcomes


def untimed(points: list[Point]) -> list[Point]:
    """Without the seconds, which are others each time that a cell runs."""

    def without(named: Mapping[str, Any]) -> dict[str, Any]:
        return {name: one for name, one in named.items() if name != "took"}

    return [replace(point, figures=without(point.figures), values=without(point.values)) for point in points]


def test_what_is_known_is_not_run(here: Bench, elsewhere: Ended):
    plan = here.plan(SCORED, seeds=1)
    outcomes = so_far(here, plan, elsewhere)
    assert to_run(plan, outcomes) == []
    assert summarise(plan, outcomes) == list(elsewhere.points)
    content = write_study(here.how.folder, plan, outcomes, "gannotate study run sums", 1.0)
    assert [row["figures"] for row in content["rows"]] == [row["figures"] for row in elsewhere.content["rows"]]
    again, names = json.loads(json.dumps(content)), ("findings", "cells_s", "scored_pictures")
    assert [again[name] for name in names] == [elsewhere.content[name] for name in names]
    assert again["scored_pictures"] == [7, 7]


def test_another_seed_runs_with_what_it_needs(bench: Bench, here: Bench, elsewhere: Ended):
    plan = here.plan(SCORED, seeds=2)
    outcomes = so_far(here, plan, elsewhere)
    list(run_plan(plan, here.how, 1, outcomes))
    # the base, whose figure is known, again: the new cells read its result
    assert [line.split()[0] for line in here.ran] == ["make", *["evaluate"] * 4]
    assert all("--seed 1" in line for line in here.ran[1:])
    whole, _ = bench.run(bench.plan(SCORED, seeds=2))
    assert untimed(summarise(plan, outcomes)) == untimed(summarise(bench.plan(SCORED, seeds=2), whole))


def test_a_measure_that_is_not_known_is_read_from_a_new_run(here: Bench, elsewhere: Ended):
    study = SCORED.replace("measures:\n", 'measures:\n  least: {from: "{one.none}", optional: true}\n')
    plan = here.plan(study, seeds=1)
    wanted = {plan.cells[cell].step for cell in to_run(plan, so_far(here, plan, elsewhere))}
    assert wanted == {"one", "base"}


def test_a_measure_that_is_read_elsewhere_than_then_is_not_taken(here: Bench, elsewhere: Ended):
    study = SCORED.replace('base: {from: "{base.value}"', 'base: {from: "{base.per_class.ground}"')
    plan = here.plan(study, seeds=1)
    outcomes = so_far(here, plan, elsewhere)
    assert {plan.cells[cell].step for cell in to_run(plan, outcomes)} == {"base"}
    list(run_plan(plan, here.how, 1, outcomes))
    assert {point.figures["base"].mean for point in summarise(plan, outcomes)} == {0.5}


@pytest.mark.parametrize("told", [{}, {"status": "not run"}, {"read": {}}])
def test_what_does_not_tell_it_is_left_alone(here: Bench, elsewhere: Ended, told: dict[str, Any]):
    cells = {name: cell | told for name, cell in elsewhere.content["cells"].items()} if told else {}
    outcomes = outcomes_so_far(plan := here.plan(SCORED, seeds=1), here.how)
    assert add_known(plan, outcomes, replace(elsewhere, content={**elsewhere.content, "cells": cells})) == 0
    assert not outcomes.ran


def test_what_is_known_stays_when_it_cannot_be_made_again(here: Bench, elsewhere: Ended, tmp_path: Path):
    broken = tmp_path / "broken.py"
    broken.write_text("import sys\nsys.exit('gannotate: it broke')\n")
    plan = here.plan(SCORED, seeds=2)
    outcomes = so_far(here, plan, elsewhere)
    list(run_plan(plan, replace(here.how, runner=(sys.executable, str(broken))), 1, outcomes))
    rows = write_study(here.how.folder, plan, outcomes, "gannotate study run sums", 1.0)["rows"]
    assert [row["status"] for row in rows] == ["done"] * 4 + ["not run"] * 4
    assert [row["figures"] for row in rows[:4]] == [row["figures"] for row in elsewhere.content["rows"]]
    (line,) = failures(plan, outcomes)
    assert "it broke" in line
    assert line.endswith("; its figures are known, not those of what uses it")


@pytest.mark.parametrize("change", [{"cells": []}, {"cells": "lost"}])
def test_a_damaged_file_is_one_sentence(here: Bench, elsewhere: Ended, change: dict[str, Any]):
    told = replace(elsewhere, content={**elsewhere.content, **change})
    with pytest.raises(GannotateError, match=r"study\.json is damaged \(.*\); leave it out"):
        so_far(here, here.plan(SCORED, seeds=1), told)


def test_cells_that_are_here_stay(bench: Bench, elsewhere: Ended):
    plan = bench.plan(SCORED, seeds=1)
    assert not any(ran.elsewhere for ran in so_far(bench, plan, elsewhere).ran.values())


def test_figures_at_new_values_are_read_shown_and_known_elsewhere(bench: Bench, here: Bench):
    plan = bench.plan(STUDY, seeds=1, only={"n": ("150", "1")})
    outcomes, _ = bench.run(plan)
    write_study(bench.how.folder, plan, outcomes, "gannotate study run sums", 1.0)
    ended = read_study(bench.how.folder / plan.called)
    assert [one.value for one in ended.frame.axes["n"].values] == [1, 150]
    page = write_study_page(ended.folder).read_text()
    table = (ended.folder / "table.md").read_text()
    for text in (page, table):
        assert "1 seed in place of 2; numbers without 2; numbers with 150 besides." in text
    assert "| way | sum, numbers 1 | sum, numbers 150 |" in table
    twice, *others = ended.findings
    assert [item["at"]["n"] for item in twice.differences] == [1, 150]
    assert [one.why for one in others] == ["not asked for here: numbers 2"] * 2
    wider = here.plan(STUDY, seeds=1, only={"n": (1, 150, 7)})
    known = so_far(here, wider, ended)
    assert {wider.cells[cell].at["n"] for cell in to_run(wider, known) if wider.cells[cell].step == "one"} == {7}
