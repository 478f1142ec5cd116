"""A study's plots: means over an axis with bars from the smallest to the largest seed, as SVG and PNG bytes."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure as Canvas

from gannotate.studies.documents import Scalar
from gannotate.studies.findings import Figure, Point
from gannotate.studies.frame import Frame
from gannotate.studies.study import Format, Plot

COLOURS = (
    "#2f7ed8", "#d9822b", "#3fa34d", "#a357c8", "#c23b4b", "#17a2a2", "#8c6d46", "#6b7280", "#b0a000", "#d45fa0",
    "#5566bb", "#7cb342", "#000000",
)  # fmt: skip
MARKERS = "os^Dv<>PX*hd"
"""Colours and marks of the lines: told apart without colours too."""

AXIS_NAMES: dict[Format, str] = {"seconds": "s", "mb": "MB"}
PNG_DPI = 160
MOST_INSIDE, APART = 5, 0.08
"""Lines whose legend fits into the plot; how far points of several series at one name are drawn apart."""


def draw(frame: Frame, plot: Plot, points: Sequence[Point]) -> dict[str, bytes]:
    """The plot as {"svg": ..., "png": ...}, each a file of its own. The same figures give the same SVG."""
    title = plot.title or frame.title
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": frame.called + title, "font.size": 9}
    with rc_context(settings):
        outside = len(series_names(frame, plot, points)) > MOST_INSIDE
        canvas = Canvas(figsize=(8.4 if outside else 6.4, 4.0), layout="constrained")
        axes = canvas.add_subplot()
        fill(axes, frame, plot, points)
        axes.set_title(f"{title}\n{frame.domain}{', quick form' if frame.quick else ''}", fontsize=9.5)
        if plot.series and axes.get_legend_handles_labels()[0]:
            where: Any = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if outside else {}
            axes.legend(frameon=False, fontsize=8, **where)
        return {"svg": _saved(canvas, "svg"), "png": _saved(canvas, "png")}


def fill(axes: Any, frame: Frame, plot: Plot, points: Sequence[Point], ink: str = "#000000") -> None:
    """Draws the lines, the scale and their names into `axes`, without a title and a legend; `ink` stands for black."""
    lines = list(_series(frame, plot, points))
    for number, (name, at) in enumerate(lines):
        aside = 0.0 if frame.axes[plot.x].numeric else APART * (number - (len(lines) - 1) / 2)
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        look = {"color": colour.replace("#000000", ink), "fmt": marker, "label": name}
        _line(axes, frame, plot, _along(frame, plot, points, at), aside, look)
    _dress(axes, frame, plot)


def series_names(frame: Frame, plot: Plot, points: Sequence[Point]) -> list[str]:
    """How the plot's lines are called, in their order."""
    return [name for name, _ in _series(frame, plot, points)]


def _line(
    axes: Any, frame: Frame, plot: Plot, found: Sequence[tuple[Scalar, Figure]], aside: float, look: dict[str, Any]
) -> None:
    """Means with a bar from the smallest to the largest seed, where there are several; names are not joined."""
    places = _places(frame, plot)
    x = [places[str(value)] + aside for value, _ in found]
    means = [one.mean or 0.0 for _, one in found]
    below = [mean - (one.least or 0.0) for mean, (_, one) in zip(means, found, strict=True)]
    above = [(one.most or 0.0) - mean for mean, (_, one) in zip(means, found, strict=True)]
    bars = [below, above] if any(one.count > 1 for _, one in found) else None
    axes.errorbar(x, means, bars, ls="-" if frame.axes[plot.x].numeric else "none", ms=5, capsize=3, **look)


def _series(frame: Frame, plot: Plot, points: Sequence[Point]) -> Iterator[tuple[str, dict[str, Scalar]]]:
    """Name and place of each line, in the order of the axes; only those that have a figure."""
    axes = [frame.axes[name] for name in plot.series]
    for values in itertools.product(*(axis.values for axis in axes)):
        at = {name: value.value for name, value in zip(plot.series, values, strict=True)}
        if _along(frame, plot, points, at):
            yield ", ".join(value.shown for value in values), at


def _along(frame: Frame, plot: Plot, points: Sequence[Point], at: Mapping[str, Scalar]) -> list[tuple[Scalar, Figure]]:
    """The points of one line that have a mean, along the axis of the plot."""
    order = [value.value for value in frame.axes[plot.x].values]
    own = [point for point in points if all(point.at[axis] == value for axis, value in at.items())]
    found = [(point.at[plot.x], point.figures[plot.measure]) for point in own]
    return sorted((one for one in found if one[1].mean is not None), key=lambda one: order.index(one[0]))


def _places(frame: Frame, plot: Plot) -> dict[str, float]:
    """Where each value of the axis is drawn: at itself, or one after the other when it is no number."""
    axis = frame.axes[plot.x]
    if axis.numeric:
        return {str(value.value): float(value.value) for value in axis.values}
    return {str(value.value): float(place) for place, value in enumerate(axis.values)}


def _dress(axes: Any, frame: Frame, plot: Plot) -> None:
    axis, measure = frame.axes[plot.x], frame.measures[plot.measure]
    if plot.scale == "log" and axis.numeric:
        axes.set_xscale("log")
        axes.minorticks_off()
    places = list(_places(frame, plot).values())
    turned = not axis.numeric and max(len(value.shown) for value in axis.values) > 8
    axes.set_xticks(
        places, [value.shown for value in axis.values], rotation=25 if turned else 0, ha="right" if turned else "center"
    )
    if not axis.numeric:
        axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_xlabel(axis.title or plot.x)
    unit = AXIS_NAMES.get(measure.format)
    axes.set_ylabel(f"{measure.title or plot.measure}{f', {unit}' if unit else ''}")
    axes.grid(alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _saved(canvas: Canvas, kind: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    canvas.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=metadata)
    return buffer.getvalue()
