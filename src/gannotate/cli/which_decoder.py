"""Which decoder of a project a verb takes: the one that it was told, or the newest that it can use."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from gannotate.decoders.build import reads_source
from gannotate.errors import UsageError
from gannotate.project import Project
from gannotate.record import is_finished
from gannotate.wording import quoted

Reads = Literal["generator", "features"]

READS: dict[Reads, str] = {"generator": "the generator's activations", "features": "another network's features"}
"""What decoders read, in words."""

FITS: dict[Reads, str] = {"generator": "", "features": " --from real --labelled DIR --features DIR"}
"""What makes `gannotate fit PROJECT` fit one that reads it."""


def decoder_reading(project: Project, given: str | None, reads: Reads, otherwise: str = "") -> Path:
    """The decoder called `given`, or when that is None the newest finished one, of those that read `reads`.

    Args:
        otherwise: what to type where only decoders of the other kind are there, e.g. `use --through features`.

    Raises:
        UsageError: there is none, or the one called so reads something else.
    """
    other = READS["generator" if reads == "features" else "features"]
    advice = f"{otherwise}, or " if otherwise else ""
    if given is not None:
        folder = project.find("decoders", given)
        if _reads(folder) != reads:
            raise UsageError(f"the decoder {folder.name} reads {other}; {advice}name another --decoder")
        return folder
    finished = [path for path in project.made("decoders") if is_finished(path)]
    for folder in reversed(finished):
        if _reads(folder) == reads:
            return folder
    make = f"make one with `gannotate fit {quoted(project.folder)}{FITS[reads]}`"
    if not finished:
        raise UsageError(f"{project.folder} has no finished decoder yet; {make}")
    raise UsageError(f"the decoders of {project.folder} read {other}, not {READS[reads]}; {advice}{make}")


def _reads(folder: Path) -> Reads:
    return "features" if reads_source(folder) else "generator"
