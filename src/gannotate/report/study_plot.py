"""A study's plots in a page: narrow enough for a phone, in the page's own colour and letters, the legend below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from gannotate.report.plots import INK, dress, inline_svg, svg_settings, svg_text
from gannotate.studies.curve_plot import fill_curve, line_names
from gannotate.studies.curves import DrawnCurve
from gannotate.studies.findings import Point
from gannotate.studies.frame import Frame
from gannotate.studies.plot import Legend, fill, height_in, series_names
from gannotate.studies.study import Plot

WIDTH_IN, HEIGHT_IN, LEGEND_LINE_IN = 4.6, 2.9, 0.2
LETTERS_PT, SMALL_PT = 11.0, 9.0
"""Large for this width, as a phone shows the drawing at two thirds; of figures and marks inside it."""

LONG, LEGEND_LETTERS = 20, 58
"""Characters from which a name of a list goes on below; of a line of the legend."""


def plot_svg(frame: Frame, plot: Plot, points: Sequence[Point], title: str) -> str:
    """An inline SVG of means with bars from the smallest to the largest seed; `title` for those who cannot see it."""
    names = series_names(frame, plot, points)
    legend = Legend.of(names, LEGEND_LETTERS) if names else None
    legend_in = LEGEND_LINE_IN * legend.lines + 0.1 if legend else 0.0
    height = height_in(frame, plot, points, HEIGHT_IN, LONG) + legend_in
    with svg_settings(f"{frame.called} {title} {plot.x} {plot.measure}"):
        figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
        axes = figure.add_subplot()
        fill(axes, frame, plot, points, INK, LONG)
        _letters(axes)
        if legend:
            legend.add(figure, axes, labelcolor=INK, fontsize=LETTERS_PT - 1)
        return inline_svg(svg_text(figure), title)


def curve_svg(frame: Frame, drawn: DrawnCurve, title: str) -> str:
    """An inline SVG of mean lines over steps, with a band from the smallest to the largest seed."""
    names = line_names(frame, drawn)
    legend = Legend.of(names, LEGEND_LETTERS) if names else None
    height = HEIGHT_IN + (LEGEND_LINE_IN * legend.lines + 0.1 if legend else 0.0)
    with svg_settings(f"{frame.called} {title} curve"):
        figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
        axes = figure.add_subplot()
        fill_curve(axes, frame, drawn, INK)
        _letters(axes)
        if legend:
            legend.add(figure, axes, labelcolor=INK, fontsize=LETTERS_PT - 1)
        return inline_svg(svg_text(figure), title)


def _letters(axes: Any) -> None:
    dress(axes, axes.get_xlabel())
    axes.yaxis.label.set_color(INK)
    for item in (axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()):
        item.set_fontsize(LETTERS_PT)
    for item in axes.texts:
        item.set_fontsize(SMALL_PT)
