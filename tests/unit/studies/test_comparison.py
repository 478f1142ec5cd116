"""Whether a difference means anything, and what becomes of a claim that is looked up at several places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannotate.studies.claims import OnDomain, Part
from gannotate.studies.claims_table import told
from gannotate.studies.comparison import check, noise, verdict_of
from gannotate.studies.findings import Figure, Point, Verdict
from gannotate.studies.study import Axis, Expectation, Format
from gannotate.studies.tables import markdown

from .conftest import FRAME


def points(a: tuple[float, float], b: tuple[float, float], seeds: int = 2) -> list[Point]:
    """Means of m at n 1 and 10 for both ways, of seeds that are all alike; of the classes x (the same, of one seed) and
    y (the rest)."""
    means = {(1, "a"): a[0], (10, "a"): a[1], (1, "b"): b[0], (10, "b"): b[1]}
    return [
        point({"n": n, "way": way}, m=[m] * seeds, **{"c: x": [m], "c: y": [1 - m] * seeds})
        for (n, way), m in means.items()
    ]


def point(at: dict[str, Any], **measures: Sequence[float | None]) -> Point:
    """Each measure with its values over seeds 0, 1, ...; a seed without one failed."""
    figures, values = {}, {}
    for name, found in measures.items():
        there = {seed: value for seed, value in enumerate(found) if value is not None}
        mean, failed = fmean(there.values()) if there else None, len(found) - len(there)
        figures[name] = Figure(mean, count=len(there), asked=len(found), failed=failed)
        values[name] = there
    return Point(at, figures, values)


def expect(**more: Any) -> Expectation:
    return Expectation.model_validate({"text": "", "better": {"way": "a"}, "than": {"way": "b"}, **more})


unit = st.floats(0, 1)


@given(unit, unit, unit, unit)
def test_a_change_is_the_difference_of_two_differences(a1: float, a10: float, b1: float, b10: float):
    found = check(FRAME, points((a1, a10), (b1, b10)), expect(change={"n": [1, 10]}))
    assert found.places == 1
    assert found.differences[0]["at"] == {}
    assert found.differences[0]["difference"] == pytest.approx((a10 - a1) - (b10 - b1), abs=1e-12)
    back = check(FRAME, points((a1, a10), (b1, b10)), expect(change={"n": [10, 1]}))
    assert back.differences[0]["difference"] == pytest.approx((b10 - b1) - (a10 - a1), abs=1e-12)


def test_a_change_without_one_of_its_ends_is_not_run():
    some = [point for point in points((0.1, 0.2), (0.1, 0.2)) if point.at != {"n": 1, "way": "b"}]
    found = check(FRAME, some, expect(change={"n": [1, 10]}))
    assert (found.verdict, found.why) == (Verdict.NOT_RUN, "its figures are missing")
    short = replace(FRAME, axes={**FRAME.axes, "n": Axis.model_validate({"values": [1]})})
    assert check(short, some, expect(change={"n": [1, 10]})).why == "not asked for here: n 10"


def test_classes_are_compared_one_by_one_and_a_part_may_be_enough():
    some = points((0.5, 0.5), (0.4, 0.4), seeds=4)
    found = check(FRAME, some, expect(measure="c", where={"n": [1]}))
    assert [(item["at"], item["seeds"]) for item in found.differences] == [
        ({"n": 1, "class": "x"}, 1),
        ({"n": 1, "class": "y"}, 4),
    ]
    assert [item["difference"] for item in found.differences] == pytest.approx([0.1, -0.1])
    assert found.verdict is Verdict.PARTLY
    assert check(FRAME, some, expect(measure="c", where={"n": [1]}, enough=0.5)).verdict is Verdict.HOLDS
    assert verdict_of(3, 1, 4, 0.8) is Verdict.AGAINST  # in most classes, or not: nothing between
    assert verdict_of(3, 0, 4, 0.8) is Verdict.CLOSE
    assert verdict_of(4, 1, 5, 0.8) is Verdict.HOLDS


def test_a_class_that_neither_side_finds_is_no_win():
    some = points((1.0, 0.5), (1.0, 0.4), seeds=2)  # of y, 1 - 1
    found = check(FRAME, some, expect(measure="c", where={"n": [1]}))
    assert [item["at"]["class"] for item in found.differences] == ["x"]


@pytest.mark.parametrize(
    ("form", "values", "expected"),
    [
        ("fraction", ([8.0], [5.0]), 0.035),
        ("fraction", ([8.0, 8.1], [5.0]), 0.035),
        ("fraction", ([7.9, 8.1], [4.7, 5.3]), 4.30 * ((0.02 + 0.18) / 2) ** 0.5),  # 2 degrees of freedom
        ("fraction", ([7.0, 8.0, 9.0], [5.0, 5.0, 5.0]), 2.78 * (1 / 3) ** 0.5),
        ("seconds", ([8.0], [5.0]), 0.1 * 8),
        ("count", ([8.0], [5.0]), 0.0),
        ("count", ([7.0, 9.0], [5.0, 5.0]), 4.30),
        ("fraction", ([8.0] * 30, [5.0] * 29 + [6.0]), 2.10 * (1 / 900) ** 0.5),
    ],
)
def test_noise(form: Format, values: tuple[list[float], ...], expected: float):
    figures = [Figure(8.0 - 3 * side, count=len(given)) for side, given in enumerate(values)]
    shared = [given[: min(map(len, values))] for given in values]
    assert noise(form, figures, shared) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("few", "expected"),
    [
        ([False, False], 0.035),
        ([True, True], 0.12),
        ([True, False], ((0.12**2 + 0.035**2) / 2) ** 0.5),
        ([False] * 4, 0.035 * 2**0.5),  # a difference of differences
    ],
)
def test_noise_of_one_seed_hangs_on_the_labels_and_on_how_much_is_subtracted(few: list[bool], expected: float):
    values = [[0.5]] * len(few)
    assert noise("fraction", [Figure(0.5, count=1)] * len(few), values, few) == pytest.approx(expected)


def test_few_labels_are_fewer_than_five_on_the_axis_of_labels():
    axes = {"shots": Axis.model_validate({"values": [1, 4, 5]}), "way": FRAME.axes["way"]}
    frame = replace(FRAME, axes=axes)
    some = [point({"shots": n, "way": way}, m=[m]) for n in (1, 4, 5) for way, m in (("a", 0.6), ("b", 0.5))]
    assert [item["noise"] for item in check(frame, some, expect()).differences] == pytest.approx([0.12, 0.12, 0.035])


def test_seeds_that_come_to_one_cell_are_one_seed():
    figures = [Figure(0.5, count=1), Figure(0.4, count=2)]
    assert noise("fraction", figures, [[0.5, 0.5], [0.3, 0.5]]) == 0.035


@pytest.mark.parametrize("seeds", [2, 3, 5, 12])
@pytest.mark.parametrize("spread", [0.001, 0.1])
def test_of_sides_that_are_alike_one_in_twenty_is_called(seeds: int, spread: float):
    sides = np.random.default_rng(seeds).normal(0.5, spread, (1000, 2, seeds))
    figures = [Figure(0.5, count=seeds)] * 2
    called = [abs(a.mean() - b.mean()) >= noise("fraction", figures, [list(a), list(b)]) for a, b in sides]
    assert 0.03 < fmean(called) < 0.07


def test_sides_are_compared_over_the_seeds_that_both_have():
    at = {"n": 1, "way": "a"}, {"n": 1, "way": "b"}
    some = [point(at[0], m=[0.5, None, 0.7]), point(at[1], m=[0.4, 0.0, 0.5])]
    (found,) = check(FRAME, some, expect(where={"n": [1]})).differences
    assert (found["difference"], found["seeds"]) == (pytest.approx(0.15), 2)  # and not .3, for a rival's bad seed
    apart = check(FRAME, [point(at[0], m=[0.5, None]), point(at[1], m=[None, 0.4])], expect(where={"n": [1]}))
    assert (apart.verdict, apart.why) == (Verdict.NOT_RUN, "its figures are missing")


def test_places_without_figures_are_told():
    some = points((0.5, 0.5), (0.4, 0.4))
    some[3] = point({"n": 10, "way": "b"}, m=[None, None])
    found = check(FRAME, some, expect())
    assert (found.verdict, found.places, found.why) == (Verdict.HOLDS, 1, "1 more place without figures")
    part = Part("t", (OnDomain("f", FRAME, False, 2, found),))
    assert told(part) == "d: +0.100, 2 seeds; 1 more place without figures"
    assert "| 1 of 1, 1 more place without figures | +0.100 | 2 |" in markdown(FRAME, some, [found])
    absent = [
        *some[:3],
        Point(some[3].at, {"m": Figure(asked=2)}, {"m": {}}),
    ]  # a class that is not there fails nothing
    assert check(FRAME, absent, expect()).why == ""


@pytest.mark.parametrize(("by", "verdict"), [(0.0, Verdict.CLOSE), (-1.0, Verdict.HOLDS), (1.0, Verdict.AGAINST)])
def test_what_is_the_same_is_not_better(by: float, verdict: Verdict):
    counted = replace(
        FRAME, measures={"m": FRAME.measures["m"].model_copy(update={"format": "count"})}, families={"m": ("m",)}
    )
    assert check(counted, points((3, 3), (3, 3)), expect(by=by)).verdict is verdict
    assert check(counted, points((4, 4), (3, 3)), expect(by=1)).verdict is Verdict.HOLDS  # by at least so much


def test_a_part_of_the_places_is_counted_as_people_do():
    assert verdict_of(11, 9, 20, 0.55) is Verdict.HOLDS
    assert verdict_of(3, 1, 5, 0.8) is Verdict.CLOSE  # a fifth may be lost


@pytest.mark.parametrize(
    ("lead", "by", "verdict"),
    [
        (0.04, 0.0, Verdict.HOLDS),
        (0.03, 0.0, Verdict.CLOSE),
        (-0.03, 0.0, Verdict.CLOSE),
        (-0.04, 0.0, Verdict.AGAINST),
        (0.08, 0.05, Verdict.CLOSE),
        (0.0, -0.04, Verdict.HOLDS),
        (-0.04, -0.03, Verdict.CLOSE),
    ],
)
def test_a_difference_within_the_noise_is_too_close_to_tell(lead: float, by: float, verdict: Verdict):
    some = points((0.5 + lead, 0.0), (0.5, 0.0), seeds=1)
    found = check(FRAME, some, expect(where={"n": [1]}, by=by))
    assert (found.verdict, found.measure) == (verdict, "m")
    assert found.held + found.lost == (0 if verdict is Verdict.CLOSE else 1)


def test_a_rival_that_learned_nothing_is_not_compared_with():
    learns = replace(FRAME, learned="c: y")
    some = points((0.5, 0.5), (1.0, 0.4))  # the rival has 1 - 1 of y at n 1
    found = check(learns, some, expect())
    assert (found.places, found.unlearned, found.differences[0]["at"]) == (1, 1, {"n": 10})
    alone = check(learns, some, expect(where={"n": [1]}))
    assert (alone.verdict, alone.why) == (Verdict.NOTHING, "the rival learned nothing")
    lost = {name: Figure(asked=1, not_run=1) for name in some[0].figures}
    open_yet = [replace(one, figures=lost) if one.at == {"n": 10, "way": "a"} else one for one in some]
    unclear = check(learns, open_yet, expect())  # at the other place it may yet be seen
    assert (unclear.verdict, unclear.why) == (Verdict.NOT_RUN, "its figures are missing")
    ahead = check(learns, points((1.0, 0.4), (0.5, 0.5)), expect())  # the claim's own side may have failed
    assert (ahead.places, ahead.unlearned) == (2, 0)


def test_a_rival_that_is_not_above_the_floor_is_not_compared_with():
    ways = {"values": ["a", "b", "floor"]}
    frame = replace(FRAME, axes={**FRAME.axes, "way": Axis.model_validate(ways)}, floor={"way": "floor"})
    floor = [point({"n": n, "way": "floor"}, m=[0.3, 0.3]) for n in (1, 10)]
    found = check(frame, [*points((0.5, 0.5), (0.3, 0.4)), *floor], expect())
    assert (found.places, found.unlearned, found.differences[0]["at"]) == (1, 1, {"n": 10})
    against = check(frame, [*points((0.2, 0.5), (0.3, 0.4)), *floor], expect(than={"way": "floor"}))
    assert (against.places, against.unlearned) == (2, 0)  # the floor itself may be asked about
    cheap = replace(frame, measures={**FRAME.measures, "m": FRAME.measures["m"].model_copy(update={"better": "lower"})})
    assert check(cheap, [*points((0.5, 0.5), (0.3, 0.4)), *floor], expect()).places == 2  # of costs it says nothing
