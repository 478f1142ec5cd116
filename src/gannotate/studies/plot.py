"""A study's plots: means over an axis with bars from the smallest to the largest seed, as SVG and PNG bytes.

Where there is one figure for each name, the names stand below each other with a dot beside each: long ones stay
straight, and nothing has to be looked up in a legend.
"""

from __future__ import annotations

import io
import itertools
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure as Canvas

from gannotate.studies.documents import Scalar
from gannotate.studies.findings import Figure, Point
from gannotate.studies.frame import Frame
from gannotate.studies.study import Plot
from gannotate.studies.tables import UNITS, named

COLOURS = (
    "#2f7ed8", "#d9822b", "#3fa34d", "#a357c8", "#c23b4b", "#17a2a2", "#8c6d46", "#6b7280", "#b0a000", "#d45fa0",
    "#5566bb", "#7cb342", "#000000",
)  # fmt: skip
MARKERS = "os^Dv<>PX*hd"
"""Colours and marks of the lines: told apart without colours too."""

PNG_DPI = 160
WIDTH_IN, OUTSIDE_IN, HEIGHT_IN = 6.4, 8.4, 4.0
"""Usual width, width with the legend outside, height of lines."""
MOST_INSIDE, APART = 5, 0.08
"""Lines whose legend fits into the plot; how far points of several series at one name are drawn apart."""

LINE_IN, AROUND_IN, GAP = 0.19, 1.25, 0.7
"""Of a list of names: height of a line of text, of all that is not a name, and space between two names in lines."""
LETTERS = 36
"""Characters after which a name of a list goes on below."""


def draw(frame: Frame, plot: Plot, points: Sequence[Point]) -> dict[str, bytes]:
    """The plot as {"svg": ..., "png": ...}, each a file of its own. The same figures give the same SVG."""
    title = plot.title or frame.title
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": frame.called + title, "font.size": 9}
    with rc_context(settings):
        lines = len(series_names(frame, plot, points))
        size = OUTSIDE_IN if lines > MOST_INSIDE else WIDTH_IN, height_in(frame, plot, points, HEIGHT_IN, LETTERS)
        canvas = Canvas(figsize=size, layout="constrained")
        axes = canvas.add_subplot()
        fill(axes, frame, plot, points)
        axes.set_title(f"{title}\n{frame.domain}{', quick form' if frame.quick else ''}", fontsize=9.5)
        if lines:
            where: Any = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if lines > MOST_INSIDE else {}
            axes.legend(frameon=False, fontsize=8, **where)
        return {"svg": _saved(canvas, "svg"), "png": _saved(canvas, "png")}


def fill(
    axes: Any, frame: Frame, plot: Plot, points: Sequence[Point], ink: str = "#000000", letters: int = LETTERS
) -> None:
    """Draws all but a title and a legend into `axes`; `ink` stands for black, `letters` fit before the drawing."""
    if is_list(frame, plot):
        _fill_list(axes, frame, plot, points, letters)
    else:
        _fill_lines(axes, frame, plot, points, ink)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def is_list(frame: Frame, plot: Plot) -> bool:
    """Whether there is one figure for each name: series at the one value of x, or the names of x without series."""
    axis = frame.axes[plot.x]
    return bool(plot.series) if len(axis.values) == 1 else not axis.numeric and not plot.series


def height_in(frame: Frame, plot: Plot, points: Sequence[Point], usual: float, letters: int) -> float:
    """How high the drawing is to be, in inches: a list of names as high as these are, `usual` otherwise."""
    if not is_list(frame, plot):
        return usual
    return AROUND_IN + LINE_IN * sum(_lines_of(name, letters) for name, _ in _listed(frame, plot, points))


def series_names(frame: Frame, plot: Plot, points: Sequence[Point]) -> list[str]:
    """How the lines are called in the legend, in their order; none where there is nothing to tell apart."""
    return [name for name, _ in _series(frame, plot, points)] if plot.series and not is_list(frame, plot) else []


