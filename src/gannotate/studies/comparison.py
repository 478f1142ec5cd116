"""Whether what a paper claims holds in a study's figures, how sure that is, and where nothing can be said."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

from gannotate.studies.documents import Scalar
from gannotate.studies.findings import Figure, Finding, Point, Verdict
from gannotate.studies.frame import Frame
from gannotate.studies.study import Expectation, Format

FRACTION_NOISE, FEW_NOISE, OTHER_NOISE = 0.035, 0.12, 0.1
"""Without seeds to tell it: what two runs that differ in nothing but their draws seldom differ by. Of fractions (IoU)
absolute, twice the deviation over seeds of the difference of two ways, as the kept studies with three seeds have it
(tools/seed_noise.py): with fewer than `FEW` labels .06, as one unlucky picture decides, with more .014 without
SemanticGAN, whose runs differ by more, and .022 with it. Of others, seconds of a shared machine above all, as a part
of the larger side."""

FEW, LABELS = 5, "shots"
"""Labelled pictures below which `FEW_NOISE` is usual, and the axis that tells how many there are."""

T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10)
"""Student's t, 95 % on both sides, for 1, 2, ... degrees of freedom: two or three seeds are often alike by luck."""

NOISE = (
    "Too close to tell: the difference is within its 95 % interval over the seeds (Student's t) or, where a side has "
    f"one seed, within {FRACTION_NOISE:g} for fractions ({FEW_NOISE:g} with fewer than {FEW} labelled pictures) and "
    f"{OTHER_NOISE:.0%} for seconds and the like; more for a difference of differences. What the seeds "
    "do not change (test pictures, the simulated annotator) is no part of it, and each place is judged by itself: of "
    "twenty that are in truth alike about one is called one way or the other."
)
"""What people are told of `noise`."""

ROUNDING = 1e-9
"""Of a part of the places: .55 of 20 is not 11 to a computer."""

LEARNED = 0.01
"""Below this the measure that tells whether anything was learned says that nothing was."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a measure, or by how much that changes along an axis, as points with their signs."""

    terms: tuple[tuple[int, Point], ...]
    name: str

    @property
    def figures(self) -> list[Figure]:
        """Of each point."""
        return [point.figures[self.name] for _, point in self.terms]


def check(frame: Frame, points: Sequence[Point], one: Expectation) -> Finding:
    """Compares the means at every place where there are both, as far as `noise` allows."""
    asked = one.measure or next(iter(frame.families))
    known = {_key(point.at): point for point in points}
    differences: list[dict[str, Any]] = []
    unlearned = missing = absent = 0
    for at in _places(frame, one):
        for name in frame.families[asked]:
            better, than = (_side(known, one, {**at, **side}, name) for side in (one.better, one.than))
            if better is None or than is None:
                absent += 1
                continue
            figures = [*better.figures, *than.figures]
            if any(figure.mean is None for figure in figures):
                missing += any(figure.failed or figure.not_run for figure in figures)
                continue
            if frame.families[asked] != (asked,) and not any(figure.mean for figure in figures):
                continue  # a class that neither side finds
            if not _learned(frame, than, known):
                unlearned += 1
                continue
            found = _difference(frame, better, than)
            if found is None:
                missing += 1
                continue
            of = {} if name == asked else {"class": frame.measures[name].title}
            differences.append({"at": at | of, **found})
    ahead = [(item["difference"] - one.by, item["noise"]) for item in differences]
    # "at least so much" holds at just so much, but what is the same as its rival is not better
    held = sum(by >= noisy and (by > 0 or one.by != 0) for by, noisy in ahead)
    lost = sum(by < 0 and by <= -noisy for by, noisy in ahead)
    why = f"{missing} more place{'' if missing == 1 else 's'} without figures" if missing else ""
    verdict = verdict_of(held, lost, len(differences), one.enough)
    if not differences:
        verdict, why = _nothing(frame, one, unlearned, missing or (absent and not unlearned))
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
    if held >= enough * places - ROUNDING:
        return Verdict.HOLDS
    if enough == 1 and held:
        return Verdict.PARTLY
    return Verdict.AGAINST if lost > (1 - enough) * places + ROUNDING else Verdict.CLOSE


