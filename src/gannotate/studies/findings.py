"""What a study found: the mean and spread of every figure, and whether what a paper claims holds."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from statistics import fmean, stdev
from typing import Any

from gannotate.errors import GannotateError
from gannotate.studies.documents import Scalar
from gannotate.studies.frame import Frame
from gannotate.studies.plan import CELL, Plan, Row
from gannotate.studies.runner import Outcomes
from gannotate.studies.study import Expectation
from gannotate.studies.words import Result, field_of


@dataclass(frozen=True)
class Figure:
    """A measure at one value of each axis, over seeds that gave different cells.

    deviation: of the sample, None of a single one. asked: seeds that were to run. failed, not_run: those without a
    figure for that reason; seeds whose result has none (an absent class) are neither.
    """

    mean: float | None = None
    deviation: float | None = None
    least: float | None = None
    most: float | None = None
    count: int = 0
    asked: int = 0
    failed: int = 0
    not_run: int = 0


@dataclass(frozen=True)
class Point:
    """One value of each axis, and its figures by measure."""

    at: Mapping[str, Scalar]
    figures: Mapping[str, Figure]


class Verdict(StrEnum):
    """What the figures say of a claim."""

    HOLDS = "holds"
    PARTLY = "holds partly"
    AGAINST = "does not hold here"
    NOT_RUN = "not run"
    UNTESTABLE = "not testable here"


@dataclass(frozen=True)
class Finding:
    """What became of a claim. places: how many comparisons there were; held: in how many it was so.

    differences: by how much `better` was better, at each place, over how many seeds at least. why: what was missing
    where nothing could be compared.
    """

    text: str
    verdict: Verdict
    places: int
    held: int
    differences: tuple[dict[str, Any], ...]
    why: str = ""


@dataclass(frozen=True)
class Reading:
    """A measure of one cell: its value, or why there is none. A finished cell may have none: an absent class."""

    state: str
    value: float | None = None
    error: str = ""


def read_figure(plan: Plan, outcomes: Outcomes, name: str, figure: Result) -> Reading:
    """A measure in a cell; a result without that field is a failure, unless the measure is optional."""
    state, error = outcomes.state(plan, figure.cell)
    if state != "done":
        return Reading(state, None, error)
    ran = outcomes.ran[figure.cell]
    result = dict(ran.result or {}) | {CELL: {"seconds": ran.seconds, "peak_mb": ran.peak_mb}}
    try:
        value = field_of(result, figure)
    except GannotateError as missing:
        optional = plan.measures[name].optional
        return Reading("done") if optional else Reading("failed", None, str(missing))
    if value is None:
        return Reading("done")
    if not isinstance(value, int | float):
        return Reading("failed", None, f"the measure {name} reads {value!r} from {figure}, which is no number")
    return Reading("done", float(value))


def summarise(plan: Plan, outcomes: Outcomes) -> list[Point]:
    """Every figure over the seeds, in the order of the rows."""
    by_place: dict[tuple[tuple[str, Scalar], ...], list[Row]] = {}
    for row in plan.rows:
        by_place.setdefault(tuple(row.at.items()), []).append(row)
    return [
        Point(dict(at), {name: _figure(plan, outcomes, name, rows) for name in plan.measures})
        for at, rows in by_place.items()
    ]


def _figure(plan: Plan, outcomes: Outcomes, name: str, rows: Sequence[Row]) -> Figure:
    # seeds that come to one cell are one measurement, not several
    cells = {row.figures[name].cell: row.figures[name] for row in rows}
    readings = [read_figure(plan, outcomes, name, figure) for figure in cells.values()]
    values = [reading.value for reading in readings if reading.value is not None]
    states = [reading.state for reading in readings]
    about = {"asked": len(cells), "failed": states.count("failed"), "not_run": states.count("not run")}
    if not values:
        return Figure(**about)
    deviation = stdev(values) if len(values) > 1 else None
    return Figure(fmean(values), deviation, min(values), max(values), len(values), **about)


def check(frame: Frame, points: Sequence[Point], one: Expectation) -> Finding:
    """Compares the means at every place where there are both."""
    asked = one.measure or next(iter(frame.families))
    names = frame.families[asked]
    known = {_key(point.at): point for point in points}
    fixed = {*one.better, *one.than, *one.change}
    free = {axis: values.values for axis, values in frame.axes.items() if axis not in fixed}
    differences: list[dict[str, Any]] = []
    for values in itertools.product(*free.values()):
        at = {axis: value.value for axis, value in zip(free, values, strict=True)}
        if any(str(at[axis]) not in map(str, wanted) for axis, wanted in one.where.items() if axis in at):
            continue
        for name in names:
            of = {} if name == asked else {"class": frame.measures[name].title}
            found = _difference(frame, known, one, at, name)
            differences += [{"at": at | of, **found}] if found else []
    held = sum(item["difference"] >= one.by for item in differences)
    why = "" if differences else _why_untested(frame, one)
    verdict = verdict_of(held, len(differences), one.enough)
    return Finding(one.text, verdict, len(differences), held, tuple(differences), why)


def _difference(
    frame: Frame,
    known: Mapping[frozenset[tuple[str, str]], Point],
    one: Expectation,
    at: Mapping[str, Scalar],
    name: str,
) -> dict[str, Any] | None:
    """By how much `better` is better at a place, and over how many seeds; None where a figure is missing.

    Each side is a mean, or by how much that changes along an axis.
    """
    total, seeds = 0.0, []
    for sign, side in ((1, one.better), (-1, one.than)):
        ends = [(1, {})]
        for axis, (start, end) in one.change.items():
            ends = [(1, {axis: end}), (-1, {axis: start})]
        for part, more in ends:
            point = known.get(_key({**at, **side, **more}))
            figure = point.figures.get(name) if point else None
            if figure is None or figure.mean is None:
                return None
            total += sign * part * figure.mean
            seeds.append(figure.count)
    return {"difference": total if frame.measures[name].better == "higher" else -total, "seeds": min(seeds)}


def _why_untested(frame: Frame, one: Expectation) -> str:
    """Values that were not asked for, when there are such; otherwise figures are missing."""
    missing = []
    for side in (one.better, one.than):
        missing += [(axis, value) for axis, value in side.items() if not _asked(frame, axis, value)]
    for axis, ends in one.change.items():
        missing += [(axis, value) for value in ends if not _asked(frame, axis, value)]
    for axis, values in one.where.items():
        if not any(_asked(frame, axis, value) for value in values):
            missing += [(axis, value) for value in values]
    left_out = ", ".join(f"{axis} {value}" for axis, value in dict.fromkeys(missing))
    return f"{left_out} left out" if left_out else "its figures are missing"


def _asked(frame: Frame, axis: str, value: Scalar) -> bool:
    return axis in frame.axes and str(value) in [str(one.value) for one in frame.axes[axis].values]


def _key(at: Mapping[str, Scalar]) -> frozenset[tuple[str, str]]:
    return frozenset((axis, str(value)) for axis, value in at.items())


def verdict_of(held: int, places: int, enough: float = 1.0) -> Verdict:
    """The verdict where a claim held in so many of so many comparisons, and should in a part `enough` of them."""
    if not places:
        return Verdict.NOT_RUN
    return Verdict.HOLDS if held >= enough * places else Verdict.PARTLY if held else Verdict.AGAINST


def as_json(plan: Plan, outcomes: Outcomes, points: Sequence[Point], findings: Sequence[Finding]) -> dict[str, Any]:
    """The figures' part of study.json: of each seed, over the seeds, and what they say of the claims."""
    rows = []
    for row in plan.rows:
        found = {name: read_figure(plan, outcomes, name, figure) for name, figure in row.figures.items()}
        status = next((one for one in ("failed", "not run") if one in [two.state for two in found.values()]), "done")
        errors = {name: reading.error for name, reading in found.items() if reading.error}
        rows.append(
            {
                "at": dict(row.at),
                "seed": row.seed,
                "status": status,
                "figures": {name: reading.value for name, reading in found.items()},
                "cells": {name: figure.cell for name, figure in row.figures.items()},
                **({"errors": errors} if errors else {}),
            }
        )
    return {
        "rows": rows,
        "points": [
            {"at": dict(point.at), "figures": {name: asdict(figure) for name, figure in point.figures.items()}}
            for point in points
        ],
        "findings": [asdict(finding) for finding in findings],
    }
