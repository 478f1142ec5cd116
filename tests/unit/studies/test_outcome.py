"""Figures over seeds, what they say of claims, tables, plots, study.json."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from statistics import fmean, stdev
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure as Canvas
from PIL import Image

from gannotate.studies import Outcomes, Plan, write_study
from gannotate.studies.comparison import check
from gannotate.studies.findings import Figure, Finding, Point, Verdict, read_figure, summarise
from gannotate.studies.frame import frame_of
from gannotate.studies.plot import LINE_IN, draw, fill, height_in, series_names
from gannotate.studies.reading import read_study
from gannotate.studies.study import Expectation, Format, Plot, Published
from gannotate.studies.tables import cell_text, comma_separated, difference_text, grid, markdown, note, published

from .conftest import STUDY, Bench


@pytest.fixture
def done(bench: Bench) -> tuple[Plan, Outcomes]:
    """The tiny study, run. n and its double with 10 added, plus a tenth of the seed."""
    plan = bench.plan()
    return plan, bench.run(plan)[0]


def test_means_and_spread_are_over_the_seeds(done: tuple[Plan, Outcomes]):
    points = summarise(*done)
    assert [(point.at["n"], point.at["way"]) for point in points] == [
        (1, "plain"),
        (1, "twice"),
        (2, "plain"),
        (2, "twice"),
    ]
    first = points[0].figures["value"]
    assert (first.mean, first.least, first.most, first.count, first.asked) == (11.05, 11.0, 11.1, 2, 2)
    assert first.deviation == pytest.approx(stdev([11.0, 11.1]))
    assert points[1].figures["value"].mean == pytest.approx(22.05)
    assert points[1].figures["classes: left side"].mean == pytest.approx(22.05)


def test_seeds_that_come_to_one_cell_are_one_measurement(done: tuple[Plan, Outcomes]):
    base = summarise(*done)[0].figures["base"]
    assert (base.count, base.asked, base.deviation, base.mean) == (1, 1, None, 10.0)


@pytest.mark.parametrize(
    ("measure", "state", "value", "error"),
    [
        ("{one.cell.seconds}", "done", "a number", ""),
        ("{one.none}", "done", None, ""),
        ("{one.word}", "failed", None, "reads 'w'"),
        ("{one.missing}", "failed", None, "has no 'missing'"),
    ],
)
def test_a_figure_may_be_absent_but_not_wrong(bench: Bench, measure: str, state: str, value: str | None, error: str):
    plan = bench.plan(STUDY.replace("{one.value}", measure), seeds=1)
    outcomes, _ = bench.run(plan)
    reading = read_figure(plan, outcomes, "value", plan.rows[0].figures["value"])
    assert reading.state == state
    assert (reading.value is None) == (value is None)
    assert error in reading.error
    optional = bench.plan(STUDY.replace("{one.value}", measure).replace("title: sum", "optional: true"), seeds=1)
    if measure == "{one.missing}":
        assert read_figure(optional, outcomes, "value", optional.rows[0].figures["value"]).state == "done"


def test_claims_are_looked_up_wherever_both_sides_are(done: tuple[Plan, Outcomes]):
    plan, outcomes = done
    points = summarise(plan, outcomes)
    found = [check(frame_of(plan), points, one) for one in plan.study.expect]
    assert [(one.verdict, one.held, one.places) for one in found] == [
        ("holds", 2, 2),
        ("does not hold here", 0, 2),
        ("holds partly", 1, 2),
    ]
    assert points[0].values["value"] == {0: 11.0, 1: pytest.approx(11.1)}
    assert found[0].differences[1] == {
        "at": {"n": 2},
        "difference": pytest.approx(12.0),
        "seeds": 2,
        "noise": pytest.approx(4.30 * 0.005**0.5),  # of two sides with a deviation of .0707 over two seeds
    }
    lower = Expectation(text="", better={"way": "plain"}, than={"way": "twice"}, where={"n": (2,)}, measure="value")
    assert check(frame_of(plan), points, lower).held == 0
    worse = plan.measures["value"].model_copy(update={"better": "lower"})
    one = check(replace(frame_of(plan), measures={**plan.measures, "value": worse}), points, lower)
    assert (one.verdict, one.places, one.differences[0]["difference"]) == ("holds", 1, pytest.approx(12.0))


def test_a_claim_without_its_figures_is_not_tested(bench: Bench):
    plan = bench.plan(only={"way": ("plain",)}, seeds=1)
    outcomes, _ = bench.run(plan)
    points = summarise(plan, outcomes)
    found = check(frame_of(plan), points, plan.study.expect[0])
    assert (found.verdict, found.why) == ("not run", "not asked for here: way twice")
    none = check(frame_of(bench.plan(seeds=1)), summarise(bench.plan(seeds=1), Outcomes({})), plan.study.expect[0])
    assert none.why == "its figures are missing"
    only = plan.study.expect[1].model_copy(update={"where": {"way": ("twice",)}})
    assert check(frame_of(plan), points, only).why == "not asked for here: way twice"


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (None, ""),
        (Figure(asked=1), "-"),
        (Figure(asked=2, failed=1, not_run=1), "failed"),
        (Figure(asked=2, not_run=2), "not run"),
        (Figure(0.5, None, 0.5, 0.5, 1, 1), "0.500"),
        (Figure(0.5, 0.1, 0.4, 0.6, 2, 2), "0.500 (0.400-0.600)"),
        (Figure(0.5, 0.1, 0.4, 0.6, 2, 3, failed=1), "0.500 (0.400-0.600), 2 of 3"),
    ],
)
def test_a_cell_says_what_is_missing(figure: Figure | None, text: str):
    assert cell_text(figure, "fraction") == text


def test_tables_have_a_column_for_each_value_and_what_stands_beside(done: tuple[Plan, Outcomes]):
    plan, outcomes = done
    points = summarise(plan, outcomes)
    text = markdown(frame_of(plan), points, [check(frame_of(plan), points, one) for one in plan.study.expect])
    assert "| way | sum, numbers 1 | sum, numbers 2 | base, mean |" in text
    assert "| as it is | 11.05 (11-11.1) | 12.05 (12-12.1) | 10 |" in text
    assert "Mean over 2 seeds, smallest to largest in brackets." in text
    assert "| Two are two more than one | holds partly | 1 of 2 | +1.5 (+1 to +2) | 2 |" in text
    assert "Too close to tell: the difference is within its 95 % interval over the seeds (Student's t)" in text
    rows = list(csv.DictReader(comma_separated(frame_of(plan), points).splitlines()))
    assert len(rows) == 4 * 4
    assert rows[0] == {
        "n": "1", "way": "plain", "measure": "value", "mean": "11.05", "deviation": "0.070711", "least": "11.0",
        "most": "11.1", "seeds": "2", "asked": "2", "failed": "0", "not_run": "0",
    }  # fmt: skip


@pytest.mark.parametrize(("twice", "best"), [(0.534, set()), (0.536, {(1, 1)}), (0.466, set()), (0.464, {(0, 1)})])
def test_what_is_within_the_noise_of_the_best_is_no_worse(bench: Bench, twice: float, best: set[tuple[int, int]]):
    """Of a fraction with one seed .035; of two rows that are alike none stands out."""
    plan = bench.plan(STUDY, seeds=1, only={"n": (1,)})
    values = {"plain": 0.5, "twice": twice}
    points = [
        replace(
            point,
            figures=point.figures | {"value": Figure(mean=values[str(point.at["way"])], count=1, asked=1)},
            values=dict(point.values) | {"value": {0: values[str(point.at["way"])]}},
        )
        for point in summarise(plan, bench.run(plan)[0])
    ]
    table = plan.study.tables[0].model_copy(update={"measures": ("value",), "beside": ()})
    frame = frame_of(plan)
    fraction = frame.measures["value"].model_copy(update={"format": "fraction"})
    frame = replace(frame, measures={**frame.measures, "value": fraction})
    assert grid(frame, table, points).best == best
    assert not grid(frame, table.model_copy(update={"best": ()}), points).best


@pytest.mark.parametrize(
    ("plain", "twice", "best", "uneven"),
    [
        ((0.5, 0.51, 0.4), (0.7, 0.7, 0.7), {(1, 1)}, False),
        ((0.5, 0.51, 0.4), (0.49, None, None), {(0, 1)}, True),  # ahead for want of the others' bad seed
        ((0.5, 0.51, 0.4), (0.1, None, None), {(0, 1)}, True),
        ((0.5, 0.51, None), (0.7, 0.7, None), {(1, 1)}, False),  # nobody has it
        ((0.5, None, 0.5), (0.7, 0.7, None), set(), True),  # one row alone is no comparison
    ],
)
def test_a_mean_that_lacks_a_seed_is_not_compared(
    bench: Bench,
    plain: tuple[float | None, ...],
    twice: tuple[float | None, ...],
    best: set[tuple[int, int]],
    uneven: bool,
):
    plan = bench.plan(STUDY, seeds=1, only={"n": (1,)})
    third = tuple(None if both == (None, None) else 0.2 for both in zip(plain, twice, strict=True))
    found = {"plain": plain, "twice": twice, "third": third}
    points, template = [], summarise(plan, bench.run(plan)[0])[0]
    for way, seeds in found.items():
        there = {seed: value for seed, value in enumerate(seeds) if value is not None}
        mean, count = fmean(there.values()), len(there)
        own = Figure(mean, 0.0, mean, mean, count, asked=3, not_run=3 - count)
        at = {"n": 1, "way": way}
        points.append(Point(at, template.figures | {"value": own}, {**template.values, "value": there}))
    frame = frame_of(plan)
    values = (*frame.axes["way"].values, frame.axes["way"].values[0].model_copy(update={"value": "third"}))
    way = frame.axes["way"].model_copy(update={"values": values})
    table = plan.study.tables[0].model_copy(update={"measures": ("value",), "beside": ()})
    filled = grid(replace(frame, axes={**frame.axes, "way": way}), table, points)
    assert (filled.best, filled.uneven) == (best, uneven)


def test_a_mean_over_cells_says_how_many_are_missing_and_is_not_the_best_then(bench: Bench):
    plan = bench.plan(STUDY.replace("beside: [base]", "beside: [value]"))
    points = summarise(plan, bench.run(plan)[0])
    whole = grid(frame_of(plan), plan.study.tables[0], points)
    assert [row[-1] for row in whole.rows] == ["11.55", "23.05"]
    assert (1, 3) in whole.best
    lost = [
        replace(point, figures={**point.figures, "value": Figure(asked=2, failed=2)})
        if point.at == {"n": 1, "way": "twice"}
        else point
        for point in points
    ]
    part = grid(frame_of(plan), plan.study.tables[0], lost)
    assert [row[-1] for row in part.rows] == ["11.55", "24.05, 1 of 2"]
    assert not {place for place in part.best if place[1] == 3}


def test_a_measure_of_every_class_has_a_column_for_each(bench: Bench):
    plan = bench.plan(
        STUDY.replace("rows: [way], columns: n, measures: [value]", "rows: [way, n], measures: [classes]")
    )
    outcomes, _ = bench.run(plan)
    assert "| way | numbers | ground | left side | base |" in markdown(frame_of(plan), summarise(plan, outcomes), [])


@pytest.mark.parametrize(
    ("title", "unit", "heads"),
    [
        ("", "", ["sum, numbers 1", "sum, numbers 2", "base, mean"]),
        ("Everything", "", ["sum, numbers 1", "sum, numbers 2", "base, mean"]),
        ("The Sum of two", "", ["numbers 1", "numbers 2", "base, mean"]),
        ("", "px", ["sum, 1 px", "sum, 2 px", "base, mean"]),
    ],
)
def test_the_measure_is_named_where_the_tables_title_does_not(bench: Bench, title: str, unit: str, heads: list[str]):
    text = STUDY.replace("{rows: [way]", f"{{title: {title!r}, rows: [way]")
    plan = bench.plan(text.replace("{title: numbers,", f"{{title: numbers, unit: {unit!r},"))
    assert grid(frame_of(plan), plan.study.tables[0], []).heads == ["way", *heads]


def test_a_papers_numbers_rise_and_keep_their_zeros():
    some = Published(title="", table={"a": {"2": 77.9, "30": 8}, "b": {10: 0.05, "150": "-", 1500: "about 6"}})
    assert published(some).heads == ["", "2", "10", "30", "150", "1500"]
    assert published(some).rows == [
        ["a", "77.90", "-", "8.00", "-", "-"],
        ["b", "-", "0.05", "-", "-", "about 6"],
    ]
    named = Published(title="", table={"a": {30: 1, "mIoU": 2, 2: 3}})
    assert published(named).heads == ["", "30", "mIoU", "2"]
    assert published(named).rows == [["a", "1", "2", "3"]]


@pytest.mark.parametrize(
    ("form", "differences", "text"),
    [
        ("fraction", [0.0123], "+0.012"),
        ("fraction", [-0.25, 0.75], "+0.250 (-0.250 to +0.750)"),
        ("number", [1.23456], "+1.235"),
        ("count", [-1234.0], "-1,234"),
        ("seconds", [38.26], "+38 s"),
        ("seconds", [-0.26, 10.26], "+5.0 s (-0.3 s to +10 s)"),
        ("mb", [-2048.4], "-2,048 MB"),
        ("mb", [], "-"),
    ],
)
def test_a_difference_is_shown_as_its_measure(bench: Bench, form: Format, differences: list[float], text: str):
    plan = bench.plan(STUDY.replace("title: sum, format: number", f"title: sum, format: {form}"))
    found = tuple({"difference": one} for one in differences)
    finding = Finding("x", Verdict.HOLDS, len(found), 0, found, measure="value")
    assert difference_text(finding, frame_of(plan)) == text
    unknown = difference_text(replace(finding, measure="gone"), frame_of(plan))
    assert unknown.split(" ")[0] == (f"{sum(differences) / len(differences):+.3f}" if differences else "-")
    every = replace(finding, measure="classes", differences=({"difference": 0.5},))
    assert difference_text(every, frame_of(plan)) == "+0.500"


def test_a_plot_shows_every_line_and_is_the_same_each_time(done: tuple[Plan, Outcomes]):
    plan, outcomes = done
    points = summarise(plan, outcomes)
    drawn = draw(frame_of(plan), plan.study.plots[0], points)
    svg = drawn["svg"].decode()
    ElementTree.fromstring(svg)
    for word in ("as it is", "doubled", "numbers", "sum", "Grounds", "Sums"):
        assert f">{word}<" in svg
    assert draw(frame_of(plan), plan.study.plots[0], points)["svg"] == drawn["svg"]
    assert Image.open(BytesIO(drawn["png"])).size == (1024, 667)  # with a line of its legend below
    names = draw(frame_of(plan), plan.study.plots[0].model_copy(update={"x": "way", "series": ("n",)}), points)[
        "svg"
    ].decode()
    assert names.count(">doubled<") == 1


def test_lines_are_named_by_their_value_and_its_unit_or_title(done: tuple[Plan, Outcomes]):
    plan, outcomes = done
    points, plot = summarise(plan, outcomes), Plot(x="way", series=("n",), measure="value")
    assert series_names(frame_of(plan), plot, points) == ["numbers 1", "numbers 2"]
    both = plot.model_copy(update={"series": ("way", "n"), "x": "n"})
    assert series_names(frame_of(plan), both, points)[:2] == ["as it is, numbers 1", "as it is, numbers 2"]
    unit = plan.axes["n"].model_copy(update={"unit": "px"})
    assert series_names(replace(frame_of(plan), axes={**plan.axes, "n": unit}), plot, points) == ["1 px", "2 px"]


LISTS = (Plot(x="n", series=("way",), measure="value"), Plot(x="way", measure="value"))
"""Series at the one value of an axis, and names without series: both have one figure for each name."""


@pytest.mark.parametrize("plot", LISTS)
def test_one_figure_for_each_name_is_a_list_of_names(bench: Bench, plot: Plot):
    plan = bench.plan(only={"n": (1,)})
    points, frame = summarise(plan, bench.run(plan)[0]), frame_of(plan)
    assert series_names(frame, plot, points) == []
    axes = Canvas().add_subplot()
    fill(axes, frame, plot, points)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["as it is", "doubled"]
    assert axes.get_xlabel() == ("sum, numbers 1" if plot.series else "sum")
    (drawn,) = axes.containers
    assert drawn[0].get_xdata() == pytest.approx([11.05, 22.05])
    (bars,) = drawn[2]
    assert [segment[:, 0].tolist() for segment in bars.get_segments()] == [
        pytest.approx([11.0, 11.1]),
        pytest.approx([22.0, 22.1]),
    ]
    upper, lower = axes.get_yticks()
    bottom, top = axes.get_ylim()
    assert top < upper < lower < bottom  # the first name is above
    svg = draw(frame, plot, points)["svg"].decode()
    assert svg.count(">as it is<") == svg.count(">doubled<") == 1


def test_long_names_of_a_list_go_on_below_and_have_room(bench: Bench):
    plan = bench.plan(STUDY.replace("title: doubled", "title: doubled by a very long name"), only={"n": (1,)})
    points, frame = summarise(plan, bench.run(plan)[0]), frame_of(plan)
    axes = Canvas().add_subplot()
    fill(axes, frame, LISTS[0], points, letters=12)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["as it is", "doubled by a\nvery long\nname"]
    heights = [height_in(frame, LISTS[0], points, 4.0, letters) for letters in (12, 80)]
    assert heights[0] - heights[1] == pytest.approx(2 * LINE_IN)
    of_lines = bench.plan()
    assert height_in(frame_of(of_lines), LISTS[0], points, 4.0, 12) == 4.0


@pytest.mark.parametrize("plot", LISTS)
def test_a_list_of_nothing_is_empty(bench: Bench, plot: Plot):
    plan = bench.plan(only={"n": (1,)}, seeds=1)
    svg = draw(frame_of(plan), plot, summarise(plan, Outcomes({})))["svg"].decode()
    assert ">as it is<" not in svg


def test_a_plot_of_nothing_is_empty(bench: Bench):
    plan = bench.plan(seeds=1)
    svg = draw(frame_of(plan), plan.study.plots[0], summarise(plan, Outcomes({})))["svg"].decode()
    assert ">as it is<" not in svg


def test_study_json_has_all_that_a_page_needs(bench: Bench):
    text = STUDY.replace("one: make --value {n}", "one: make --value {n}{way.extra}")
    text = text.replace('how: ""', 'how: "", extra: ""').replace("how: --twice", "how: --twice, extra: x")
    text += "published: [{title: Theirs, table: {plain: {1: 7.5, 2: 8}}}]\n"
    plan = bench.plan(text)
    outcomes, _ = bench.run(plan)
    content = write_study(bench.how.folder, plan, outcomes, "gannotate study run sums", 1.5)
    folder = bench.how.folder / "sums-ground"
    assert json.loads((folder / "study.json").read_text()) == json.loads(json.dumps(content, default=str))
    assert sorted(path.name for path in folder.iterdir()) == [
        "plot.png",
        "plot.svg",
        "study.json",
        "table.csv",
        "table.md",
    ]
    assert (content["study"], content["domain"]["name"], content["seeds"]) == ("sums", "ground", [0, 1])
    assert content["axes"]["way"]["values"][1] == {"value": "twice", "title": "doubled"}
    plain, twice = content["rows"][:2]
    assert (plain["status"], plain["figures"]["value"]) == ("done", 11.0)
    assert (twice["status"], twice["figures"]["value"]) == ("failed", None)
    assert "invalid float value" in twice["errors"]["value"]
    failed = content["cells"][twice["cells"]["value"]]
    assert (failed["status"], failed["step"]) == ("failed", "one")
    assert failed["command"].startswith("gannotate make --value 1x")
    assert content["points"][1]["figures"]["value"]["failed"] == 2
    assert content["findings"][0]["verdict"] == "not run"
    assert content["plots"][0]["svg"] == "plot.svg"
    again = read_study(folder)
    same = frame_of(plan)
    bare = {"axes": {}, "measures": {}, "published": ()}  # keys became texts, and what only a plan needs is gone
    assert replace(again.frame, **bare) == replace(same, **bare)
    assert [(axis.title, axis.unit, axis.numeric) for axis in again.frame.axes.values()] == [
        ("numbers", "", True),
        ("way", "", False),
    ]
    assert list(again.points) == summarise(plan, outcomes)
    assert list(again.findings) == [check(same, again.points, one) for one in plan.study.expect]
    page = (folder / "table.md").read_text()
    assert "## Sums: Grounds" in page
    assert "A paper, Table 1. More is more." in page
    assert "| doubled | failed | failed |" in page
    assert "### In the paper: Theirs" in page
    assert "| plain | 7.5 | 8.0 |" in page
    assert "figures failed" in page
    assert re.search(
        r"^Seeds 0, 1\. 9 cells, .* by `gannotate study run sums` with gannotate .*, torch .*, 20..-", page, re.M
    )


def test_the_table_says_on_how_many_pictures_figures_are(bench: Bench):
    text = STUDY.replace("one: make", "one: evaluate").replace("base: make", "base: make --pictures 7")
    plan = bench.plan(text.replace("{way.how}", "{way.how} --pictures 6{n}"))
    content = write_study(bench.how.folder, plan, bench.run(plan)[0], "", 1.0)
    assert content["scored_pictures"] == [61, 62]
    page = (bench.how.folder / "sums-ground" / "table.md").read_text()
    assert "Seeds 0, 1. Scored on 61 to 62 pictures each. 9 cells" in page


@pytest.mark.parametrize(
    ("failed", "missing", "told"),
    [(3, 0, "3 figures failed."), (0, 1, "1 figure was not run."), (1, 2, "1 figure failed and 2 were not run.")],
)
def test_a_note_names_only_what_is_missing(failed: int, missing: int, told: str):
    point = Point({}, {"m": Figure(asked=3, failed=failed, not_run=missing)})
    assert note([point]) == f"Mean over 3 seeds, smallest to largest in brackets. {told}"


def test_the_folder_of_all_studies_may_be_moved(bench: Bench, tmp_path: Path):
    plan = bench.plan(seeds=1)
    bench.run(plan)
    ran = bench.ran
    bench.how = replace(bench.how, folder=bench.how.folder.rename(tmp_path / "moved"))
    outcomes, _ = bench.run(plan)
    assert bench.ran == ran
    assert len(outcomes.results) == 5
