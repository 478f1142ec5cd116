"""Files that cells leave, found again: never outside the folder of the cell, whatever its result says."""

from __future__ import annotations

from pathlib import Path

from gannotate.errors import GannotateError
from gannotate.studies.cell import place
from gannotate.studies.made import MadeFile
from gannotate.studies.plan import Plan
from gannotate.studies.runner import Outcomes
from gannotate.studies.words import field_of


class NoFile(GannotateError):
    """What a study should show is not there; says why, to stand behind what it is."""


def find_file(folder: Path, plan: Plan, outcomes: Outcomes, made: MadeFile) -> Path:
    """The file, in the folder of all studies.

    Raises:
        NoFile: its cell was not run, failed or ran elsewhere, or there is no such file in the cell's folder.
    """
    cell = made.origin.cell
    state, error = outcomes.state(plan, cell)
    if state != "done":
        raise NoFile(f"{made.origin.step} {'failed' if state == 'failed' else 'was not run'}{error and f': {error}'}")
    if cell not in outcomes.made:
        raise NoFile(f"{made.origin.step} ran elsewhere, and its files are not here")
    try:
        told = field_of(outcomes.made[cell], made.origin)
    except GannotateError as missing:
        raise NoFile(str(missing)) from missing
    own = place(folder, cell)
    path = folder / f"{told}{made.rest}"
    try:
        inside, there = path.resolve().is_relative_to(own.resolve()), path.is_file()
    except (OSError, ValueError) as odd:  # a name that no file can have
        raise NoFile(f"{made} is no name of a file") from odd
    if not inside:
        raise NoFile(f"{made} is outside the folder of its cell")
    if not there:
        raise NoFile(f"{path.name} is not in the folder of {made.origin.step}")
    return path
