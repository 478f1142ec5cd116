"""The scale of figures in a plot: not so fine that noise looks like news, with a mark of how large noise is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gannotate.studies.comparison import FEW, FRACTION_NOISE
from gannotate.studies.findings import Figure
from gannotate.studies.study import Format

LEAST_RANGE = 0.1
"""What a scale of fractions shows at least."""

NOISE_LABEL = f"noise of one seed from {FEW} labels, ±{FRACTION_NOISE:g}"
BESIDE, FAINT, LABEL_ALPHA = 1.03, 0.6, 0.75
"""Where the mark of noise stands right of a plot as wide as 1; how pale it and its label are."""
NOISE_LINES = 2.2
"""Lines of text that the mark takes below a list."""


def tells_noise(form: Format, figures: Sequence[Figure]) -> bool:
    """Whether nothing but what is usual tells how far the figures are to be trusted: fractions of one seed each."""
    return form == "fraction" and bool(figures) and all(one.count == 1 for one in figures)


def widen(axes: Any, form: Format, along: str = "y") -> None:
    """Gives the scale of drawn figures its range; marks at its ends are drawn whole."""
    least, most = getattr(axes.dataLim, f"interval{along}")
    if form != "fraction" or most < least:
        return
    low, high = getattr(axes, f"get_{along}lim")()
    getattr(axes, f"set_{along}lim")(reach(low, high, least, most))
    for artist in (*axes.lines, *axes.collections):
        artist.set_clip_on(False)


def reach(low: float, high: float, least: float, most: float) -> tuple[float, float]:
    """A range around figures from `least` to `most` that is wide enough, and has no numbers that no fraction can be.

    Args:
        low, high: the range that just shows the figures.
    """
    floor, ceiling = min(0.0, least), max(1.0, most)
    low, high = max(low, floor), min(high, ceiling)
    wider = max(0.0, LEAST_RANGE - (high - low)) / 2
    low, high = low - wider, high + wider
    aside = max(floor - low, 0.0) - max(high - ceiling, 0.0)
    return low + aside, high + aside


def mark_noise_beside(axes: Any, ink: str) -> None:
    """Right of lines: a dot with a bar as long as the figures' noise, and what it is."""
    middle = sum(axes.get_ylim()) / 2
    look = _look(axes.get_yaxis_transform(), ink)
    axes.plot([BESIDE] * 2, [middle - FRACTION_NOISE, middle + FRACTION_NOISE], marker="_", **look)
    axes.plot([BESIDE], [middle], marker="o", **look)
    label = {"rotation": 90, "va": "center", "fontsize": "small", "color": ink, "alpha": LABEL_ALPHA}
    axes.text(BESIDE + 0.015, middle, NOISE_LABEL, transform=axes.get_yaxis_transform(), **label)


def mark_noise_below(axes: Any, top: float, ink: str) -> None:
    """The same below a list, whose scale goes across; `top` is where the list ends."""
    low, high = axes.get_xlim()
    left, y = low + 0.02 * (high - low), top + 0.5
    look = _look(axes.transData, ink)
    axes.plot([left, left + 2 * FRACTION_NOISE], [y, y], marker="|", **look)
    axes.plot([left + FRACTION_NOISE], [y], marker="o", **look)
    label = {"va": "top", "fontsize": "small", "color": ink, "alpha": LABEL_ALPHA}
    axes.text(left, y + 0.4, NOISE_LABEL, **label)


def _look(transform: Any, ink: str) -> dict[str, Any]:
    return {"color": ink, "alpha": FAINT, "lw": 1.0, "ms": 4.0, "clip_on": False, "transform": transform}
