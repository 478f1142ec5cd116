"""A study's curves drawn: mean lines over steps, with a band from the smallest to the largest seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure as Canvas

from gannotate.drawing import drawn_as_told
from gannotate.studies.curves import DrawnCurve, means
from gannotate.studies.documents import Scalar
from gannotate.studies.figure_scale import widen
from gannotate.studies.frame import Frame
from gannotate.studies.looks import looks
from gannotate.studies.plot import (
    HEIGHT_IN,
    LEGEND_LETTERS,
    LEGEND_LINE_IN,
    WIDTH_IN,
    Legend,
    broken,
    saved,
    seeds_between,
)
from gannotate.studies.tables import UNITS, named

BAND_ALPHA = 0.15

WRITTEN = {"miou": "mIoU", "iou": "IoU", "fg": "foreground"}
"""Words of a log's fields that are written otherwise."""


def draw_curve(frame: Frame, drawn: DrawnCurve) -> dict[str, bytes]:
    """The curve as {"svg": ..., "png": ...}, each a file of its own. The same figures give the same SVG."""
    title = drawn.curve.title
    with drawn_as_told(f"{frame.called} {title} curve"):
        names = line_names(frame, drawn)
        below = Legend.of(names, LEGEND_LETTERS) if names else None
        height = HEIGHT_IN + (below.lines * LEGEND_LINE_IN if below else 0.0)
        canvas = Canvas(figsize=(WIDTH_IN, height), layout="constrained")
        axes = canvas.add_subplot()
        fill_curve(axes, frame, drawn)
        quick = ", quick form" if frame.quick else ""
        canvas.suptitle(f"{broken(title)}\n{frame.domain}{quick}\n{curve_seeds_text(drawn)}", fontsize=9.5)
        if below:
            below.add(canvas, axes, fontsize=8)
        return {"svg": saved(canvas, "svg"), "png": saved(canvas, "png")}


def line_names(frame: Frame, drawn: DrawnCurve) -> list[str]:
    """How the lines are called in the legend; none where there is nothing to tell apart."""
    return [_name(frame, drawn.curve.series, mean.at) for mean in means(drawn)] if drawn.curve.series else []


def fill_curve(axes: Any, frame: Frame, drawn: DrawnCurve, ink: str = "#000000") -> None:
    """Draws all but a title and a legend into `axes`; `ink` stands for black."""
    curve, found = drawn.curve, means(drawn)
    for mean, look in zip(found, looks(frame, curve.series, [mean.at for mean in found], ink), strict=True):
        x, label = [one.x for one in mean.stops], _name(frame, curve.series, mean.at)
        axes.plot(x, [one.mean for one in mean.stops], ms=3.5, label=label, **look)
        if any(one.seeds > 1 for one in mean.stops):
            least, most = [one.least for one in mean.stops], [one.most for one in mean.stops]
            axes.fill_between(x, least, most, color=look["color"], alpha=BAND_ALPHA, linewidth=0)
    widen(axes, curve.format)
    axes.set_xlabel(curve.x)
    unit = UNITS.get(curve.format)
    axes.set_ylabel(f"{_in_words(curve.y)}{f', {unit}' if unit else ''}")
    axes.grid(alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _in_words(field: str) -> str:
    """A field of a log as tables and pages write such figures: `held_out_miou` is held-out mIoU."""
    words = field.replace("held_out", "held-out").split("_")
    return " ".join(WRITTEN.get(word, word) for word in words)


def _name(frame: Frame, series: Sequence[str], at: Mapping[str, Scalar]) -> str:
    return ", ".join(named(name, frame.axes[name], frame.axes[name].find(at[name])) for name in series)


def curve_seeds_text(drawn: DrawnCurve) -> str:
    """What the bands are, or that there are none as there is one seed; and that some lines lack seeds."""
    lacking = {str(line.at) for line in drawn.lines if not line.points}
    found = {str(mean.at): max((one.seeds for one in mean.stops), default=0) for mean in means(drawn)}
    most = max(found.values(), default=0)
    least = min((seeds for place, seeds in found.items() if seeds and place in lacking), default=most)
    return seeds_between(least, most, "bands")
