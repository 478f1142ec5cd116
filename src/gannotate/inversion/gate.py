"""Which pictures a generator cannot draw: a threshold on how badly they invert, set on real pictures that it can.

A picture is strange when it is redrawn badly, or well but from latents unlike any that the generator was trained with.
The threshold is the split conformal one (Vovk et al. 2005; Angelopoulos and Bates 2021, "A Gentle Introduction to
Conformal Prediction", section 1), which of new pictures of the same kind refuses no more than `refusals` in expectation
where the scores are fixed beforehand. Here that holds about, as the scores' centre and scale come from the same
pictures: simulated with `refusals` 0.05, it refuses 5.4 to 6.5 % of new pictures after 19, 5.2 to 5.7 % after 40 and
5.1 to 5.2 % after 200 pictures. Pictures set aside for centre and scale would make it exact, and are missed more in
such small pools.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from gannotate.errors import GannotateError, UsageError, newer_format
from gannotate.files import write_json
from gannotate.parsing import DAMAGED, load_json

FORMAT_VERSION = 1

STATISTICS = ("distance", "typicality")
"""What is looked at, all positive and larger for stranger pictures: see Inverted.distance and LatentStatistics."""

REFUSALS = 0.05
"""Default part of the generator's own kind of pictures that may be refused."""

UPPER_QUANTILE, ITS_DEVIATIONS = 0.9, 1.2816
"""A normal variable's 90 % quantile lies so many standard deviations above its median."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A calibrated gate.

    refusals: the part that may be refused. pictures: how many it was calibrated on. centre, scale: median and upper
    spread of each statistic's logarithm over those. threshold: scores above it are refused. settings: of the
    inversions; those of other settings do not compare.
    """

    refusals: float
    pictures: int
    centre: dict[str, float]
    scale: dict[str, float]
    threshold: float
    settings: dict[str, Any] = field(default_factory=dict)

    def scores(self, statistics: Mapping[str, Float[np.ndarray, " n"]]) -> Float[np.ndarray, " n"]:
        """How strange each picture is, in deviations above the median: of its strangest statistic."""
        return _scores(statistics, self.centre, self.scale)

    def accepts(self, statistics: Mapping[str, Float[np.ndarray, " n"]]) -> Bool[np.ndarray, " n"]:
        """Whether the generator can draw each picture."""
        return self.scores(statistics) <= self.threshold

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Checks that pictures inverted with `settings` may be judged.

        Raises:
            UsageError: other settings than it was calibrated with; names them.
        """
        names = sorted(set(settings) | set(self.settings))
        changed = [name for name in names if settings.get(name) != self.settings.get(name)]
        if changed:
            shown = ", ".join(f"{name} {self.settings.get(name)}, now {settings.get(name)}" for name in changed)
            raise UsageError(
                f"the gate was calibrated with other settings ({shown}); use those, or calibrate another with "
                "`gannotate invert --calibrate PICTURES`"
            )


def calibrate(
    statistics: Mapping[str, Float[np.ndarray, " n"]],
    refusals: float = REFUSALS,
    settings: dict[str, Any] | None = None,
) -> Gate:
    """A gate from the statistics (see STATISTICS) of held-out real pictures that the generator should draw.

    Of new ones it refuses about `refusals`, of few pictures a little more (see the module).

    Raises:
        UsageError: a part to refuse outside (0, 1), or too few pictures for it.
    """
    if not 0 < refusals < 1:
        raise UsageError(f"refusals is {refusals}; use a part of the pictures between 0 and 1, e.g. {REFUSALS}")
    logs = {name: _log(statistics[name]) for name in STATISTICS}
    count = len(logs[STATISTICS[0]])
    place = conformal_place(count, refusals)
    if place > count:
        raise UsageError(
            f"{count} pictures are too few to refuse {refusals:g} of them; calibrate on at least "
            f"{math.ceil(1 / refusals - 1)}"
        )
    centre = {name: float(np.median(values)) for name, values in logs.items()}
    scale = {name: _upper_spread(values) for name, values in logs.items()}
    threshold = float(np.sort(_scores(statistics, centre, scale))[place - 1])
    return Gate(
        refusals=refusals, pictures=count, centre=centre, scale=scale, threshold=threshold, settings=settings or {}
    )


def conformal_place(count: int, refusals: float) -> int:
    """Which of `count` sorted scores, from 1, is the threshold: ceil((count + 1) (1 - refusals))."""
    # a hair less, as (count + 1) (1 - refusals) may be a whole number but for rounding
    return math.ceil((count + 1) * (1 - refusals) - 1e-9)


def save_gate(path: str | Path, gate: Gate) -> None:
    """Writes the gate as JSON."""
    write_json(path, {"format_version": FORMAT_VERSION, "gate": asdict(gate)})


def load_gate(path: str | Path) -> Gate:
    """Reads what `save_gate` wrote.

    Raises:
        UsageError: no such file. GannotateError: damaged, or written by a newer version.
    """
    try:
        found = load_json(Path(path).read_bytes())
        version = int(found["format_version"])
        if version <= FORMAT_VERSION:
            return Gate(**found["gate"])
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise UsageError(
            f"there is no gate {path}; `gannotate invert --calibrate PICTURES` writes a gate.json"
        ) from error
    except DAMAGED as error:
        raise GannotateError(f"{path} is no gate, or damaged ({error}); calibrate it again") from error
    raise newer_format(path, version, FORMAT_VERSION)


def _scores(
    statistics: Mapping[str, np.ndarray], centre: Mapping[str, float], scale: Mapping[str, float]
) -> np.ndarray:
    return np.max([(_log(statistics[name]) - centre[name]) / scale[name] for name in centre], axis=0)


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.asarray(values, dtype=np.float64), 1e-12))


def _upper_spread(values: np.ndarray) -> float:
    """Standard deviation of the upper half: strange pictures are above, and the lower half is of another shape."""
    return max(float(np.quantile(values, UPPER_QUANTILE) - np.median(values)) / ITS_DEVIATIONS, 1e-3)
