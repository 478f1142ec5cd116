"""Flags of verbs that say how a training is computed, not what it learns."""

# no `from __future__ import annotations` here: cyclopts reads the fields in the modules of the verbs that inherit them
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from gannotate.cli import show
from gannotate.cli.flags import Common, Training
from gannotate.training.descent import Compute
from gannotate.training.loop import Progress

SPEED = Parameter(group=Group("Speed and memory", sort_key=8))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Accumulating(Training):
    """Flags of trainings whose batches can be gone through in parts."""

    accumulate: Annotated[int, SPEED] = 1
    """Go through each batch in so many passes, which takes less memory; found by itself where memory runs out."""

    def compute(self) -> Compute:
        """The library's settings."""
        return Compute(accumulate=self.accumulate)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Precise(Accumulating):
    """Flags of trainings that can be computed in half precision."""

    precision: Annotated[Literal["32", "bf16"], SPEED] = "32"
    """32, or bf16 (activations in bfloat16: half the memory, and faster on new CUDA cards and some processors;
    `gannotate doctor` measures it)."""

    def compute(self) -> Compute:
        """The library's settings."""
        return Compute(accumulate=self.accumulate, precision=self.precision)


def told(running: Iterator[Progress], flags: Accumulating) -> Iterator[Progress]:
    """The same progress; says where memory ran out and more passes are made."""
    known = flags.accumulate
    for progress in running:
        passes = int(progress.metrics.get("passes", known))
        if passes > known:
            say_passes(flags, passes, int(progress.metrics["pass_size"]))
        known = passes
        yield progress


def say_passes(flags: Common, passes: int, size: int) -> None:
    """Says that a batch takes so many passes now, and what that changes."""
    show.say(
        flags,
        f"out of memory: each batch is now gone through in {passes} passes; batch norm (a discriminator's batch "
        f"deviation) now sees {size} pictures at a time; --accumulate {passes} starts so",
    )
