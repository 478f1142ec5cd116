"""Which decoder `gannotate predict` reads pictures with, where no segmenter does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gannotate.errors import UsageError
from gannotate.pretraining.sources import reads_source
from gannotate.project import Project
from gannotate.record import is_finished

if TYPE_CHECKING:
    from gannotate.cli.predict import PredictFlags


def decoder_of(project: Project, flags: PredictFlags) -> Path:
    """The decoder that the flags name, or the newest one that reads what --through says.

    Raises:
        UsageError: there is none, or it reads something else.
    """
    wanted = flags.through == "features"
    if flags.decoder is None:
        fitting = [path for path in project.made("decoders") if is_finished(path) and reads_source(path) == wanted]
        if fitting:
            return fitting[-1]
        if wanted:
            raise UsageError(
                f"{project.folder} has no decoder of another network's features; fit one with `gannotate fit "
                f"{project.folder} --from real --labelled DIR --features DIR`"
            )
    folder = project.find("decoders", flags.decoder)
    if reads_source(folder) != wanted:
        reads = "the generator's activations" if wanted else "another network's features"
        other = "generator" if wanted else "features"
        raise UsageError(f"the decoder {folder.name} reads {reads}; use --through {other}, or name another --decoder")
    return folder
