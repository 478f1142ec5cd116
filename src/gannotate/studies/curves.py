"""Curves of a study: how a figure changed on the way of its cells' fits, as the logs in their folders tell."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from gannotate.errors import GannotateError
from gannotate.jsonlines import read_rows
from gannotate.studies.cell_files import NoFile, find_file
from gannotate.studies.documents import Scalar, known_keys
from gannotate.studies.made import MadeFile
from gannotate.studies.plan import Plan
from gannotate.studies.runner import Outcomes
from gannotate.studies.shown import Curve

MOST_BYTES, MOST_POINTS = 8 << 20, 2000
"""A larger log, or a line of more points, is not drawn."""

Points = tuple[tuple[float, float], ...]
"""x and y, x rising."""


@dataclass(frozen=True)
class Line:
    """One seed at one place. cell, of: what its points were read from; missing: why there are none."""

    at: Mapping[str, Scalar]
    seed: int
    cell: str
    of: str
    points: Points = ()
    missing: str = ""

    def __post_init__(self) -> None:
        points = tuple((float(x), float(y)) for x, y in self.points)
        if not all(math.isfinite(value) for point in points for value in point):
            raise ValueError("a curve has a point that is no number")
        object.__setattr__(self, "at", dict(self.at))
        object.__setattr__(self, "points", points)


LINE = frozenset(one.name for one in fields(Line))


@dataclass(frozen=True)
class DrawnCurve:
    """A curve with its lines."""

    curve: Curve
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Stop:
    """A line at one x, over the seeds."""

    x: float
    mean: float
    least: float
    most: float
    seeds: int


@dataclass(frozen=True)
class Mean:
    """The mean line at one place, as far as all seeds that have a line have one."""

    at: Mapping[str, Scalar]
    stops: tuple[Stop, ...] = field(default=())


def collect(folder: Path, plan: Plan, outcomes: Outcomes) -> list[DrawnCurve]:
    """All curves of a plan, as far as the logs of its cells are there."""
    return [
        DrawnCurve(one, tuple(_lines(folder, plan, outcomes, one, place) for place in _places(plan, one)))
        for one in plan.study.curves
    ]


def _places(plan: Plan, curve: Curve) -> Iterator[tuple[Mapping[str, Scalar], int, MadeFile]]:
    """Each line once: seeds that come to one cell are one line, not several."""
    known = set[tuple[str, MadeFile]]()
    for row in plan.rows:
        made = row.files[curve.source]
        if (key := (str(dict(row.at)), made)) not in known:
            known.add(key)
            yield row.at, row.seed, made


def _lines(
    folder: Path, plan: Plan, outcomes: Outcomes, curve: Curve, place: tuple[Mapping[str, Scalar], int, MadeFile]
) -> Line:
    at, seed, made = place
    cell, of = made.origin.cell, f"{made.name}: {curve.y} over {curve.x}"
    known = outcomes.curves.get((cell, of))
    try:
        points = known if known and cell not in outcomes.made else _read(folder, plan, outcomes, curve, made)
    except NoFile as missing:
        return Line(at, seed, cell, of, missing=str(missing))
    return Line(at, seed, cell, of, points)


def _read(folder: Path, plan: Plan, outcomes: Outcomes, curve: Curve, made: MadeFile) -> Points:
    path = find_file(folder, plan, outcomes, made)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise NoFile(f"{path.name} has more than {MOST_BYTES >> 20} MB")
        rows = read_rows(path, ())
    except (OSError, GannotateError) as odd:
        raise odd if isinstance(odd, NoFile) else NoFile(f"{path.name} cannot be read") from odd
    found: dict[float, float] = {}
    for row in rows:
        x, y = (_number(row.get(name)) if isinstance(row, dict) else None for name in (curve.x, curve.y))
        if x is not None and y is not None:
            found[x] = y
    if not found:
        raise NoFile(f"{path.name} has no {curve.y} over {curve.x}")
    if len(found) > MOST_POINTS:
        raise NoFile(f"{path.name} has more than {MOST_POINTS} points")
    return tuple(sorted(found.items()))


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)


def means(drawn: DrawnCurve) -> list[Mean]:
    """The mean line of every place that has one, in the order of the rows."""
    by_place: dict[str, list[Line]] = {}
    for line in drawn.lines:
        if line.points:
            by_place.setdefault(str(line.at), []).append(line)
    found = []
    for lines in by_place.values():
        found.append(Mean(lines[0].at, tuple(_stops([line.points for line in lines]))))
    return found


def _stops(seeds: Sequence[Points]) -> Iterator[Stop]:
    """Where any seed has a point and all have a line: they may be noted at other steps, or seconds, than each other."""
    first, last = max(points[0][0] for points in seeds), min(points[-1][0] for points in seeds)
    for x in sorted({x for points in seeds for x, _ in points if first <= x <= last}):
        values = [float(np.interp(x, [one for one, _ in points], [y for _, y in points])) for points in seeds]
        yield Stop(x, fmean(values), min(values), max(values), len(values))


def curve_name(number: int, count: int) -> str:
    """Name, without its ending, of the files of a curve."""
    return "curve" if count == 1 else f"curve-{number}"


def comma_separated(drawn: DrawnCurve) -> str:
    """One line for each point of a mean line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    found = means(drawn)
    axes = list(found[0].at) if found else []
    writer.writerow([*axes, drawn.curve.x, "mean", "least", "most", "seeds"])
    for mean in found:
        for one in mean.stops:
            figures = [round(value, 6) for value in (one.mean, one.least, one.most)]
            writer.writerow([*mean.at.values(), f"{one.x:g}", *figures, one.seeds])
    return out.getvalue()


