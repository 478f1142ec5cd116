"""The project of a cell: as an earlier cell left it, without a copy of every file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from gannotate.errors import GannotateError
from gannotate.files import write_text

PROJECT = "project"
"""Where in its folder a cell has its project."""

KEPT = ("generator", "pool", "annotations", "decoders")
"""Folders of a project that the project of a later cell has too; datasets and segmenters are given by their path."""


def link_project(origin: Path, others: Iterable[Path], target: Path) -> None:
    """A project at `target` that begins as `origin`, with the decoders of the `others` too.

    Files are hard links where the disk allows: nothing in a project is ever changed in place, only replaced.

    Raises:
        GannotateError: no project at `origin`, or two decoders of one name that are not the same.
    """
    if (target / "project.yaml").exists():
        return  # of a cell that was stopped, and goes on
    if not (origin / "project.yaml").exists():
        raise GannotateError(f"{origin} is no project; the step before left none there, or it was deleted")
    building = Path(tempfile.mkdtemp(prefix=".project.", dir=target.parent))
    building.chmod(0o755)
    for name in KEPT:
        if (origin / name).is_dir():
            _link_tree(origin / name, building / name)
    for other in others:
        _add_decoders(other / "decoders", building / "decoders")
    write_text(building / "project.yaml", (origin / "project.yaml").read_text())
    os.replace(building, target)


def _add_decoders(origin: Path, target: Path) -> None:
    for decoder in sorted(origin.glob("*")):
        there = target / decoder.name
        if not there.exists():
            _link_tree(decoder, there)
        elif (there / "run.json").read_bytes() != (decoder / "run.json").read_bytes():
            raise GannotateError(
                f"this cell uses two decoders that are both called {decoder.name}; a command reads one of them by its "
                "name, so let its step use one fit only"
            )


def _link_tree(origin: Path, target: Path) -> None:
    shutil.copytree(origin, target, copy_function=_link, ignore=_hidden)


def _hidden(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(".")]


def _link(origin: str, target: str) -> None:
    try:
        os.link(origin, target)
    except OSError:  # another disk, or one without links
        shutil.copy2(origin, target)
