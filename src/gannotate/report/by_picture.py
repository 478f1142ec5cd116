"""How well the test pictures were labelled one by one, and whether uncertainty tells the badly labelled ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from gannotate.report.examples import Tested
from gannotate.report.plots import scatter_svg
from gannotate.report.tables import facts, figure

FEWEST = 5
"""Test pictures from which on they are told one by one."""


def one_by_one(tested: Sequence[Tested]) -> str:
    """How well the test pictures were labelled one by one, and whether uncertainty tells which were not."""
    mious = [one.miou for one in tested if one.miou is not None]
    if len(mious) < FEWEST:
        return ""
    places = {"worst": 0.0, "a tenth below": 0.1, "half below": 0.5, "a tenth above": 0.9, "best": 1.0}
    rows = [(name, figure(float(np.quantile(mious, part)))) for name, part in places.items()]
    pairs = [(one.uncertainty, one.miou) for one in tested if None not in (one.uncertainty, one.miou)]
    told = (
        "<h3>Picture by picture</h3><p>Mean IoU of each of the test pictures, of the classes that it has; a single "
        f"picture of few classes swings more than the mean over all pixels above.</p>{facts(rows)}"
    )
    if len(pairs) < FEWEST:
        return told
    unsure, good = np.array(pairs, float).T
    rank = rank_correlation(unsure, good)
    tells = "" if rank is None else f" Rank correlation {rank:+.2f}; -1 would tell the bad ones without any truth."
    title = "Mean IoU of test pictures over their uncertainty"
    drawing = scatter_svg(unsure.tolist(), good.tolist(), "uncertainty", "mean IoU", title)
    return (
        f"{told}<p>Each point is a test picture: its uncertainty (mean over its most uncertain tenth of the pixels, 1 "
        f'where all classes are alike) and its mean IoU.{tells}</p><div class="plots"><figure>{drawing}</figure></div>'
    )


def rank_correlation(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> float | None:
    """Spearman's, -1 to 1; None where one of them has a single value."""
    if len(np.unique(x)) < 2 or len(np.unique(y)) < 2:
        return None
    return float(np.corrcoef(_ranks(x), _ranks(y))[0, 1])


def _ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Places in ascending order, equal values at the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + ends - 1) / 2)[which]
