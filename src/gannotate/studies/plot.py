"""A study's plots: means over an axis with bars from the smallest to the largest seed, as SVG and PNG bytes.

Where there is one figure for each name, the names stand below each other with a dot beside each: long ones stay
straight, and nothing has to be looked up in a legend.
"""

from __future__ import annotations

import io
import itertools
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure as Canvas
from matplotlib.transforms import ScaledTranslation

from gannotate.drawing import drawn_as_told
from gannotate.studies.documents import Scalar
from gannotate.studies.figure_scale import NOISE_LINES, mark_noise_below, mark_noise_beside, tells_noise, widen
from gannotate.studies.findings import Figure, Point
from gannotate.studies.frame import Frame
from gannotate.studies.looks import COLOURS, looks
from gannotate.studies.study import Plot
from gannotate.studies.tables import SHOWN, UNITS, named

PNG_DPI = 160
WIDTH_IN, HEIGHT_IN = 6.4, 4.0
"""Usual width; height of lines, without a legend below them."""
APART = 0.08
"""How far points of several series at one name are drawn apart."""
DODGE_PT, MOST_DODGE_PT, DODGE_MARGIN, POINTS_PER_INCH = 5.0, 30.0, 0.1, 72
"""How far on screen lines with bars over a scale are drawn apart, and the first from the last of many; what part of
the scale is left free for that at its ends."""
CAP_PT = 2
"""Half the width of a bar's ends: less than lines are apart."""

LEGEND_LETTERS, HANDLE_LETTERS, LEGEND_LINE_IN = 92, 7, 0.17
"""Characters that fit into a line of the legend below the plot, how many of them a line's mark takes, its height."""

LINE_IN, AROUND_IN, GAP = 0.19, 1.25, 0.7
"""Of a list of names: height of a line of text, of all that is not a name, and space between two names in lines."""
LETTERS = 36
"""Characters after which a name of a list goes on below."""


def draw(frame: Frame, plot: Plot, points: Sequence[Point]) -> dict[str, bytes]:
    """The plot as {"svg": ..., "png": ...}, each a file of its own. The same figures give the same SVG."""
    title = frame.title_of(plot)
    with drawn_as_told(frame.called + title):
        names = series_names(frame, plot, points)
        below = Legend.of(names, LEGEND_LETTERS) if names else None  # in the plot it would cover a line now and then
        height = height_in(frame, plot, points, HEIGHT_IN, LETTERS)
        height += below.lines * LEGEND_LINE_IN if below else 0.0
        canvas = Canvas(figsize=(WIDTH_IN, height), layout="constrained")
        axes = canvas.add_subplot()
        fill(axes, frame, plot, points)
        quick = ", quick form" if frame.quick else ""
        canvas.suptitle(f"{broken(title)}\n{frame.domain}{quick}\n{seeds_text(plot, points)}", fontsize=9.5)
        if below:
            below.add(canvas, axes, fontsize=8)
        return {"svg": saved(canvas, "svg"), "png": saved(canvas, "png")}


def broken(title: str) -> str:
    """A title in lines that fit above a plot."""
    return "\n".join(textwrap.wrap(title, LEGEND_LETTERS))


