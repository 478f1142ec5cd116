"""Numbered run folders: a new one, or the latest unfinished one with the same settings."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from gannotate.cli import show
from gannotate.cli.flags import Resumable, differences
from gannotate.files import drop
from gannotate.locks import is_free
from gannotate.project import Project
from gannotate.record import check_free, is_finished, read_record


def open_run(project: Project, kind: str, name: str, flags: Resumable, config: dict[str, Any]) -> Path:
    """The folder to work in: an unfinished one of this kind and name is gone on with when its settings are the same."""
    unfinished = resumable(project, kind, name, flags, config)
    if unfinished is not None:
        check_free(unfinished)
        show.say(flags, f"going on with {unfinished} (--no-resume starts a new one)")
        return unfinished
    for finished in filter(is_finished, project.made(kind)):
        drop_checkpoint(finished)  # where the command was killed before it came to that
    folder = project.next_folder(kind, name)
    show.say(flags, f"working in {folder}")
    return folder


def check_not_held(project: Project, kind: str, name: str, flags: Resumable, config: dict[str, Any]) -> None:
    """Asks whether another process has the folder that `open_run` would go on with, before anything long is read.

    Raises:
        GannotateError: one has.
    """
    unfinished = resumable(project, kind, name, replace(flags, quiet=True), config)
    if unfinished is not None:
        check_free(unfinished)


def resumable(project: Project, kind: str, name: str, flags: Resumable, config: dict[str, Any]) -> Path | None:
    """The unfinished folder that `open_run` would go on with; says why not when its settings differ."""
    unfinished = project.unfinished(kind, name) if flags.resume else None
    if unfinished is None:
        return None
    record = read_record(unfinished)
    if record is None:  # killed before it began, or put there by hand
        return unfinished
    changed = differences(record["config"], config)
    if changed:
        verb = "differs" if len(changed) == 1 else "differ"
        show.say(flags, f"{unfinished} is unfinished, but its {', '.join(changed)} {verb}: starting anew")
        return None
    return unfinished


def drop_unfinished(project: Project, kind: str, name: str) -> None:
    """Removes folders of runs that are never gone on with and that no process is at work in."""
    for folder in project.made(kind):
        if folder.name[5:] == name and not is_finished(folder) and is_free(folder):
            shutil.rmtree(folder, ignore_errors=True)


def drop_checkpoint(folder: Path) -> None:
    """Removes the training state of a finished run: several times the size of what was trained, and of no use now."""
    drop(folder / "checkpoint.safetensors")


def where(project: Project, kind: str, name: str, flags: Resumable, config: dict[str, Any]) -> str:
    """For --dry-run: the folder that would be worked in, in words."""
    unfinished = resumable(project, kind, name, flags, config)
    return f"a new folder in {project.folder / kind}" if unfinished is None else f"{unfinished}, going on with it"
