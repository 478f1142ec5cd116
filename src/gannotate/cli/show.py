"""What a verb shows: progress and hints on stderr, the result on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import yaml

from gannotate.cli.flags import Common
from gannotate.wording import counted

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LINE_EVERY_S = 10.0
"""Seconds between progress lines where stderr is no terminal."""


class Step(Protocol):
    """Progress of a long job, e.g. gannotate.training.loop.Progress; eta_s: until its end, whatever ends it."""

    @property
    def done(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def eta_s(self) -> float: ...
    @property
    def metrics(self) -> dict[str, float]: ...


S = TypeVar("S", bound=Step)


def follow(progress: Iterable[S], title: str, quiet: bool = False) -> S | None:
    """Runs a long job to its end, showing it on stderr; returns its last progress (None without a step)."""
    if quiet:
        return _last(progress)
    if sys.stderr.isatty():
        return _follow_with_bar(progress, title)
    return _follow_with_lines(progress, title)


def say(flags: Common, text: str) -> None:
    """A hint on stderr, unless --quiet."""
    if not flags.quiet:
        sys.stderr.write(text + "\n")


def finish(flags: Common, result: Mapping[str, Any] | Sequence[Any], text: str, next_step: str = "") -> int:
    """Shows a verb's result on stdout (as JSON with --json), then the next step; returns exit code 0."""
    if flags.json:
        sys.stdout.write(json.dumps(result, indent=2, default=str) + "\n")
    else:
        sys.stdout.write(text.rstrip() + "\n")
        if next_step and not flags.quiet:
            sys.stdout.write(f"next: {next_step}\n")
    sys.stdout.flush()
    return 0


def plan(flags: Common, steps: Sequence[str], config: Mapping[str, Any]) -> int:
    """--dry-run: what would be done, and every setting; returns exit code 0."""
    if flags.json:
        sys.stdout.write(json.dumps({"dry_run": True, "would": list(steps), "config": config}, indent=2) + "\n")
        return 0
    would = "".join(f"would {step}\n" for step in steps)
    sys.stdout.write(would + "settings:\n")
    text = yaml.safe_dump(dict(config), sort_keys=False, default_flow_style=False)
    sys.stdout.write("".join(f"  {line}\n" for line in text.splitlines()))
    return 0


def table(rows: Sequence[Sequence[str]]) -> str:
    """Text columns, the first one left-aligned, the others right-aligned; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def fraction(value: float | None) -> str:
    """A figure between 0 and 1 with three digits; '-' for one that does not exist (an absent class)."""
    return "-" if value is None else f"{value:.3f}"


def _last(progress: Iterable[S]) -> S | None:
    last = None
    for step in progress:
        last = step
    return last


def _follow_with_lines(progress: Iterable[S], title: str) -> S | None:
    last, told, shown = None, False, time.monotonic()
    for step in progress:
        last, told = step, time.monotonic() - shown >= LINE_EVERY_S
        if told:
            shown = time.monotonic()
            _line(title, step)
    if last is not None and not told:
        _line(title, last)
    return last


def _line(title: str, step: Step) -> None:
    left = f", {clock(step.eta_s)} left" if step.done < step.steps and step.eta_s else ""
    sys.stderr.write(f"{title}: {_place(step)} in {clock(step.seconds)}{left}{_metrics(step)}\n")
    sys.stderr.flush()


def _place(step: Step) -> str:
    return counted(step.done, "step") if ends_by_time(step) else f"{step.done}/{step.steps}"


def ends_by_time(step: Step) -> bool:
    """Whether a job ends long before its last step, as --minutes asks for: then their number tells nothing."""
    needed_s = step.seconds / max(1, step.done) * (step.steps - step.done)
    return step.eta_s < needed_s / 2


def _follow_with_bar(progress: Iterable[S], title: str) -> S | None:
    last = None
    with _bar() as bar:
        task = bar.add_task(title, total=None, place="", left="", metrics="")
        for step in progress:
            last = step
            by_time = ends_by_time(step)
            bar.update(
                task,
                total=step.seconds + step.eta_s if by_time else step.steps,
                completed=step.seconds if by_time else step.done,
                place=_place(step),
                left=clock(step.eta_s),
                metrics=_metrics(step),
            )
    return last


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[place]}"),
        TimeElapsedColumn(),
        TextColumn("left {task.fields[left]}{task.fields[metrics]}", markup=False),
    )
    return Progress(*columns, console=Console(stderr=True), refresh_per_second=4)


def _metrics(step: Step) -> str:
    return "".join(f", {name} {value:.4g}" for name, value in step.metrics.items())


def clock(seconds: float) -> str:
    """Seconds as 1:05 or 2:01:05."""
    minutes, second = divmod(round(max(0.0, seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