@dataclass(frozen=True)
class Legend:
    """A legend below a plot, no wider than it.

    names: of the lines, with line breaks where they are long. columns: beside each other. lines: of text, one below
    the other.
    """

    names: tuple[str, ...]
    columns: int
    lines: int

    @classmethod
    def of(cls, names: Sequence[str], letters: int) -> Legend:
        """Breaks `names` where one is longer than a line of `letters`, and sets as many beside each other as fit."""
        broken = ["\n".join(textwrap.wrap(name, letters - HANDLE_LETTERS)) for name in names]
        longest = max(len(line) for name in broken for line in name.split("\n")) + HANDLE_LETTERS
        columns = max(1, min(len(names), letters // longest))
        rows = -(-len(names) // columns)  # a column is filled before the next, and is as high as its names
        columns_of_names = [broken[start : start + rows] for start in range(0, len(broken), rows)]
        return cls(tuple(broken), columns, max(sum(name.count("\n") + 1 for name in one) for one in columns_of_names))

    def add(self, canvas: Canvas, axes: Any, **look: Any) -> None:
        """Puts it below `axes`, whose lines have labels."""
        handles = axes.get_legend_handles_labels()[0]
        canvas.legend(handles, self.names, loc="outside lower left", ncols=self.columns, frameon=False, **look)


def seeds_text(plot: Plot, points: Sequence[Point]) -> str:
    """What the bars are, or that there are none as there is one seed; and that some figures lack seeds."""
    figures = [point.figures[plot.measure] for point in points if point.figures[plot.measure].count]
    most = max((one.count for one in figures), default=0)
    least = min((one.count for one in figures if one.failed or one.not_run), default=most)
    return seeds_between(least, most, "bars")


def seeds_between(least: int, most: int, marks: str) -> str:
    """Over how many seeds means are, and that their `marks` are the spread; `least` is less where some lack seeds."""
    over = f"{least} to {most}" if least < most else f"{most}"
    told = f"mean of {over} seeds, {marks} from smallest to largest"
    return told if most > 1 else "one seed" if most else "no figures"


def fill(
    axes: Any, frame: Frame, plot: Plot, points: Sequence[Point], ink: str = "#000000", letters: int = LETTERS
) -> None:
    """Draws all but a title and a legend into `axes`; `ink` stands for black, `letters` fit before the drawing."""
    if is_list(frame, plot):
        _fill_list(axes, frame, plot, points, ink, letters)
    else:
        _fill_lines(axes, frame, plot, points, ink, letters)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def has_figures(frame: Frame, plot: Plot, points: Sequence[Point]) -> bool:
    """Whether there is anything to draw."""
    return any(True for _ in _series(frame, plot, points))


def is_list(frame: Frame, plot: Plot) -> bool:
    """Whether there is one figure for each name: series at the one value of x, or the names of x without series."""
    axis = frame.axes[plot.x]
    return bool(plot.series) if len(axis.values) == 1 else not axis.numeric and not plot.series


def height_in(frame: Frame, plot: Plot, points: Sequence[Point], usual: float, letters: int) -> float:
    """How high the drawing is to be, in inches: a list of names as high as these are, `usual` otherwise."""
    if not is_list(frame, plot):
        return usual
    found = _listed(frame, plot, points)
    noise = NOISE_LINES if tells_noise(frame.measures[plot.measure].format, [one for _, one in found]) else 0.0
    return AROUND_IN + LINE_IN * (noise + sum(_lines_of(name, letters) for name, _ in found))


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


def _fill_list(axes: Any, frame: Frame, plot: Plot, points: Sequence[Point], ink: str, letters: int) -> None:
    found = _listed(frame, plot, points)
    figures, form = [figure for _, figure in found], frame.measures[plot.measure].format
    heights = [_lines_of(name, letters) for name, _ in found]
    y = [before + own / 2 for before, own in zip(itertools.accumulate([0.0, *heights]), heights, strict=False)]
    means, bars = _means_and_bars(figures)
    axes.errorbar(means, y, xerr=bars, fmt="o", ms=6, capsize=3, ls="none", color=COLOURS[0])
    widen(axes, form, "x")
    ends = [mean + above for mean, above in zip(means, bars[1], strict=True)] if bars else means
    for mean, end, own in zip(means, ends, y, strict=True):
        look = {"textcoords": "offset points", "annotation_clip": False, "fontsize": "small", "color": ink}
        axes.annotate(SHOWN[form](mean), (end, own), (6, 1), va="bottom", **look)
    axes.set_yticks(y, ["\n".join(textwrap.wrap(name, letters)) for name, _ in found])
    lowest = max(sum(heights), 1.0)
    if noise := tells_noise(form, figures):
        mark_noise_below(axes, lowest, ink)
    axes.set_ylim(lowest + (NOISE_LINES if noise else 0.0), 0)  # the first name on top
    axis = frame.axes[plot.x]
    at = f", {named(plot.x, axis, axis.values[0])}" if plot.series else ""
    axes.set_xlabel(f"{_measure(frame, plot)}{at}")
    axes.tick_params(axis="y", length=0)
    axes.grid(alpha=0.25, linewidth=0.6)


def _fill_lines(axes: Any, frame: Frame, plot: Plot, points: Sequence[Point], ink: str, letters: int) -> None:
    lines, numeric = list(_series(frame, plot, points)), frame.axes[plot.x].numeric
    along = [_along(frame, plot, points, at) for _, at in lines]
    styles, drawn = looks(frame, plot.series, [at for _, at in lines], ink), []
    for number, ((name, _), own, look) in enumerate(zip(lines, along, styles, strict=True)):
        aside = 0.0 if numeric else APART * (number - (len(lines) - 1) / 2)
        drawn.append(_line(axes, frame, plot, own, aside, look | {"label": name}))
    figures, form = [figure for own in along for _, figure in own], frame.measures[plot.measure].format
    if numeric and any(one.count > 1 for one in figures):
        _dodge(axes, drawn)
    widen(axes, form)
    _dress(axes, frame, plot, letters)
    if tells_noise(form, figures):
        mark_noise_beside(axes, ink)


def _dodge(axes: Any, lines: Sequence[Any]) -> None:
    """Draws lines beside each other on screen, as their bars would lie on each other; what they are at stays."""
    step = min(DODGE_PT, MOST_DODGE_PT / max(len(lines) - 1, 1))
    axes.margins(x=DODGE_MARGIN)
    for number, line in enumerate(lines):
        inches = step * (number - (len(lines) - 1) / 2) / POINTS_PER_INCH
        aside = ScaledTranslation(inches, 0, axes.figure.dpi_scale_trans)
        for artist in line.get_children():
            artist.set_transform(axes.transData + aside)


def _line(
    axes: Any, frame: Frame, plot: Plot, found: Sequence[tuple[Scalar, Figure]], aside: float, look: dict[str, Any]
) -> Any:
    """Means with a bar from the smallest to the largest seed, where there are several; names are not joined."""
    places = _places(frame, plot)
    x = [places[str(value)] + aside for value, _ in found]
    means, bars = _means_and_bars([figure for _, figure in found])
    joined = look["ls"] if frame.axes[plot.x].numeric else "none"
    return axes.errorbar(x, means, bars, ms=5, capsize=CAP_PT, **(look | {"ls": joined}))


def _means_and_bars(figures: Sequence[Figure]) -> tuple[list[float], list[list[float]] | None]:
    """The means, and how far the smallest and the largest seed are from them; None where all have one seed."""
    means = [one.mean or 0.0 for one in figures]
    # a mean of what is the same three times may be a bit more or less than that
    below = [max(0.0, mean - (one.least or 0.0)) for mean, one in zip(means, figures, strict=True)]
    above = [max(0.0, (one.most or 0.0) - mean) for mean, one in zip(means, figures, strict=True)]
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
    wanted = {axis: str(value) for axis, value in {**plot.where, **at}.items()}
    own = [point for point in points if all(str(point.at[axis]) == value for axis, value in wanted.items())]
    found = [(point.at[plot.x], point.figures[plot.measure]) for point in own]
    return sorted((one for one in found if one[1].mean is not None), key=lambda one: order.index(one[0]))


def _places(frame: Frame, plot: Plot) -> dict[str, float]:
    """Where each value of the axis is drawn: at itself, or one after the other when it is no number."""
    axis = frame.axes[plot.x]
    if axis.numeric:
        return {str(value.value): float(value.value) for value in axis.values}
    return {str(value.value): float(place) for place, value in enumerate(axis.values)}


def _dress(axes: Any, frame: Frame, plot: Plot, letters: int) -> None:
    axis = frame.axes[plot.x]
    if plot.scale == "log" and axis.numeric:
        axes.set_xscale("log")
        axes.minorticks_off()
    places, shown = list(_places(frame, plot).values()), [value.shown for value in axis.values]
    axes.set_xticks(places)
    shown, turned = (_apart(axes, places, shown, letters), False) if axis.numeric else _fitted(shown, letters)
    axes.set_xticks(places, shown, rotation=25 if turned else 0, ha="right" if turned else "center")
    if not axis.numeric:
        axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_xlabel(axis.title or plot.x)
    axes.set_ylabel(_measure(frame, plot))
    axes.grid(alpha=0.25, linewidth=0.6)


def _apart(axes: Any, places: Sequence[float], names: Sequence[str], letters: int) -> list[str]:
    """Names of numbers that stand at their places below a drawing; none for one that would run into that before it.

    Args:
        letters: that fit before the drawing; twice as many fit below it.
    """
    axes.get_xlim()  # brings the limits up to date
    x = (axes.transData - axes.transAxes).transform([(place, 1.0) for place in places])[:, 0]
    found, end = dict.fromkeys(places, ""), float("-inf")
    for middle, place, name in sorted(zip(x, places, names, strict=True)):
        half = (len(name) + 1) / 2 / (2 * letters)
        if middle - half >= end:
            found[place], end = name, middle + half
    return list(found.values())


def _fitted(names: Sequence[str], letters: int) -> tuple[list[str], bool]:
    """Names to stand side by side below a drawing, on several lines where that helps, or turned where it does not.

    Args:
        letters: that fit before the drawing; twice as many fit below it.
    """
    room = 2 * letters // len(names)
    if any(len(word) > room for name in names for word in name.split()):
        return list(names), True
    return ["\n".join(textwrap.wrap(name, room)) for name in names], False


def _measure(frame: Frame, plot: Plot) -> str:
    """The measure's title and unit."""
    measure = frame.measures[plot.measure]
    unit = UNITS.get(measure.format)
    return f"{measure.title or plot.measure}{f', {unit}' if unit else ''}"


def saved(canvas: Canvas, kind: str) -> bytes:
    """The drawing as SVG or PNG, without when it was made."""
    buffer = io.BytesIO()
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    canvas.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=metadata)
    return buffer.getvalue()
