"""Loss curves and reliability plots as SVG text that takes its colours and letters from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from gannotate.drawing import drawn_as_told

INK = "#010203"
"""Stands for the page's text colour, which differs between light and dark."""

CURVE_IN, SCATTER_IN = (3.7, 2.3), (4.2, 2.8)
"""Sizes of the drawings, in inches: as wide as a page shows them, so that letters stay as large as they are."""

POINT_PT2, MOST_TICKS = 36, 4
"""Area of one of many points, large enough for a phone that shows the drawing at two thirds; ticks an axis, but one."""

FEW_PX = 100
"""Fewer pixels tell little of how often such ones are right."""

LINE_COLOURS = ("#2f7ed8", "#d9822b", "#3fa34d", "#a357c8")


def curve_svg(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], title: str, up: str = "", linear: bool = False
) -> str:
    """An inline SVG of the columns `names` of a training log over its steps; logarithmic when all are positive.

    Args:
        rows: a log.jsonl's rows, each with "step". title: names the drawing for those who cannot see it.
        up: what the vertical axis shows. linear: never logarithmic, for fractions.
    """
    with svg_settings(title):
        figure = Figure(figsize=CURVE_IN, layout="constrained")
        axes = figure.add_subplot()
        for name, colour in zip(names, LINE_COLOURS, strict=False):
            points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
            axes.plot(
                [x for x, _ in points], [y for _, y in points], color=colour, marker=".", linewidth=1.8, label=name
            )
        if not linear:
            _scale(axes, [row[name] for row in rows for name in names if row.get(name) is not None])
        logarithmic = ", logarithmic" if up and axes.get_yscale() == "log" else ""
        axes.set_ylabel(f"{up}{logarithmic}", color=INK)
        dress(axes, "step")
        if len(names) > 1:
            axes.legend(frameon=False, labelcolor=INK)
        return inline_svg(svg_text(figure), title)


def scatter_svg(x: Sequence[float], y: Sequence[float], across: str, up: str, title: str) -> str:
    """An inline SVG of points, fractions both ways; `title` names the drawing for those who cannot see it."""
    with svg_settings(title):
        figure = Figure(figsize=SCATTER_IN, layout="constrained")
        axes = figure.add_subplot()
        axes.scatter(x, y, s=POINT_PT2, color=LINE_COLOURS[0], alpha=0.6, linewidths=0)
        axes.locator_params(nbins=MOST_TICKS)  # a narrow range has labels of many digits
        axes.ticklabel_format(useOffset=False)  # .9970, not a +.9965 aside that a reader must add
        axes.set_ylabel(up, color=INK)
        dress(axes, across)
        return inline_svg(svg_text(figure), title)


def reliability_svg(calibration: Mapping[str, Any], standalone: bool = False) -> str:
    """Accuracy over confidence in bins (see `Reliability.as_dict`), the share of pixels below; the diagonal is ideal.

    A bin without pixels has no bar, one with few a pale one.

    `standalone`: black on white, a file of its own, rather than in a page's colours.
    """
    title = f"Reliability; expected calibration error {calibration['ece']:.3f}"
    bins = len(calibration["count"])
    edges = [(index + 0.5) / bins for index in range(bins)]
    share = [count / sum(calibration["count"]) for count in calibration["count"]]
    with svg_settings(title):
        figure = Figure(figsize=(3.6, 3.6), layout="constrained")
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        axes.plot([0, 1], [0, 1], color=INK, alpha=0.5, linestyle="--", linewidth=1)
        for edge, count, accuracy in zip(edges, calibration["count"], calibration["accuracy"], strict=True):
            if accuracy is not None:
                axes.bar(edge, accuracy, 0.9 / bins, color=LINE_COLOURS[0], alpha=1.0 if count >= FEW_PX else 0.35)
        below.bar(edges, share, 0.9 / bins, color=LINE_COLOURS[1])
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.set_ylabel("accuracy", color=INK)
        below.set_ylabel("share of\npixels", color=INK)
        dress(axes, "")
        dress(below, "confidence")
        svg = svg_text(figure)
    svg = inline_svg(svg, title)
    if not standalone:
        return svg
    svg = svg.replace("currentColor", "#000000").replace("font-family: inherit", "font-family: sans-serif")
    return svg.replace("<svg ", '<svg style="background: #fff" ', 1)


def svg_settings(title: str) -> Any:
    """The same drawing gives the same text, and its letters stay letters."""
    return drawn_as_told(title, font_family="sans-serif")


def svg_text(figure: Figure) -> str:
    """The figure as an SVG file, the same text for the same drawing."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def _scale(axes: Any, values: list[float]) -> None:
    if values and min(values) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:.0e}"[0] in "235" else "")


def dress(axes: Any, below: str) -> None:
    """Axes, ticks and grid in the page's ink; `below` names the horizontal axis."""
    axes.set_xlabel(below, color=INK)
    axes.tick_params(which="both", colors=INK)
    axes.grid(alpha=0.25, color=INK, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)


def inline_svg(svg: str, title: str) -> str:
    """The drawing as it stands in a page: its ink in the page's colour, its letters in the page's font."""
    # no XML header, document type or metadata: they name addresses, and have no place inside a page
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font: ([\d.]+)px[^;\"]*", r"font: \1px inherit; font-family: inherit", svg)
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escaped}" ', 1)
