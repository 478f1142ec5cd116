"""Which file of which cell a study shows something of: `{pretrain.encoder}/tsne.png` in a row of its plan."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gannotate.errors import UsageError
from gannotate.studies.words import Result, Word


@dataclass(frozen=True)
class MadeFile:
    """A file that a cell leaves: what a field of its result says of where, and what follows."""

    origin: Result
    rest: str = ""

    @property
    def name(self) -> str:
        """What tells it from others of its cell."""
        return ".".join(self.origin.fields) + self.rest

    def __str__(self) -> str:
        return f"{self.origin}{self.rest}"


def made_file(source: str, words: Sequence[Word], read: Collection[str]) -> MadeFile:
    """The file that `source` stands for, whose words these are.

    Args:
        read: cells that figures are read from: others may never run.

    Raises:
        UsageError: it is no field of a step with a path behind it, or of a step that no measure is read from.
    """
    match words:
        case [(Result(name=False) as origin,)]:
            made = MadeFile(origin)
        case [(Result(name=False) as origin, str(rest))] if rest.startswith("/"):
            made = MadeFile(origin, rest)
        case _:
            raise UsageError(f"{source!r} is no file of a step; write e.g. {{pretrain.encoder}}/tsne.png")
    if origin.cell not in read:
        raise UsageError(
            f"{source!r} is of the step {origin.step}, which no measure is read from, so that it need not run; add a "
            f"measure, e.g. {{{origin.step}.cell.seconds}}"
        )
    return made
