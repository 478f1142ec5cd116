"""The benchmark's rows as tables in Markdown: every case beside the other ways, and how each way grows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from parts import OURS, Part

Row = Mapping[str, Any]

AXES = {
    "size": "side of the picture, px",
    "classes": "classes",
    "shots": "labelled pictures",
    "pictures": "pictures that are there already",
}
"""Axes in their order, and what they count."""


def key_of(row: Row) -> str:
    """What is measured once: a way of a case of a part, on one kind of machine."""
    names = ("part", "way", "case", "machine", "quick")
    return json.dumps([row[name] for name in names], sort_keys=True)


def last_run(rows: Sequence[Row]) -> list[Row]:
    """The rows that were measured as the last one was: on such a machine, in the same form."""
    return [row for row in rows if all(row[name] == rows[-1][name] for name in ("machine", "quick"))]


def ms_a_unit(row: Row, clock: str = "cpu_s") -> float:
    """Milliseconds for each picture, fit or what the part counts; CPU, or `wall_s`."""
    return 1000 * row[clock] / row["units"]


def added_mb(row: Row) -> int:
    """Memory that the work took besides what was there, at least 1 MB; the card's on CUDA."""
    return max(1, row.get("gpu_mb", row["peak_mb"] - row["before_mb"]))


def table(parts: Mapping[str, Part], rows: Sequence[Row]) -> list[str]:
    """Lines: what it was measured on, the table, and one of growth for each axis."""
    own = last_run(rows)
    return [*about(own), "", *beside(parts, own), *grown(parts, own)]


def about(rows: Sequence[Row]) -> list[str]:
    """What the rows were measured on, in a sentence."""
    machine, loads = rows[-1]["machine"], [row["load"] for row in rows]
    threads = f"{machine['threads']} thread{'s' if machine['threads'] > 1 else ''} a process"
    form = " Quick form: one pass, small cases." if rows[-1]["quick"] else ""
    return [
        f"{machine.get('gpu', machine['processor'])}, {machine['cores']} cores, torch {machine['torch']}, {threads}; "
        f"load {min(loads):.0f} to {max(loads):.0f} while it ran.{form} Medians (smallest-largest); MB is what the "
        "work adds to its process."
    ]


def beside(parts: Mapping[str, Part], rows: Sequence[Row]) -> list[str]:
    """The table: every case, ours beside each other way."""
    lines = [
        "| work | case | ours: CPU ms | by the clock | MB | other way | CPU ms | by the clock | MB | times faster | "
        "times less memory |",
        "|---|---|" + "---|" * 9,
    ]
    for name, part in parts.items():
        mine = [row for row in rows if row["part"] == name]
        for case in part.of_table(bool(rows[-1]["quick"])):
            found = {row["way"]: row for row in mine if row["case"] == case}
            others = [way for way in part.ways if way != OURS and way in found]
            for way in others or [""] * (OURS in found):
                lines.append(_beside_line(part, case, found.get(OURS, {}), found.get(way, {}), part.ways.get(way, "-")))
    return lines


def grown(parts: Mapping[str, Part], rows: Sequence[Row]) -> list[str]:
    """A table of growth for each axis."""
    lines = []
    for axis, title in AXES.items():
        found = list(_grown(parts, rows, axis))
        if not found:
            continue
        values = sorted({value for _, _, points in found for value in points})
        lines += ["", f"CPU milliseconds by {title}; they grow there by the power in the last column:", ""]
        lines.append(f"| work | way | {' | '.join(map(_number, values))} | power |")
        lines.append("|---|---|" + "---|" * (len(values) + 1))
        lines += [_growth_line(parts[name], way, points, values) for name, way, points in found]
    return lines


def along(part: Part, name: str, rows: Sequence[Row], axis: str, way: str) -> dict[int, Row]:
    """The rows of one way along an axis, by value."""
    quick = bool(rows and rows[-1]["quick"])
    cases = {json.dumps(case, sort_keys=True): case[axis] for case in part.along(axis, quick)}
    own = [row for row in rows if (row["part"], row["way"]) == (name, way)]
    places = ((cases.get(json.dumps(row["case"], sort_keys=True)), row) for row in own)
    return dict(sorted((value, row) for value, row in places if value is not None))


def _beside_line(part: Part, case: Mapping[str, Any], ours: Row, other: Row, title: str) -> str:
    cells = [f"{part.title}, a {part.unit}", _case(case), *_figures(ours), title, *_figures(other)]
    if "cpu_s" in ours and "cpu_s" in other:
        cells.append(f"**{_times(ms_a_unit(other) / ms_a_unit(ours))}**")
        cells.append(_times(added_mb(other) / added_mb(ours)))
    else:
        cells += ["-", "-"]
    return f"| {' | '.join(cells)} |"


def _figures(row: Row) -> list[str]:
    if "cpu_s" not in row:
        return [row.get("failed", "-"), "-", "-"]
    low, high = (1000 * value / row["units"] for value in row["cpu_s_range"])
    spread = f" ({_ms(low)}-{_ms(high)})" if row["passes"] > 1 else ""
    return [f"{_ms(ms_a_unit(row))}{spread}", _ms(ms_a_unit(row, "wall_s")), f"{added_mb(row):,}"]


def _case(case: Mapping[str, Any]) -> str:
    words = {"size": "{} px", "classes": "{} classes", "shots": "{} labelled", "batch": "batches of {}"}
    words |= {"pictures": "{:,} there"}
    return ", ".join(words.get(name, "{}").format(value) for name, value in case.items())


def _grown(parts: Mapping[str, Part], rows: Sequence[Row], axis: str) -> Iterator[tuple[str, str, dict[int, Row]]]:
    for name, part in parts.items():
        for way in part.ways if axis in part.growth else ():
            points = along(part, name, rows, axis, way)
            if points:
                yield name, way, points


def _growth_line(part: Part, way: str, points: Mapping[int, Row], values: Sequence[int]) -> str:
    cells = []
    for value in values:
        row = points.get(value, {})
        cells.append(_ms(ms_a_unit(row)) if "cpu_s" in row else row.get("failed", "-").removesuffix(" of memory"))
    power = power_of(points)
    shown = "-" if power is None else f"{power:.1f}"
    return f"| {part.title} | {'ours' if way == OURS else part.ways[way]} | {' | '.join(cells)} | {shown} |"


def power_of(points: Mapping[int, Row]) -> float | None:
    """Of the last two values: by which power of them the CPU time grows; None with fewer."""
    known = [(value, ms_a_unit(row)) for value, row in points.items() if "cpu_s" in row]
    if len(known) < 2:
        return None
    (x0, y0), (x1, y1) = known[-2:]
    return math.log(y1 / y0) / math.log(x1 / x0)


def _ms(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _times(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _number(value: int) -> str:
    return f"{value:,}"
