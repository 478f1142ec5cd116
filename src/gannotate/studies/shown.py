"""What a study shows that no table holds: pictures that its commands drew, and curves on the way of their fits.

Both are read from files that cells left, so that a command need not know of studies.
"""

from __future__ import annotations

from pydantic import Field

from gannotate.studies.documents import Format, Strict


class Picture(Strict):
    """A picture that a command drew; `from` is a field of its result that is a path, and what follows it."""

    source: str = Field(alias="from", min_length=1)
    """E.g. `{pretrain.encoder}/tsne.png`; a PNG below the folder of that step's cell."""
    title: str = Field(min_length=1)
    """What it shows, for those who cannot see it too."""


class Curve(Strict):
    """How a figure changes on the way of a fit or a training: one line for each combination of `series`."""

    source: str = Field(alias="from", min_length=1)
    """Where its log is, e.g. `{fit.decoder}/log.jsonl`: a JSON object a line; those without the figure are left out."""
    y: str = Field(min_length=1)
    """Name of the figure in the log."""
    x: str = "step"
    """Name of what it is drawn over."""
    title: str = Field(min_length=1)
    format: Format = "fraction"
    series: tuple[str, ...] = ()
