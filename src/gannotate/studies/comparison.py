"""Whether what a paper claims holds in a study's figures, how sure that is, and where nothing can be said."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gannotate.studies.documents import Scalar
from gannotate.studies.findings import Figure, Finding, Point, Verdict
from gannotate.studies.frame import Frame
from gannotate.studies.study import Expectation, Format

FRACTION_NOISE, OTHER_NOISE = 0.02, 0.1
"""Without seeds to tell it: a difference between two runs that differ in nothing but their draws. Of fractions (IoU)
absolute; of others, seconds of a shared machine above all, as a part of the larger side."""

LEARNED = 0.01
"""Below this the measure that tells whether anything was learned says that nothing was."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a mean, or by how much that changes along an axis.

    figures: those it is made of. plus: the points on its own side of the sign, which alone tell what was learned.
    """

    value: float
    figures: tuple[Figure, ...]
    points: tuple[Point, ...]


def check(frame: Frame, points: Sequence[Point], one: Expectation) -> Finding:
    """Compares the means at every place where there are both, as far as `noise` allows."""
    asked = one.measure or next(iter(frame.families))
    known = {_key(point.at): point for point in points}
    differences: list[dict[str, Any]] = []
    unlearned = 0
    for at in _places(frame, one):
        for name in frame.families[asked]:
            better, than = (_side(known, one, {**at, **side}, name) for side in (one.better, one.than))
            if better is None or than is None:
                continue
            if frame.families[asked] != (asked,) and not any(one.mean for one in (*better.figures, *than.figures)):
                continue  # a class that neither side finds
            if not _learned(frame, than):
                unlearned += 1
                continue
            of = {} if name == asked else {"class": frame.measures[name].title}
            differences.append({"at": at | of, **_difference(frame, name, better, than)})
    ahead = [(item["difference"] - one.by, item["noise"]) for item in differences]
    held = sum(by >= noisy for by, noisy in ahead)
    lost = sum(by < 0 and by <= -noisy for by, noisy in ahead)
    why = "" if differences else "the rival learned nothing" if unlearned else _why_untested(frame, one)
    verdict = verdict_of(held, lost, len(differences), one.enough)
    return Finding(
        text=one.text,
        verdict=verdict,
        places=len(differences),
        held=held,
        lost=lost,
        differences=tuple(differences),
        why=why,
        measure=asked,
        unlearned=unlearned,
    )


def verdict_of(held: int, lost: int, places: int, enough: float = 1.0) -> Verdict:
    """The verdict where a claim held in `held` of `places` comparisons, did not in `lost`, and is close in the others.

    It should hold in a part `enough` of them. Where that is less than all there is nothing between yes and no.
    """
    if not places:
        return Verdict.NOT_RUN
    if held >= enough * places:
        return Verdict.HOLDS
    if enough == 1 and held:
        return Verdict.PARTLY
    return Verdict.AGAINST if lost > (1 - enough) * places else Verdict.CLOSE


def noise(form: Format, figures: Sequence[Figure]) -> float:
    """What a sum and difference of these means must exceed to mean something: twice its standard error.

    Where one of them has a single seed, what is usual (`FRACTION_NOISE`, `OTHER_NOISE`); a count has none.
    """
    if form == "count":
        return 0.0
    if all(figure.count > 1 and figure.deviation is not None for figure in figures):
        return 2 * math.sqrt(sum((figure.deviation or 0.0) ** 2 / figure.count for figure in figures))
    if form == "fraction":
        return FRACTION_NOISE
    return OTHER_NOISE * max(abs(figure.mean or 0.0) for figure in figures)


def _places(frame: Frame, one: Expectation) -> Iterator[dict[str, Scalar]]:
    """Every value of the axes that the expectation leaves free, as far as it speaks of them."""
    fixed = {*one.better, *one.than, *one.change}
    free = {axis: values.values for axis, values in frame.axes.items() if axis not in fixed}
    for values in itertools.product(*free.values()):
        at = {axis: value.value for axis, value in zip(free, values, strict=True)}
        if all(str(at[axis]) in map(str, wanted) for axis, wanted in one.where.items() if axis in at):
            yield at


def _side(
    known: Mapping[frozenset[tuple[str, str]], Point], one: Expectation, at: Mapping[str, Scalar], name: str
) -> Side | None:
    """None where a figure is missing."""
    ends: list[tuple[int, dict[str, Scalar]]] = [(1, {})]
    for axis, (start, end) in one.change.items():
        ends = [(1, {axis: end}), (-1, {axis: start})]
    value, figures, points = 0.0, [], []
    for sign, more in ends:
        point = known.get(_key({**at, **more}))
        figure = point.figures.get(name) if point else None
        if point is None or figure is None or figure.mean is None:
            return None
        value += sign * figure.mean
        figures.append(figure)
        points.append(point)
    return Side(value, tuple(figures), tuple(points))


def _difference(frame: Frame, name: str, better: Side, than: Side) -> dict[str, Any]:
    """By how much `better` is better, over how many seeds, and what it must exceed."""
    measure, figures = frame.measures[name], (*better.figures, *than.figures)
    difference = better.value - than.value
    return {
        "difference": difference if measure.better == "higher" else -difference,
        "seeds": min(figure.count for figure in figures),
        "noise": noise(measure.format, figures),
    }


def _learned(frame: Frame, side: Side) -> bool:
    """Whether this side is more than a network that calls everything background."""
    if frame.learned is None:
        return True
    found = [point.figures[frame.learned].mean for point in side.points]
    return all(mean is None or mean >= LEARNED for mean in found)


def _why_untested(frame: Frame, one: Expectation) -> str:
    """Values that were not asked for, when there are such; otherwise figures are missing."""
    missing = []
    for side in (one.better, one.than):
        missing += [(axis, value) for axis, value in side.items() if not _asked(frame, axis, value)]
    for axis, ends in one.change.items():
        missing += [(axis, value) for value in ends if not _asked(frame, axis, value)]
    for axis, values in one.where.items():
        if not any(_asked(frame, axis, value) for value in values):
            missing += [(axis, value) for value in values]
    left_out = ", ".join(f"{axis} {value}" for axis, value in dict.fromkeys(missing))
    return f"not asked for here: {left_out}" if left_out else "its figures are missing"


def _asked(frame: Frame, axis: str, value: Scalar) -> bool:
    return axis in frame.axes and str(value) in [str(one.value) for one in frame.axes[axis].values]


def _key(at: Mapping[str, Scalar]) -> frozenset[tuple[str, str]]:
    return frozenset((axis, str(value)) for axis, value in at.items())
