"""The benchmark's plots: along each axis a panel for every part, ours beside the other ways, on logarithmic scales."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from parts import OURS, Part
from tables import AXES, Row, added_mb, along, last_run, ms_a_unit

from gannotate.studies.looks import COLOURS, MARKERS

COLUMNS, DPI = 4, 110
WAYS = {OURS: "ours", "naive": "the naive way (see the table)", "official": "stylegan2-ada-pytorch"}
"""Names in the legend; every other way is a naive one."""

MEASURES: dict[str, tuple[str, Callable[[Row], float]]] = {
    "": ("CPU ms", ms_a_unit),
    "-memory": ("MB added", added_mb),
}


def figures_of(parts: Mapping[str, Part], rows: Sequence[Row]) -> dict[str, bytes]:
    """PNG files by name: size, size-memory, classes, ... as far as there is something along the axis."""
    own = last_run(rows)
    made = {}
    for axis in AXES:
        shown = {name: part for name, part in parts.items() if axis in part.growth and _points(part, name, own, axis)}
        for ending, (label, measure) in MEASURES.items() if shown else ():
            made[f"{axis}{ending}"] = _figure(shown, own, axis, label, measure)
    return made


def _points(part: Part, name: str, rows: Sequence[Row], axis: str) -> dict[str, dict[int, Row]]:
    """The rows along an axis by way, ways without any left out."""
    found = {way: along(part, name, rows, axis, way) for way in part.ways}
    return {way: points for way, points in found.items() if points}


def _figure(
    parts: Mapping[str, Part], rows: Sequence[Row], axis: str, label: str, measure: Callable[[Row], float]
) -> bytes:
    columns = min(COLUMNS, math.ceil(len(parts) ** 0.5))
    lines = -(-len(parts) // columns)
    settings: Any = {"font.size": 8}
    with rc_context(settings):
        figure = Figure(figsize=(2.7 * columns, 2.4 * lines + 0.5), layout="constrained")
        panels = figure.subplots(lines, columns, squeeze=False).flatten()
        entries: dict[str, Any] = {}
        for panel, (name, part) in zip(panels, parts.items(), strict=False):
            for way, points in _points(part, name, rows, axis).items():
                entries |= _line(panel, way, points, measure)
            _dress(panel, part, name, rows, axis, label)
        for panel in panels[len(parts) :]:
            panel.set_visible(False)
        order = sorted(entries, key=list(WAYS.values()).index)
        figure.legend([entries[one] for one in order], order, loc="outside lower center", ncols=3, frameon=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        return buffer.getvalue()


def _line(panel: Any, way: str, points: Mapping[int, Row], measure: Callable[[Row], float]) -> dict[str, Any]:
    """Draws a way; gives its legend entry."""
    title = WAYS.get(way, WAYS["naive"])
    place = list(WAYS.values()).index(title)
    known = {value: measure(row) for value, row in points.items() if "cpu_s" in row}
    if not known:
        return {}
    (line,) = panel.plot(
        list(known),
        list(known.values()),
        color=COLOURS[place],
        marker=MARKERS[place],
        ms=4,
        lw=1.6 if not place else 1.2,
    )
    return {title: line}


def _dress(panel: Any, part: Part, name: str, rows: Sequence[Row], axis: str, label: str) -> None:
    panel.set_title(part.title, fontsize=8)
    panel.set_xscale("log", base=10 if axis == "pictures" else 2)
    panel.set_yscale("log")
    values = part.along(axis, bool(rows[-1]["quick"]))
    ticks = [case[axis] for case in values]
    panel.set_xticks(ticks, [f"$10^{len(str(tick)) - 1}$" if axis == "pictures" else str(tick) for tick in ticks])
    panel.set_xlim(ticks[0] / 1.3, ticks[-1] * 1.3)
    low, high = panel.dataLim.intervaly
    if 0 < low <= high:  # whole decades: what does not grow looks so
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        panel.set_ylim(10**first / 1.1, 10 ** max(last, first + 1) * 1.1)
    panel.set_xlabel(AXES[axis])
    panel.set_ylabel(label if label.startswith("MB") else f"{label} a {part.unit}")
    failed = [
        f"{'ours' if way == OURS else 'naive'} at {value}: {row['failed'].removesuffix(' of memory')}"
        for way, points in _points(part, name, rows, axis).items()
        for value, row in points.items()
        if "failed" in row and not row["failed"].startswith("not tried")
    ]
    panel.text(0.97, 0.03, "\n".join(failed), transform=panel.transAxes, ha="right", fontsize=6.5, color="#555555")
    panel.minorticks_off()
    panel.grid(alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
