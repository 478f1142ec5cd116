"""What `gannotate study` says: of a plan, of every cell that came to its end, and of what is missing in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gannotate.cli import show
from gannotate.studies import Done, Outcomes, Plan, load_shared
from gannotate.studies.axis import Axis
from gannotate.studies.findings import read_figure
from gannotate.studies.writing import STUDY, TABLE
from gannotate.wording import counted


def counts(plan: Plan, outcomes: Outcomes) -> dict[str, Any]:
    """How many of the plan's commands are done, failed, and not run because of that or not yet.

    A command whose result is there needs none of those before it, which may have been deleted. unread: figures of
    commands that are done, in whose result they are not.
    """
    read = {figure.cell for row in plan.rows for figure in row.figures.values()}
    states = [outcomes.state(plan, cell)[0] for cell in plan.cells if cell in read or cell in outcomes.ran]
    found = {"cells": len(plan.cells), "figures": len(read)}
    found |= {"done": states.count("done"), "failed": states.count("failed"), "not_run": states.count("not run")}
    return found | {"unread": sum(map(len, _unread(plan, outcomes).values()))}


def failures(plan: Plan, outcomes: Outcomes) -> list[str]:
    """A line for every cell that failed, and one for every measure that is not in results that are there."""
    failed = [(cell, outcomes.state(plan, cell)) for cell in plan.cells]
    lines = [
        f"failed: {_named(plan, cell)}: {error} (cells/{cell})" for cell, (state, error) in failed if state == "failed"
    ]
    lines += [
        f"failed: {_named(plan, cell)}: {ran.error} (cells/{cell}); its figures are known, not those of what uses it"
        for cell, ran in outcomes.ran.items()
        if ran.elsewhere and ran.error
    ]
    for name, errors in _unread(plan, outcomes).items():
        cell, error = next(iter(errors.items()))
        more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
        lines.append(f"failed: measure {name}: {error} (cells/{cell}{more})")
    return lines


def damaged(outcomes: Outcomes) -> dict[str, str]:
    """By cell, the sentence on its result that is there and is damaged."""
    return {cell: ran.error for cell, ran in outcomes.ran.items() if ran.damaged}


def _unread(plan: Plan, outcomes: Outcomes) -> dict[str, dict[str, str]]:
    """By measure, the cells that are done and have no such figure, and why."""
    found: dict[str, dict[str, str]] = {}
    for row in plan.rows:
        for name, figure in row.figures.items():
            if outcomes.state(plan, figure.cell)[0] == "done":
                reading = read_figure(plan, outcomes, name, figure)
                if reading.state == "failed":
                    found.setdefault(name, {})[figure.cell] = reading.error
    return found


def is_whole(result: Mapping[str, Any]) -> bool:
    """Whether a study of which this is the result has all its figures."""
    return not ("error" in result or result["failed"] or result["not_run"] or result["unread"])


def summary(results: Sequence[Mapping[str, Any]]) -> str:
    """How many studies are whole, and which are not."""
    left = [Path(result["folder"]).name for result in results if not is_whole(result)]
    told = f"{len(results) - len(left)} of {len(results)} studies are whole"
    return told + (f"; not {', '.join(left)}" if left else "")


def missing(result: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """What is missing in a study's result, or in those of several, and what to do."""
    if not isinstance(result, Mapping):
        return f"{summary(result)}; the same command tries again"
    folder, whole = Path(result["folder"]), len(result["cells"])
    parts = [f"{result['failed']} of {whole} commands failed"] if result["failed"] else []
    parts += [f"{result['not_run']} of {whole} commands were not run"] if result["not_run"] else []
    parts += [f"{counted(result['unread'], 'figure')} cannot be read"] if result["unread"] else []
    again = "the same command tries again" if result["failed"] or result["not_run"] else "mend the measure's `from`"
    return (
        f"{folder.name} is not whole, {' and '.join(parts)}; {folder / STUDY} tells why, {TABLE} beside it has the "
        f"rest, and {again}"
    )


def line(event: Done) -> str:
    """How a cell went, and how long the rest should take."""
    at = " ".join(f"{axis}={value}" for axis, value in event.cell.at.items())
    left = "" if event.eta_s is None or event.done == event.cells else f"; about {show.clock(event.eta_s)} left"
    how = f"{event.ran.status}, {event.ran.error}"
    if event.ran.status == "done":
        how = show.clock(event.ran.seconds or 0.0)
    return f"{event.done}/{event.cells} {event.cell.step} {at}: {how}{left}"


def described(plan: Plan, outcomes: Outcomes) -> str:
    """What a study claims, varies and runs."""
    one, found = plan.study, counts(plan, outcomes)
    lines = [one.title, f"{one.paper.of}: {one.paper.where}", "", f"Claim: {one.claim}"]
    lines += [f"Otherwise than there: {plan.differences}"] if plan.differences else []
    lines += ["", f"On {plan.domain.about.title}, seeds {', '.join(map(str, plan.seeds))}:"]
    lines += [f"  {name}: {_values(axis)}" for name, axis in plan.axes.items()]
    lines += [f"  ({what})" for what in plan.above]
    lines += ["", "Steps:"]
    steps = load_shared().steps | one.steps
    used = dict.fromkeys(cell.step for cell in plan.cells.values())
    more = {name: f" {flags}" for name, flags in plan.choice.also.items()}
    lines += [f"  {name}: gannotate {steps[name].run}{more.get(name, '')}" for name in used if name in steps]
    lines += ["", f"Settings (--set): {', '.join(f'{name}={value}' for name, value in plan.settings.items())}"]
    lines += ["", f"{found['cells']} cells, {found['done']} done, {found['failed']} failed"]
    lines += [f"  {failure}" for failure in failures(plan, outcomes)]
    return "\n".join(lines)


def _values(axis: Axis) -> str:
    """The values of an axis, and whether it takes others."""
    values = ", ".join(str(one.value) for one in axis.values)
    return f"{values} (other {'whole ' if axis.whole else ''}numbers with --only)" if axis.open else values


def _named(plan: Plan, cell: str) -> str:
    one = plan.cells[cell]
    return " ".join([one.step, *(f"{axis}={value}" for axis, value in one.at.items())])
