"""Axes: values that a study does not name, and settings of all studies as an axis."""

from __future__ import annotations

import pytest

from gannotate.errors import UsageError
from gannotate.studies import Choice, make_plan
from gannotate.studies.axis import Axis
from gannotate.studies.documents import Scalar
from gannotate.studies.several import plan_several
from gannotate.studies.study import Shared

from .conftest import LATER, STUDY, Bench, commands, study_of


def test_an_axis_may_vary_a_shared_setting(bench: Bench):
    shared = Shared.model_validate({"settings": {"n": 7}, "steps": {"base": "make --value {n}"}})
    plan = make_plan(
        "sums", study_of(STUDY.replace("  base: make --value 10\n", "")), shared, bench.domain, Choice(seeds=1)
    )
    assert [one for one in commands(plan) if "--add" not in one] == ["make --value 1", "make --value 2"]
    assert plan.settings == {}


@pytest.mark.parametrize(
    ("values", "asked", "expected"),
    [
        ([2, 10, 30], ("150", "2"), [2, 150]),
        ([2, 10, 30], ("30", "2"), [2, 30]),
        ([30, 2, 10], ("10", "30"), [30, 10]),  # its own order
        ([30, 2, 10], ("15", "2", "30"), [30, 15, 2]),
        ([64, 48, 32], ("16", "100", "48"), [100, 48, 16]),  # falling as its own are
        ([1, 0.9, 0.5], ("0.70", "1.0"), [1, 0.7]),
        ([1, 0.9, 0.5], (0.25, 2), [2, 0.25]),
        ([5], ("150.0", "1.5e2", "0150"), [150]),  # one number, however it is written
    ],
)
def test_an_axis_of_numbers_takes_others(values: list[float], asked: tuple[Scalar, ...], expected: list[float]):
    found = [one.value for one in Axis.model_validate(values).only(asked).values]
    assert found == expected
    assert [*map(str, found)] == [*map(str, expected)]  # as commands have it


@pytest.mark.parametrize(
    ("values", "asked", "error"),
    [
        ([2, 10], "two", "'two' is not on this axis; it has 2, 10, and takes other whole numbers above 0"),
        ([20, 50], "0", r"^'0' is not on this axis; it has 20, 50, and"),  # '20' is no nearer to it than '50'
        ({"values": [1, 0.5], "most": 1}, "1.5", "it has 1, 0.5, and takes other numbers above 0 up to 1$"),
        ([2, 10], "2.5", "takes other whole numbers above 0"),
        ([2, 10], "0", "takes other whole numbers above 0"),
        ([2, 10], "-5", "takes other whole numbers above 0"),
        ([2, 10], "", "takes other whole numbers above 0"),
        ([2, 10], "inf", "takes other whole numbers above 0"),
        ([2, 10], True, "takes other whole numbers above 0"),
        ([1, 0.5], "nan", "it has 1, 0.5, and takes other numbers above 0"),
        (["light", "cnn"], "150", "it has light, cnn, and takes no others, as only an axis of numbers does"),
        ([True, False], "150", "takes no others"),
        (
            {8: {"how": "--width 8"}, 16: {"how": "--width 16"}},
            "32",
            "no others, as each stands for words of a command",
        ),
    ],
)
def test_what_an_axis_does_not_take_is_refused(values: object, asked: Scalar, error: str):
    axis = Axis.model_validate(values if isinstance(values, dict) and "most" in values else {"values": values})
    with pytest.raises(UsageError, match=error):
        axis.only([asked])


def test_new_values_are_planned_told_and_change_nothing_of_the_others(bench: Bench):
    plan, usual = bench.plan(only={"n": ("2", "150")}), bench.plan()
    assert [(row.at["n"], row.at["way"]) for row in plan.rows[:4]] == [
        (n, way) for n in (2, 150) for way in ("plain", "twice")
    ]
    assert (plan.reduced, plan.besides) == (("numbers without 1",), ("numbers with 150 besides",))
    assert "make --value 150 --add <base.value> --seed 0" in commands(plan)
    of_two = {cell for row in usual.rows if row.at["n"] == 2 for cell in (row.figures["value"].cell,)}
    assert of_two <= set(plan.cells)
    assert bench.plan(quick=True, only={"n": (150,)}).rows[0].at["n"] == 150


@pytest.mark.parametrize(("n", "kept"), [(3, True), (15, True), (25, False), (40, False), (1, True)])
def test_a_new_value_is_left_out_where_those_next_to_it_are(bench: Bench, n: int, kept: bool):
    text = (
        STUDY.replace("values: [1, 2]", "values: [1, 2, 10, 20, 30]") + "leave_out:\n  - {way: [twice], n: [20, 30]}\n"
    )
    ways = [row.at["way"] for row in bench.plan(text, seeds=1, only={"n": (n,)}).rows]
    assert ways == (["plain", "twice"] if kept else ["plain"])


def test_several_studies_share_one_new_value(bench: Bench):
    studies = {"a": study_of(), "b": study_of(LATER)}
    several = plan_several(studies, Shared(), bench.domain, Choice(only={"n": ("150", "1")}))
    assert [[one.value for one in plan.axes["n"].values] for plan in several.plans.values()] == [[1, 150], [1, 150]]
