"""Figures over folds: read where a protocol has some, shown beside those over seeds, and told apart from them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gannotate.report.study import study_page
from gannotate.studies import Outcomes, Plan, add_known, write_study
from gannotate.studies.findings import summarise
from gannotate.studies.folds import Folds, over_runs, read_folds
from gannotate.studies.frame import frame_of
from gannotate.studies.reading import read_study
from gannotate.studies.tables import comma_separated, grid, markdown
from gannotate.studies.words import Result

from .conftest import STUDY, Bench

FOLDS = STUDY.replace("make --value {n}", "make --folds 2 --value {n}")
TOLD = {"figure": "miou", "over": "folds", "value": 0.5, "deviation": 0.02, "count": 5, "folds": [], "spread": ""}


@pytest.fixture
def done(bench: Bench) -> tuple[Plan, Outcomes]:
    """The tiny study with a protocol of five folds, run: a spread of 2 and a tenth of the seed over them."""
    plan = bench.plan(FOLDS)
    return plan, bench.run(plan)[0]


@pytest.mark.parametrize(
    ("fields", "told", "found"),
    [
        (("miou",), TOLD, Folds(0.5, 0.02, 5)),
        (("fg_miou",), TOLD, None),  # the protocol's figure is another one
        (("per_class", "miou"), TOLD, None),
        (("miou",), {"figure": "miou", "value": 0.5}, None),  # no folds
        (("miou",), {"figure": "miou", "over": "folds", "deviation": 0.1, "count": 5}, None),  # damaged
        (("miou",), {**TOLD, "value": "half"}, None),
        (("miou",), None, None),
    ],
)
def test_folds_are_of_the_protocols_own_figure(fields: tuple[str, ...], told: Any, found: Folds | None):
    result = {"miou": 0.5} | ({"protocol": told} if told else {})
    assert read_folds(result, Result("c", "score", fields)) == found


def test_of_several_runs_means_and_spreads_are_averaged():
    assert over_runs([Folds(0.5, 0.01, 5), Folds(0.7, 0.03, 5)]) == Folds(0.6, 0.02, 5, 2)
    assert over_runs([]) is None


def test_tables_have_a_column_over_folds_beside_that_over_seeds(done: tuple[Plan, Outcomes]):
    plan, outcomes = done
    points = summarise(plan, outcomes)
    text = markdown(frame_of(plan), points, [])
    heads = ["sum, numbers 1", "sum, numbers 1, over 5 folds", "sum, numbers 2", "sum, numbers 2, over 5 folds"]
    assert f"| way | {' | '.join(heads)} | base, mean |" in text  # the base has no folds
    assert "| as it is | 11.05 (11-11.1) | 11.06 ± 2.05 | 12.05 (12-12.1) | 12.06 ± 2.05 | 10 |" in text
    assert "Over 5 folds: mean ± standard deviation over the folds of one run, each the mean over the seeds;" in text
    best = grid(frame_of(plan), plan.study.tables[0], points).best
    assert {column for row, column in best if row == 1} == {1, 2, 3, 4}
    rows = list(csv.DictReader(comma_separated(frame_of(plan), points).splitlines()))
    assert [rows[0][name] for name in ("mean", "fold_mean", "fold_deviation", "folds", "fold_runs")] == [
        *("11.05", "11.06", "2.05", "5", "2")
    ]
    assert [rows[1][name] for name in ("measure", "fold_mean", "folds")] == ["base", "", ""]


def test_one_seed_has_its_folds_too(bench: Bench):
    plan = bench.plan(FOLDS, seeds=1)
    text = markdown(frame_of(plan), summarise(plan, bench.run(plan)[0]), [])
    assert "| as it is | 11 | 11.01 ± 2 | 12 | 12.01 ± 2 | 10 |" in text
    assert "over the folds of one run; their test pictures overlap, so that ± is none over seeds." in text


def test_a_mean_over_several_places_has_no_folds(bench: Bench):
    plan = bench.plan(FOLDS.replace("beside: [base]", "beside: [value]"))
    heads = grid(frame_of(plan), plan.study.tables[0], summarise(plan, bench.run(plan)[0])).heads
    assert heads[-1] == "sum, mean"


def test_without_folds_nothing_is_said_of_any(bench: Bench):
    plan = bench.plan()
    outcomes, _ = bench.run(plan)
    content = write_study(bench.how.folder, plan, outcomes, "", 1.0)
    assert not [one for one in (*content["rows"], *content["points"]) if "folds" in one]
    own = bench.how.folder / plan.called
    assert not [name for name in ("table.md", "table.csv", "study.json") if "fold" in (own / name).read_text()]


def test_study_json_and_the_page_have_them(done: tuple[Plan, Outcomes], bench: Bench):
    plan, outcomes = done
    content = write_study(bench.how.folder, plan, outcomes, "", 1.0)
    assert content["rows"][0]["folds"] == {"value": {"mean": 11.01, "deviation": 2.0, "folds": 5, "runs": 1}}
    again = read_study(bench.how.folder / plan.called)
    assert list(again.points) == summarise(plan, outcomes)
    page = study_page(again)
    assert "sum, numbers 1, over 5 folds" in page
    assert "11.06 ± 2.05" in page
    older = json.loads(json.dumps(content))
    for one in (*older["rows"], *older["points"]):
        one.pop("folds", None)
    path = bench.how.folder / plan.called / "study.json"
    path.write_text(json.dumps(older))
    assert not any(point.folds for point in read_study(path.parent).points)


def test_what_is_known_of_a_cell_has_its_folds(done: tuple[Plan, Outcomes], bench: Bench, tmp_path: Path):
    plan, outcomes = done
    write_study(bench.how.folder, plan, outcomes, "", 1.0)
    elsewhere, known = read_study(bench.how.folder / plan.called), Outcomes({})
    assert add_known(plan, known, elsewhere) == len(plan.cells)
    assert summarise(plan, known) == summarise(plan, outcomes)
    of_means = {name: {**cell, "read": {"value": 1.0}} for name, cell in elsewhere.content["cells"].items()}
    part = replace(plan, measures={"value": plan.measures["value"]})
    rows = tuple(replace(row, figures={"value": row.figures["value"]}) for row in plan.rows)
    part, bare = replace(part, rows=rows), Outcomes({})
    add_known(part, bare, replace(elsewhere, content={**elsewhere.content, "cells": of_means}))
    assert not any(point.folds for point in summarise(part, bare))


def test_seeds_that_tell_of_no_folds_are_counted(done: tuple[Plan, Outcomes]):
    plan, outcomes = done
    points = [
        replace(point, folds={name: replace(one, runs=1) for name, one in point.folds.items()})
        for point in summarise(plan, outcomes)
    ]
    assert grid(frame_of(plan), plan.study.tables[0], points).rows[0][2] == "11.06 ± 2.05, 1 of 2"
