"""Figures that a study.json of another folder has are taken; their cells run only where others need what they make."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gannotate.errors import GannotateError
from gannotate.studies import Domain, Outcomes, Plan, add_known, outcomes_so_far, run_plan, to_run, write_study
from gannotate.studies.findings import summarise
from gannotate.studies.reading import Ended, read_study

from .conftest import STUDY, Bench

SCORED = STUDY.replace("one: make --value {n}", "one: evaluate --pictures 7 --value {n}")


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
    add_known(plan, outcomes, ended)
    return outcomes


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
    assert summarise(plan, outcomes) == summarise(bench.plan(SCORED, seeds=2), whole)


def test_a_measure_that_is_not_known_is_read_from_a_new_run(here: Bench, elsewhere: Ended):
    study = SCORED.replace("measures:\n", 'measures:\n  least: {from: "{one.per_class.ground}"}\n')
    plan = here.plan(study, seeds=1)
    wanted = {plan.cells[cell].step for cell in to_run(plan, so_far(here, plan, elsewhere))}
    assert wanted == {"one", "base"}


@pytest.mark.parametrize("change", [{"study": "others"}, {"rows": "not run"}, {"rows": "of lost cells"}])
def test_what_does_not_tell_it_is_left_alone(here: Bench, elsewhere: Ended, change: dict[str, Any]):
    content = dict(elsewhere.content) | change
    if change.get("rows") == "not run":
        content["rows"] = [row | {"status": "not run"} for row in elsewhere.content["rows"]]
    elif change.get("rows") == "of lost cells":
        content["rows"] = [{key: row[key] for key in row if key != "cells"} for row in elsewhere.content["rows"]]
    plan = here.plan(SCORED, seeds=1)
    assert not so_far(here, plan, replace(elsewhere, content=content)).ran


@pytest.mark.parametrize("change", [{"rows": [{"at": {}}]}, {"cells": []}, {"scored_pictures": 7}])
def test_a_damaged_file_is_one_sentence(here: Bench, elsewhere: Ended, change: dict[str, Any]):
    told = replace(elsewhere, content={**elsewhere.content, **change})
    with pytest.raises(GannotateError, match=r"study\.json is damaged \(.*\); leave it out"):
        so_far(here, here.plan(SCORED, seeds=1), told)


def test_cells_that_are_here_stay(bench: Bench, elsewhere: Ended):
    plan = bench.plan(SCORED, seeds=1)
    assert not any(ran.elsewhere for ran in so_far(bench, plan, elsewhere).ran.values())
