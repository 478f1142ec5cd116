"""Curves on the way of a study's fits: lines over steps, a band over the seeds, and what is said of those not there."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_json
from gannotate.report.study import study_page
from gannotate.studies import Plan, add_known, load_study, outcomes_so_far, write_study
from gannotate.studies.curves import DrawnCurve, Line, means
from gannotate.studies.reading import read_study
from gannotate.studies.shown import Curve

from .conftest import STUDY, Bench

CURVE = '{from: "{one.word}/log.jsonl", y: miou, title: On the way, series: [n, way]}'
CURVED = STUDY.replace("plots:", f"curves:\n  - {CURVE}\nplots:")
LOG = [{"step": 50, "loss": 0.7}, {"step": 20, "hook": True, "miou": 0.4}, {"step": 10, "miou": 0.2}]


def raised(log: list[dict[str, Any]], more: float) -> str:
    """The log with a higher figure."""
    rows = [row | ({"miou": row["miou"] + more} if "miou" in row else {}) for row in log]
    return "".join(json.dumps(row) + "\n" for row in rows)


Write = Callable[..., tuple[Plan, Path, dict[str, Any]]]


@pytest.fixture
def written(bench: Bench) -> Write:
    """Runs the study, lets its cells leave `log` (raised by a tenth a seed) where their result is made to say."""

    def write(log: list[Any] | str = LOG, told: str = "", **choice: Any) -> Any:
        plan = bench.plan(CURVED, **choice)
        bench.run(plan)
        for name, cell in plan.cells.items():
            if cell.step != "one":
                continue
            place, more = bench.how.folder / "cells" / name, float(cell.at["seed"]) / 10
            result = json.loads((place / "result.json").read_text())
            write_json(place / "result.json", result | {"word": told or f"cells/{name}"})
            (place / "log.jsonl").write_text(log if isinstance(log, str) else raised(log, more))
        outcomes = outcomes_so_far(plan, bench.how)
        content = write_study(bench.how.folder, plan, outcomes, "gannotate study run sums", 1.0)
        return plan, bench.how.folder / plan.called, content

    return write


def test_a_curve_is_drawn_and_told_in_every_form(written: Write):
    _, folder, content = written()
    (one,) = content["curves"]
    assert [(line["seed"], line["points"]) for line in one["lines"][:5:4]] == [
        (0, ((10, 0.2), (20, 0.4))),
        (1, ((10, pytest.approx(0.3)), (20, pytest.approx(0.5)))),
    ]
    rows = list(csv.DictReader((folder / "curve.csv").read_text().splitlines()))
    assert len(rows) == 4 * 2
    assert rows[1] == {
        "n": "1", "way": "plain", "step": "20", "mean": "0.45", "least": "0.4", "most": "0.5", "seeds": "2",
    }  # fmt: skip
    assert "![On the way, Grounds](curve.svg)" in (folder / "table.md").read_text()
    svg = (folder / "curve.svg").read_text()
    assert "mean of 2 seeds, bands from smallest to largest" in svg
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    page = study_page(read_study(folder))
    assert 'aria-label="On the way, Grounds"' in page
    assert page.count(">numbers 2, doubled<") == 1


def test_read_again_it_is_the_same(written: Write):
    plan, folder, _ = written()
    (again,) = read_study(folder).curves
    assert again.curve.model_copy(update={"source": CURVE.split('"')[1]}) == plan.study.curves[0]
    assert [mean.stops[-1].mean for mean in means(again)] == [pytest.approx(0.45)] * 4


@pytest.mark.parametrize(
    ("first", "second", "stops"),
    [
        (((1, 0.1), (2, 0.2)), ((2, 0.4), (3, 0.9)), [(2, 0.2, 0.4, 2)]),
        # noted at other places: between the points of the other one
        (((1, 0.1), (3, 0.3)), ((2, 0.4), (4, 0.8)), [(2, 0.2, 0.4, 2), (3, 0.3, 0.6, 2)]),
        (((1, 0.1),), ((2, 0.4),), []),
    ],
)
def test_the_mean_is_where_all_seeds_have_a_line(first: Any, second: Any, stops: list[tuple[float, ...]]):
    lines = [Line({}, 0, "a", "", first), Line({}, 1, "b", "", second)]
    curve = Curve.model_validate({"from": "x", "y": "miou", "title": "t"})
    (mean,) = means(DrawnCurve(curve, (*lines, Line({}, 2, "c", "", missing="gone"))))
    found = [(one.x, one.least, one.most, one.seeds) for one in mean.stops]
    assert found == [tuple(pytest.approx(number) for number in stop) for stop in stops]


@pytest.mark.parametrize(
    ("log", "told", "why"),
    [
        ([{"step": 1, "loss": 0.5}], "", "log.jsonl has no miou over step"),
        ([{"step": 1, "miou": float("nan")}, {"step": True, "miou": 0.5}], "", "log.jsonl has no miou over step"),
        ("[1]\n3\n", "", "log.jsonl has no miou over step"),
        ("{", "", "log.jsonl cannot be read"),
        ("\n".join(f'{{"step": {at}, "miou": 1}}' for at in range(2001)), "", "log.jsonl has more than 2000 points"),
        (LOG, "nowhere", "<one.word>/log.jsonl is outside the folder of its cell"),
        (LOG, "..", "<one.word>/log.jsonl is outside the folder of its cell"),
    ],
    ids=["other figures", "no numbers", "no rows", "torn", "long", "elsewhere", "above"],
)
def test_cells_without_a_curve_are_not_drawn_and_it_is_said(written: Write, log: Any, told: str, why: str):
    _, folder, content = written(log, told, seeds=1)
    assert {line["missing"] for line in content["curves"][0]["lines"]} == {why}
    said = f"4 of 4 lines are missing from 'On the way': {why}."
    assert said in (folder / "table.md").read_text()
    assert "![On the way]" not in (folder / "table.md").read_text()
    assert "4 of 4 lines are missing from" in study_page(read_study(folder))


def test_a_known_curve_is_taken_with_its_figures(written: Write, bench: Bench, tmp_path: Path):
    plan, folder, content = written(seeds=1)
    outcomes = outcomes_so_far(plan, how := replace(bench.how, folder=tmp_path / "here"))
    add_known(plan, outcomes, read_study(folder))
    again = write_study(how.folder, plan, outcomes, "gannotate study run sums", 1.0)
    assert again["curves"] == content["curves"]


@pytest.mark.parametrize(
    "change",
    [
        {"series": ["nothing"]},
        {"lines": 3},
        {"lines": [{"at": {"n": 7, "way": "plain"}, "seed": 0, "cell": "", "of": "", "points": [[1, 2]]}]},
        {"series": [], "lines": [{"at": 3, "seed": 0, "cell": "", "of": "", "points": [[1, 2]]}]},
        {"lines": [{"at": {}, "seed": 0, "cell": "", "of": "", "points": []}]},
        {"lines": [{"at": {"n": 1, "way": "plain"}, "seed": 0, "cell": "", "of": "", "points": [[1, float("inf")]]}]},
    ],
)
def test_a_foreign_study_json_with_odd_curves_is_damaged(written: Write, change: dict[str, Any]):
    _, folder, content = written(seeds=1)
    odd = json.dumps(content | {"curves": [content["curves"][0] | change]})
    (folder / "study.json").write_text(odd)
    with pytest.raises(GannotateError, match=r"study\.json is damaged"):
        read_study(folder)


def test_a_curve_tells_all_cells_apart(bench: Bench):
    with pytest.raises(UsageError, match="curve 'On the way' does not show the axis way"):
        bench.plan(CURVED.replace("series: [n, way]}", "series: [n]}"))
    with pytest.raises(UsageError, match="curve 'On the way' names the axis 'm', which is none"):
        bench.plan(CURVED.replace("series: [n, way]}", "series: [m]}"))


@pytest.mark.parametrize("name", ["segmenter-interval", "segmenter-states"])
def test_the_papers_convergence_figures_have_a_curve(name: str):
    (curve,) = load_study(name).curves
    assert (curve.y, curve.x) == ("held_out_miou", "step")
