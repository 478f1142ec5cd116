"""Loss curves as SVG text that takes its colours and letters from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

INK = "#010203"
"""Stands for the page's text colour, which differs between light and dark."""

LINE_COLOURS = ("#2f7ed8", "#d9822b", "#3fa34d", "#a357c8")


def curve_svg(rows: Sequence[Mapping[str, Any]], names: Sequence[str], title: str) -> str:
    """An inline SVG of the columns `names` of a training log over its steps; logarithmic when all are positive.

    Args:
        rows: a log.jsonl's rows, each with "step". title: names the drawing for those who cannot see it.
    """
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": title,
        "font.size": 9,
        "font.family": "sans-serif",
    }
    with rc_context(settings):
        figure = Figure(figsize=(4.6, 2.5), layout="constrained")
        axes = figure.add_subplot()
        for name, colour in zip(names, LINE_COLOURS, strict=False):
            points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
            axes.plot(
                [x for x, _ in points], [y for _, y in points], color=colour, marker=".", linewidth=1.8, label=name
            )
        _dress(axes, [row[name] for row in rows for name in names if row.get(name) is not None])
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _inline(buffer.getvalue(), title)


def _dress(axes: Any, values: list[float]) -> None:
    if values and min(values) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:.0e}"[0] in "235" else "")
    axes.set_xlabel("step", color=INK)
    axes.tick_params(which="both", colors=INK)
    axes.grid(alpha=0.25, color=INK, linewidth=0.6)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    axes.legend(frameon=False, labelcolor=INK)


def _inline(svg: str, title: str) -> str:
    # no XML header, document type or metadata: they name addresses, and have no place inside a page
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font: ([\d.]+)px[^;\"]*", r"font: \1px inherit; font-family: inherit", svg)
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escaped}" ', 1)
