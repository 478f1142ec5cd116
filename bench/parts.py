"""A part of the benchmark: what is timed, in which ways, on which cases, and along which axes it grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from measure import How, Work, figures

OURS = "ours"
"""The way that the others are compared with."""

SIZES = (64, 128, 256, 512, 1024)
CLASSES = (2, 16, 64)
SHOTS = (1, 5, 20, 50)
"""The axes; a part may stop earlier."""

Case = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One kind of work. `prepare(way, how, **case)` makes it ready and gives what is timed."""

    title: str
    """What is done, for tables and plots."""
    unit: str
    """What seconds are counted for: picture, fit, ..."""
    ways: Mapping[str, str]
    """The ways by name, ours first, and what each does."""
    prepare: Callable[..., Work]
    """Makes a way ready on a case; may be pickled."""
    cases: Sequence[Case]
    """The table's; growth starts from the first."""
    growth: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Values of each axis, ascending."""
    quick: Case = field(default_factory=dict)
    """What the quick form changes in every case; of an axis it keeps the two smallest values."""
    adjust: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """Makes a case fit together, e.g. smaller batches of larger pictures."""
    needs_mb: Callable[..., float] | None = None
    """needs_mb(way, **case): memory that a way takes besides what is there, where it can be too much."""
    only: Callable[..., bool] | None = None
    """only(way, **case): whether a way can do a case at all; all can when not given."""
    on_cuda: bool = True
    """Whether a card has a part in it."""

    def of_table(self, quick: bool) -> list[dict[str, Any]]:
        """The cases of the table, each once."""
        cases = [self.adjust({**case, **(self.quick if quick else {})}) for case in self.cases]
        return [case for place, case in enumerate(cases) if case not in cases[:place]]

    def along(self, axis: str, quick: bool) -> list[dict[str, Any]]:
        """The cases along an axis."""
        values = self.growth[axis][:2] if quick else self.growth[axis]
        first = {**self.cases[0], **(self.quick if quick else {})}
        return [self.adjust({**first, axis: value}) for value in values]

    def ways_of(self, case: Case, how: How) -> list[str]:
        """The ways that can do a case; the official code's only where it is at hand."""
        able = [way for way in self.ways if self.only is None or self.only(way, **case)]
        return [way for way in able if way != "official" or how.reference is not None]


def measure(prepare: Callable[..., Work], way: str, how: How, case: Case) -> dict[str, Any]:
    """What a way takes on a case, in this process."""
    return figures(lambda: prepare(way, how, **case), how)


def smaller_batches(case: dict[str, Any]) -> dict[str, Any]:
    """A batch of about the pixels of 16 pictures of 64 px, 2 to 16 pictures."""
    return {**case, "batch": max(2, min(16, 16 * 64**2 // case["size"] ** 2))}
