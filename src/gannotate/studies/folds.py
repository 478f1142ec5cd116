"""Figures in folds of the test pictures: what a step says of the figure that a measure reads, where its protocol has
folds. The folds of one run share pictures, so their spread is none over seeds (see `metrics.folds`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from gannotate.studies.words import Result

PROTOCOL = "protocol"
"""Where `evaluate` tells by which protocol it scored."""

TOLD = ("figure", "over", "value", "deviation", "count")
"""What is read of that, and kept in study.json."""


@dataclass(frozen=True)
class Folds:
    """A figure over folds: mean and deviation (the population's, as published) of one run; of several runs the mean of
    these means, and of these deviations.

    folds: how many there are in a run.
    """

    mean: float
    deviation: float
    folds: int
    runs: int = 1


def told_folds(result: Mapping[str, Any], figure: Result) -> dict[str, Any] | None:
    """The part of a step's result that tells of the folds of this figure; None where it tells of none."""
    told = result.get(PROTOCOL)
    if not isinstance(told, Mapping) or told.get("over") != "folds" or figure.fields != (told.get("figure"),):
        return None
    if not all(isinstance(told.get(name), int | float) for name in ("value", "deviation", "count")):
        return None
    return {name: told[name] for name in TOLD}


def read_folds(result: Mapping[str, Any], figure: Result) -> Folds | None:
    """The same as a figure."""
    told = told_folds(result, figure)
    return None if told is None else Folds(float(told["value"]), float(told["deviation"]), int(told["count"]))


def over_runs(found: Sequence[Folds]) -> Folds | None:
    """Those of several runs as one; None of none."""
    if not found:
        return None
    mean, deviation = (fmean(getattr(one, name) for one in found) for name in ("mean", "deviation"))
    return Folds(mean, deviation, found[0].folds, len(found))