def _listed(frame: Frame, plot: Plot, points: Sequence[Point]) -> list[tuple[str, Figure]]:
    """The names of a list that have a figure, and these."""
    if plot.series:
        return [(name, _along(frame, plot, points, at)[0][1]) for name, at in _series(frame, plot, points)]
    axis = frame.axes[plot.x]
    return [(axis.find(value).shown, figure) for value, figure in _along(frame, plot, points, {})]


def _lines_of(name: str, letters: int) -> float:
    return len(textwrap.wrap(name, letters)) + GAP


def _fill_list(axes: Any, frame: Frame, plot: Plot, points: Sequence[Point], letters: int) -> None:
    found = _listed(frame, plot, points)
    heights = [_lines_of(name, letters) for name, _ in found]
    y = [before + own / 2 for before, own in zip(itertools.accumulate([0.0, *heights]), heights, strict=False)]
    means, bars = _means_and_bars([figure for _, figure in found])
    axes.errorbar(means, y, xerr=bars, fmt="o", ms=6, capsize=3, ls="none", color=COLOURS[0])
    axes.set_yticks(y, ["\n".join(textwrap.wrap(name, letters)) for name, _ in found])
    axes.set_ylim(max(sum(heights), 1.0), 0)  # the first name on top
    axis = frame.axes[plot.x]
    at = f", {named(plot.x, axis, axis.values[0])}" if plot.series else ""
    axes.set_xlabel(f"{_measure(frame, plot)}{at}")
    axes.tick_params(axis="y", length=0)
    axes.grid(alpha=0.25, linewidth=0.6)


def _fill_lines(axes: Any, frame: Frame, plot: Plot, points: Sequence[Point], ink: str) -> None:
    lines = list(_series(frame, plot, points))
    for number, (name, at) in enumerate(lines):
        aside = 0.0 if frame.axes[plot.x].numeric else APART * (number - (len(lines) - 1) / 2)
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        look = {"color": colour.replace("#000000", ink), "fmt": marker, "label": name}
        _line(axes, frame, plot, _along(frame, plot, points, at), aside, look)
    _dress(axes, frame, plot)


def _line(
    axes: Any, frame: Frame, plot: Plot, found: Sequence[tuple[Scalar, Figure]], aside: float, look: dict[str, Any]
) -> None:
    """Means with a bar from the smallest to the largest seed, where there are several; names are not joined."""
    places = _places(frame, plot)
    x = [places[str(value)] + aside for value, _ in found]
    means, bars = _means_and_bars([figure for _, figure in found])
    axes.errorbar(x, means, bars, ls="-" if frame.axes[plot.x].numeric else "none", ms=5, capsize=3, **look)


def _means_and_bars(figures: Sequence[Figure]) -> tuple[list[float], list[list[float]] | None]:
    """The means, and how far the smallest and the largest seed are from them; None where all have one seed."""
    means = [one.mean or 0.0 for one in figures]
    below = [mean - (one.least or 0.0) for mean, one in zip(means, figures, strict=True)]
    above = [(one.most or 0.0) - mean for mean, one in zip(means, figures, strict=True)]
    return means, [below, above] if any(one.count > 1 for one in figures) else None


def _series(frame: Frame, plot: Plot, points: Sequence[Point]) -> Iterator[tuple[str, dict[str, Scalar]]]:
    """Name and place of each line, in the order of the axes; only those that have a figure."""
    axes = {name: frame.axes[name] for name in plot.series}
    for values in itertools.product(*(axis.values for axis in axes.values())):
        at = {name: value.value for name, value in zip(axes, values, strict=True)}
        if _along(frame, plot, points, at):
            own = zip(axes.items(), values, strict=True)
            yield ", ".join(named(name, axis, value) for (name, axis), value in own), at


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
    axis = frame.axes[plot.x]
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
    axes.set_ylabel(_measure(frame, plot))
    axes.grid(alpha=0.25, linewidth=0.6)


def _measure(frame: Frame, plot: Plot) -> str:
    """The measure's title and unit."""
    measure = frame.measures[plot.measure]
    unit = UNITS.get(measure.format)
    return f"{measure.title or plot.measure}{f', {unit}' if unit else ''}"


def _saved(canvas: Canvas, kind: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    canvas.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=metadata)
    return buffer.getvalue()
