"""Flags that every verb has, and those of verbs that train."""

# no `from __future__ import annotations` here: cyclopts reads the fields in the modules of the verbs that inherit them
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from gannotate.errors import UsageError

SHOWN_ONLY = ("json", "quiet", "verbose", "dry_run", "config")
"""Flags that change what is shown, not what is done: they are no part of a run's settings."""

MAY_DIFFER = ("resume", "device", "accumulate", "precision", "compile", "minutes")
"""Flags that may differ between a run and its resumption."""

SHARED = Parameter(group=Group("Flags of every command", sort_key=9))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Common:
    """Flags of every verb."""

    seed: Annotated[int, SHARED] = 0
    """Seed of every random draw."""
    device: Annotated[str, SHARED] = "auto"
    """Where to compute: auto (a CUDA card when there is one), cpu, cuda or cuda:1."""
    config: Annotated[Path | None, SHARED] = None
    """YAML file with values for these flags; a flag on the command line wins."""
    json: Annotated[bool, SHARED, Parameter(negative="")] = False
    """Print the result as JSON on stdout, and nothing else there."""
    dry_run: Annotated[bool, SHARED, Parameter(negative="")] = False
    """Print what would be done, with every setting, and do nothing."""
    quiet: Annotated[bool, SHARED, Parameter(negative="")] = False
    """No progress and no hints."""
    verbose: Annotated[bool, SHARED, Parameter(name=["--verbose", "-v"], negative="")] = False
    """Show the traceback of an error."""

    def __post_init__(self) -> None:
        """Raises UsageError for a seed that not all random draws take; verbs that draw have a first one too."""
        for flag, seed in (("--seed", self.seed), ("--first-seed", getattr(self, "first_seed", None))):
            if seed is not None and seed < 0:
                raise UsageError(f"{flag} is {seed}; give 0 or more")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Resumable(Common):
    """Flags of verbs that make a run folder and can go on with it."""

    resume: Annotated[bool, SHARED] = True
    """Go on with the latest run when it is unfinished and has the same settings."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Stepped(Resumable):
    """Flags of verbs that optimise."""

    max_steps: Annotated[int | None, SHARED] = None
    """At most so many optimisation steps, of each stage where a method has several."""

    def __post_init__(self) -> None:
        """Raises UsageError for a limit that leaves nothing to do."""
        super().__post_init__()
        if self.max_steps is not None and self.max_steps < 1:
            raise UsageError(f"--max-steps is {self.max_steps}; give 1 or more, or leave it out for all steps")

    def steps_of(self, steps: int) -> int:
        """`steps`, but no more than --max-steps."""
        return steps if self.max_steps is None else min(steps, self.max_steps)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Training(Stepped):
    """Flags of verbs that train for long."""

    minutes: Annotated[float | None, SHARED] = None
    """Stop after so many minutes of training."""

    def __post_init__(self) -> None:
        """Raises UsageError for a limit that leaves nothing to do."""
        super().__post_init__()
        if self.minutes is not None and not self.minutes > 0:
            raise UsageError(f"--minutes is {self.minutes:g}; give more than 0, or leave it out for no limit")


def settings(flags: Common, **more: Any) -> dict[str, Any]:
    """The resolved settings of a run, JSON-able: every flag that changes what is done, and `more`."""
    chosen = {item.name: getattr(flags, item.name) for item in fields(flags) if item.name not in SHOWN_ONLY}
    # through JSON, so that they equal what a run record gives back
    return json.loads(json.dumps(chosen | more, default=str))


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Names of settings that make two runs different ones."""
    names = sorted(set(before) | set(now))
    return [name for name in names if name not in MAY_DIFFER and before.get(name) != now.get(name)]