def curves_as_json(curves: Sequence[DrawnCurve]) -> list[dict[str, Any]]:
    """The curves' part of study.json."""
    found = []
    for number, one in enumerate(curves, start=1):
        name = curve_name(number, len(curves))
        files = {kind: f"{name}.{kind}" for kind in ("svg", "png", "csv")}
        about = one.curve.model_dump(mode="json", exclude={"source"})
        found.append({**about, **files, "lines": [asdict(line) for line in one.lines]})
    return found


def read_curves(content: Mapping[str, Any]) -> tuple[DrawnCurve, ...]:
    """The curves in study.json; none in those of earlier versions.

    Raises:
        ValueError, KeyError, TypeError: they are something else.
    """
    found = []
    for one in content.get("curves", ()):
        curve = Curve.model_validate({"from": "study.json", **known_keys(Curve, one)})
        lines = [{name: value for name, value in line.items() if name in LINE} for line in one["lines"]]
        found.append(DrawnCurve(curve, tuple(Line(**line) for line in lines)))
        for axis in curve.series:
            known = {str(value["value"]) for value in content["axes"][axis]["values"]}
            if any(str(line.at[axis]) not in known for line in found[-1].lines):
                raise ValueError(f"the curve {curve.title!r} has a line at no value of {axis}")
    return tuple(found)


def missing_text(drawn: DrawnCurve) -> str:
    """How many lines are not there, and why the first is not; nothing where all are."""
    lost = [line for line in drawn.lines if not line.points]
    if not lost:
        return ""
    return f"{len(lost)} of {len(drawn.lines)} lines are missing from {drawn.curve.title!r}: {lost[0].missing}."


def curve_lines(curves: Sequence[DrawnCurve], domain: str) -> list[str]:
    """The curves on a domain in Markdown, and what is missing of them."""
    lines = []
    for number, one in enumerate(curves, start=1):
        if any(line.points for line in one.lines):
            lines += [f"![{one.curve.title}, {domain}]({curve_name(number, len(curves))}.svg)", ""]
        lines += [text, ""] if (text := missing_text(one)) else []
    return lines
