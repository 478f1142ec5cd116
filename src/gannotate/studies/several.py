"""Several studies from one command: each takes of what was asked for the part that it knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gannotate.errors import UsageError, nearest
from gannotate.studies.domain import Domain
from gannotate.studies.plan import Choice, Plan, check_seeds, make_plan
from gannotate.studies.study import Shared, Study


@dataclass(frozen=True)
class Several:
    """Plans by the names that the studies were called by, and why others were left out."""

    plans: dict[str, Plan]
    left_out: dict[str, str] = field(default_factory=dict)


def plan_several(
    studies: Mapping[str, Study], shared: Shared, domain: Domain, choice: Choice, leave_out: bool = False
) -> Several:
    """Plans studies that are done one after the other.

    Args:
        studies: by names or files. choice: an axis, a setting or a step in it may be one of some of them only.
        leave_out: leave those out that are for other domains, need pictures that this one lacks, or have such an axis
            that takes none of the values in `choice`.

    Raises:
        UsageError: what `make_plan` raises for one of them, after its name; an axis, a setting or a step that none
            of them has; two whose results would be in one folder, or none that is left.
    """
    check_seeds(choice)  # of all of them alike, and told once
    plans: dict[str, Plan] = {}
    left_out: dict[str, str] = {}
    for name, study in studies.items():

        def plan(choice: Choice, name: str = name, study: Study = study) -> Plan:
            return make_plan(Path(name).stem, study, shared, domain, choice)

        try:
            plans[name] = _narrowed(study, domain, choice, plan)
        except UsageError as error:
            if not leave_out:
                raise UsageError(f"{name}: {error}") from error
            left_out[name] = str(error)
    if not plans:
        raise UsageError("; ".join(dict.fromkeys(left_out.values())))
    _check_known("--only names the axis", choice.only, [axis for one in plans.values() for axis in one.axes])
    _check_known("--set names", choice.settings, [name for one in plans.values() for name in one.settings])
    _check_known("--also names the step", choice.also, [step for one in plans.values() for step in one.steps])
    _check_apart(plans)
    return Several(plans, left_out)


def _narrowed(study: Study, domain: Domain, choice: Choice, plan: Callable[[Choice], Plan]) -> Plan:
    """The plan with what the study knows of `choice`; with fewer values of an axis it may know fewer settings."""
    only = {axis: values for axis, values in choice.only.items() if axis in study.axes}
    # a setting that tells how much the domain has tells which values there are
    limits = {most for axis, most in domain.about.most.items() if axis in study.axes}
    first = {key: value for key, value in choice.settings.items() if key in limits}
    narrowed = plan(replace(choice, only=only, settings=first, also={}))
    settings = {key: value for key, value in choice.settings.items() if key in narrowed.settings}
    also = {step: flags for step, flags in choice.also.items() if step in narrowed.steps}
    return plan(replace(narrowed.choice, settings=settings, also=also)) if settings or also else narrowed


def _check_known(what: str, asked: Mapping[str, object], known: list[str]) -> None:
    for name in asked:
        if name not in known:
            raise UsageError(
                f"{what} {name!r}, which changes none of these studies{nearest(name, known)}; `gannotate study show "
                "NAME` tells what a study knows"
            )


def _check_apart(plans: Mapping[str, Plan]) -> None:
    called: dict[str, str] = {}
    for name, plan in plans.items():
        other = called.setdefault(plan.called, name)
        if other != name:
            raise UsageError(f"{other} and {name} would both write {plan.called}; rename one of the files")
