"""Cross-validation as DatasetGAN and gradient matching publish it; spreads over folds and over seeds told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64

from gannotate.errors import UsageError
from gannotate.metrics.protocols import Protocol, choose, figures


@dataclass(frozen=True)
class Fold:
    """Places of pictures in the sorted test set: one part to choose on, all others to test on."""

    validation: tuple[int, ...]
    test: tuple[int, ...]


def make_folds(pictures: int, parts: int) -> list[Fold]:
    """Folds as DatasetGAN makes them: of the sorted pictures, part i has the next pictures // parts ones.

    What is left over when the division does not go through is in no validation part, and in every test part.

    Raises:
        UsageError: fewer pictures than parts.
    """
    size = pictures // parts
    if size < 1:
        raise UsageError(f"{pictures} pictures do not make {parts} folds; give at least {parts} test pictures")
    ranges = [range(size * part, size * (part + 1)) for part in range(parts)]
    return [Fold(tuple(chosen), tuple(i for i in range(pictures) if i not in chosen)) for chosen in ranges]


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of several figures, and over what they differ.

    over: `folds` are parts of one test set for one run, so they overlap and say nothing about another training;
    `seeds` are trainings that differ in their random draws alone. deviation: None for a single figure over seeds.
    """

    mean: float
    deviation: float | None
    count: int
    over: Literal["folds", "seeds"]

    def __str__(self) -> str:
        spread = "" if self.deviation is None else f" ± {self.deviation:.3f}"
        return f"{self.mean:.3f}{spread} over {self.count} {self.over if self.count > 1 else self.over[:-1]}"


def over_folds(values: Sequence[float]) -> Spread:
    """As published: the population's standard deviation (divided by n), over the folds of one run."""
    return Spread(float(np.mean(values)), float(np.std(values)), len(values), "folds")


def over_seeds(values: Sequence[float]) -> Spread:
    """Over trainings with different seeds: the sample's standard deviation (divided by n - 1)."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), deviation, len(values), "seeds")


@dataclass(frozen=True)
class FoldResult:
    """One fold: the chosen candidate's place, and its figures on the part it was chosen on and on the others."""

    chosen: int
    validation: float
    test: float


@dataclass(frozen=True)
class CrossValidation:
    """The folds of one run, and their test figures' spread over folds."""

    folds: tuple[FoldResult, ...]
    spread: Spread

    def as_dict(self) -> dict[str, Any]:
        """Ready for json: value (the mean), deviation, count, over and folds."""
        spread = asdict(self.spread)
        return {"value": spread.pop("mean"), **spread, "folds": [asdict(fold) for fold in self.folds]}


def cross_validate(counts: Int64[np.ndarray, "m n k k"], protocol: Protocol) -> CrossValidation:
    """Chooses among m candidates on each fold's validation part, and scores the chosen one on the other parts.

    Args:
        counts: confusion matrix of each candidate (in the order of their making) on each test picture (sorted by
            name). Only the protocol's last candidates are looked at, but `chosen` counts from the first.

    Raises:
        UsageError: the protocol has no folds, there are too few pictures, or no candidate.
    """
    if not protocol.folds:
        raise UsageError(f"the protocol {protocol.name} has no folds; use one that has, e.g. datasetgan-cv")
    first = 0 if protocol.last is None else max(0, len(counts) - protocol.last)
    results = []
    for fold in make_folds(counts.shape[1], protocol.folds):
        best, values = choose(counts[first:, list(fold.validation)].sum(axis=1), protocol)
        tested = figures(counts[first + best, list(fold.test)].sum(axis=0), protocol)
        results.append(FoldResult(first + best, values[best], tested.value(protocol.figure)))
    return CrossValidation(tuple(results), over_folds([result.test for result in results]))


def seeds_of_folds(runs: Sequence[CrossValidation]) -> Spread:
    """The spread over seeds of cross-validated runs: of their means, never of all their folds together."""
    return over_seeds([run.spread.mean for run in runs])