def noise(
    form: Format, figures: Sequence[Figure], values: Sequence[Sequence[float]], few: Sequence[bool] = ()
) -> float:
    """What a sum and difference of means must exceed to mean something: half of its 95 % interval over the seeds.

    The sides' seeds are taken as independent, which makes the interval too large rather than too small: a seed draws
    the same pictures to label for both sides, so that its differences vary less (a correlation of .24 in the pairs of
    `FRACTION_NOISE`, too little to be worth the degrees of freedom that pairing costs). Where a side has a single
    seed, what is usual of two terms, and more of four; nothing is usual of a count.

    Args:
        figures: what is compared. values: of each of them, those of the seeds that all have. few: whether it is of few
            labels.
    """
    count = min(min(map(len, values)), *(figure.count for figure in figures))
    if count > 1:
        freedom = len(values) * (count - 1)
        return T95[min(freedom, len(T95)) - 1] * math.sqrt(sum(map(variance, values)) / count)
    if form == "count":
        return 0.0
    if form == "fraction":
        return math.sqrt(sum((FEW_NOISE if one else FRACTION_NOISE) ** 2 for one in few or [False] * len(figures)) / 2)
    return math.sqrt(len(figures) / 2) * OTHER_NOISE * max(abs(figure.mean or 0.0) for figure in figures)


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
    """None where a point was not asked for, or makes no sense."""
    ends: list[tuple[int, dict[str, Scalar]]] = [(1, {})]
    for axis, (start, end) in one.change.items():
        ends = [(1, {axis: end}), (-1, {axis: start})]
    terms = []
    for sign, more in ends:
        point = known.get(_key({**at, **more}))
        if point is None or name not in point.figures:
            return None
        terms.append((sign, point))
    return Side(tuple(terms), name)


def _difference(frame: Frame, better: Side, than: Side) -> dict[str, Any] | None:
    """By how much `better` is better, over the seeds that both have, how many these are, and what it must exceed.

    None where they have none in common.
    """
    measure, figures = frame.measures[better.name], [*better.figures, *than.figures]
    better_sign = 1 if measure.better == "higher" else -1
    terms = [(sign * better_sign, point.values.get(better.name, {})) for sign, point in better.terms]
    terms += [(-sign * better_sign, point.values.get(than.name, {})) for sign, point in than.terms]
    seeds = set.intersection(*(set(values) for _, values in terms))
    if not seeds:
        return None
    shared = [[values[seed] for seed in sorted(seeds)] for _, values in terms]
    few = [few_labels(point) for _, point in (*better.terms, *than.terms)]
    return {
        "difference": sum(sign * fmean(values) for (sign, _), values in zip(terms, shared, strict=True)),
        "seeds": min(len(seeds), *(figure.count for figure in figures)),
        "noise": noise(measure.format, figures, shared, few),
    }


def few_labels(point: Point) -> bool:
    """Whether a point is of fewer labelled pictures than `FEW`, as its axis `LABELS` tells, if it has one."""
    labels = point.at.get(LABELS, FEW)
    return isinstance(labels, int | float) and labels < FEW


def _learned(frame: Frame, side: Side, known: Mapping[frozenset[tuple[str, str]], Point]) -> bool:
    """Whether this side is more than a network that calls everything background, and above the study's floor."""
    for _, point in side.terms:
        told = point.figures[frame.learned].mean if frame.learned else None
        if told is not None and told < LEARNED:
            return False
        floor = known.get(_key({**point.at, **frame.floor}))
        if floor not in (None, point) and not _above(frame, side.name, point, floor):
            return False
    return True


def _above(frame: Frame, name: str, point: Point, floor: Point) -> bool:
    """Whether a quality is better than where nothing was learned; of costs that says nothing."""
    mean, least = point.figures[name].mean, floor.figures[name].mean if name in floor.figures else None
    return frame.measures[name].better == "lower" or mean is None or least is None or mean > least


def _nothing(frame: Frame, one: Expectation, unlearned: int, missing: int) -> tuple[Verdict, str]:
    """What is said where nothing was compared: it did not run, or ran and there is nothing to hold against it."""
    left_out = _left_out(frame, one)
    if missing or left_out:
        return Verdict.NOT_RUN, left_out or "its figures are missing"
    if unlearned:
        return Verdict.NOTHING, "the rival learned nothing"
    return Verdict.NOTHING, "there is no such figure here"


def _left_out(frame: Frame, one: Expectation) -> str:
    """The values that were not asked for; empty when there are none."""
    missing = []
    for side in (one.better, one.than):
        missing += [(axis, value) for axis, value in side.items() if not _asked(frame, axis, value)]
    for axis, ends in one.change.items():
        missing += [(axis, value) for value in ends if not _asked(frame, axis, value)]
    for axis, values in one.where.items():
        if not any(_asked(frame, axis, value) for value in values):
            missing += [(axis, value) for value in values]
    left_out = ", ".join(_titled(frame, axis, value) for axis, value in dict.fromkeys(missing))
    return f"not asked for here: {left_out}" if left_out else ""


def _titled(frame: Frame, axis: str, value: Scalar) -> str:
    title = frame.axes[axis].title if axis in frame.axes else ""
    return f"{title or axis} {value}"


def _asked(frame: Frame, axis: str, value: Scalar) -> bool:
    return axis in frame.axes and str(value) in [str(one.value) for one in frame.axes[axis].values]


def _key(at: Mapping[str, Scalar]) -> frozenset[tuple[str, str]]:
    return frozenset((axis, str(value)) for axis, value in at.items())
