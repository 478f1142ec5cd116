"""Which values of its axes a study is done at: its own or those asked for, as far as the domain has so many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gannotate.errors import UsageError, nearest
from gannotate.studies.axis import Axis, Value
from gannotate.studies.documents import Scalar
from gannotate.studies.domain import Domain
from gannotate.studies.study import Study


@dataclass(frozen=True)
class Chosen:
    """The axes of a plan.

    fewer: what the study has on this domain and is not done, in words. besides: what is done and the study has not.
    above: what was asked for and is more than the domain has.
    """

    axes: Mapping[str, Axis]
    fewer: tuple[str, ...]
    besides: tuple[str, ...]
    above: tuple[str, ...]


def choose(
    study: Study,
    domain: Domain,
    only: Mapping[str, Sequence[Scalar]],
    quick: bool,
    settings: Mapping[str, Scalar],
    usual: Mapping[str, Scalar],
) -> Chosen:
    """The study's axes with the values in `only`, which go before those of the quick form.

    Args:
        settings: those of the plan. usual: those of the study in full, by which is told what is fewer.

    Raises:
        UsageError: there is no such axis, or no such value and the axis takes no others; nothing of an axis is left.
    """
    for name in only:
        if name not in study.axes:
            known = list(study.axes)
            raise UsageError(f"--only names the axis {name!r}{nearest(name, known)}; there are {', '.join(known)}")
    wanted = {**(study.quick.axes if quick else {}), **only}
    asked = {name: _asked(name, axis, wanted) for name, axis in study.axes.items()}
    most, usual_most = _most(study, domain, settings), _most(study, domain, usual)
    axes = {name: _capped(name, axis, most.get(name), domain) for name, axis in asked.items()}
    fewer, besides, above = [], [], []
    for name, axis in axes.items():
        called, own = axis.title or name, study.axes[name].values
        if missing := _others([one for one in own if _fits(one, usual_most.get(name))], axis.values):
            fewer.append(f"{called} without {missing}")
        if new := _others(axis.values, own):
            besides.append(f"{called} with {new} besides")
        if name in only and (over := _others(asked[name].values, axis.values)):
            above.append(f"{called} without {over}, above {most[name]:g}, the most on {domain.name}")
    return Chosen(axes, tuple(fewer), tuple(besides), tuple(above))


def _asked(name: str, axis: Axis, wanted: Mapping[str, Sequence[Scalar]]) -> Axis:
    try:
        return axis.only(wanted[name]) if name in wanted else axis
    except UsageError as error:
        raise UsageError(f"axis {name}: {error}") from error


def _most(study: Study, domain: Domain, settings: Mapping[str, Scalar]) -> dict[str, float]:
    """The largest value of each axis of numbers that has one on this domain, by a setting where that tells it."""
    told = {name: most for name, most in domain.about.most.items() if name in study.axes and study.axes[name].numeric}
    return {name: float(settings[most]) if isinstance(most, str) else most for name, most in told.items()}


def _fits(one: Value, most: float | None) -> bool:
    return most is None or float(one.value) <= most


def _capped(name: str, axis: Axis, most: float | None, domain: Domain) -> Axis:
    """The axis without what is above `most`."""
    found = [one.value for one in axis.values if _fits(one, most)]
    if not found:
        raise UsageError(
            f"every value of {name} is above {most:g}, the most on {domain.name}; give lower ones with --only {name}="
        )
    return axis if len(found) == len(axis.values) else axis.only(found)


def _others(some: Sequence[Value], than: Sequence[Value]) -> str:
    """Those that the other ones have not, as they are shown."""
    known = {one.value for one in than}
    return ", ".join(one.shown for one in some if one.value not in known)
