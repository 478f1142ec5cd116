"""What a study found: the mean and spread of every figure, and what they say of what a paper claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from statistics import fmean, stdev
from typing import Any

from gannotate.errors import GannotateError
from gannotate.studies.documents import Scalar
from gannotate.studies.folds import Folds, over_runs, read_folds
from gannotate.studies.plan import Plan, Row
from gannotate.studies.resolving import CELL
from gannotate.studies.runner import Outcomes
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
    """One value of each axis, and its figures by measure; values: of every seed that has one, by measure and seed.

    folds: by measure, where a protocol has folds.
    """

    at: Mapping[str, Scalar]
    figures: Mapping[str, Figure]
    values: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    folds: Mapping[str, Folds] = field(default_factory=dict)


class Verdict(StrEnum):
    """What the figures say of a claim."""

    HOLDS = "holds"
    PARTLY = "holds partly"
    CLOSE = "too close to tell"
    AGAINST = "does not hold here"
    NOT_RUN = "not run"
    NOTHING = "nothing to compare"
    UNTESTABLE = "not testable here"
    UNTESTED = "not tested here"


@dataclass(frozen=True)
class Finding:
    """What became of a claim. places: how many comparisons there were; held: in how many it was so; lost: in how many
    it was not. At the others the difference is too small to tell.

    differences: by how much `better` was better, at each place, over how many seeds at least, and the noise that it
    must exceed. why: what was missing where nothing could be compared, or at how many more places figures are missing.
    measure: what was compared. unlearned: places that were left out because the rival had learned nothing.
    """

    text: str
    verdict: Verdict
    places: int
    held: int
    differences: tuple[dict[str, Any], ...]
    why: str = ""
    lost: int = 0
    measure: str = ""
    unlearned: int = 0


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
    result = dict(ran.result or {}) | {CELL: {"seconds": ran.seconds, "cpu_s": ran.cpu_s, "peak_mb": ran.peak_mb}}
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
    return [_point(plan, outcomes, at, rows) for at, rows in by_place.items()]


def _point(plan: Plan, outcomes: Outcomes, at: tuple[tuple[str, Scalar], ...], rows: Sequence[Row]) -> Point:
    figures: dict[str, Figure] = {}
    values: dict[str, dict[int, float]] = {}
    folds: dict[str, Folds] = {}
    for name in plan.measures:
        readings = {row.seed: read_figure(plan, outcomes, name, row.figures[name]) for row in rows}
        # seeds that come to one cell are one measurement, not several
        cells = {row.figures[name].cell: readings[row.seed] for row in rows}
        figures[name] = _figure(list(cells.values()))
        values[name] = {seed: one.value for seed, one in readings.items() if one.value is not None}
        own = {row.figures[name].cell: row.figures[name] for row in rows}
        if found := over_runs([one for figure in own.values() if (one := _folds(outcomes, figure))]):
            folds[name] = found
    return Point(dict(at), figures, values, folds)


def _folds(outcomes: Outcomes, figure: Result) -> Folds | None:
    ran = outcomes.ran.get(figure.cell)
    return read_folds(ran.result or {}, figure) if ran else None


def _figure(readings: Sequence[Reading]) -> Figure:
    values = [reading.value for reading in readings if reading.value is not None]
    states = [reading.state for reading in readings]
    about = {"asked": len(readings), "failed": states.count("failed"), "not_run": states.count("not run")}
    if not values:
        return Figure(**about)
    deviation = stdev(values) if len(values) > 1 else None
    return Figure(fmean(values), deviation, min(values), max(values), len(values), **about)


def as_json(plan: Plan, outcomes: Outcomes, points: Sequence[Point], findings: Sequence[Finding]) -> dict[str, Any]:
    """The figures' part of study.json: of each seed, over the seeds, and what they say of the claims."""
    rows = []
    for row in plan.rows:
        found = {name: read_figure(plan, outcomes, name, figure) for name, figure in row.figures.items()}
        status = next((one for one in ("failed", "not run") if one in [two.state for two in found.values()]), "done")
        errors = {name: reading.error for name, reading in found.items() if reading.error}
        folds = {name: asdict(one) for name, figure in row.figures.items() if (one := _folds(outcomes, figure))}
        rows.append(
            {
                "at": dict(row.at),
                "seed": row.seed,
                "status": status,
                "figures": {name: reading.value for name, reading in found.items()},
                "cells": {name: figure.cell for name, figure in row.figures.items()},
                **({"folds": folds} if folds else {}),
                **({"errors": errors} if errors else {}),
            }
        )
    return {
        "rows": rows,
        "points": [_point_as_json(point) for point in points],
        "findings": [asdict(finding) for finding in findings],
    }


def _point_as_json(point: Point) -> dict[str, Any]:
    figures, folds = ({name: asdict(one) for name, one in some.items()} for some in (point.figures, point.folds))
    return {"at": dict(point.at), "figures": figures, **({"folds": folds} if folds else {})}
