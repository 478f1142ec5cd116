"""Figures of cells that ran elsewhere, from what `study run` left there: study.json has what is read of each cell.

A cell is the same wherever it runs, so its figures need not be made again; what it made besides (networks, datasets)
is not here, so that a cell that another one needs runs again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gannotate.errors import GannotateError
from gannotate.parsing import DAMAGED
from gannotate.studies.cell import Ran
from gannotate.studies.pictures import picture_bytes
from gannotate.studies.plan import Plan
from gannotate.studies.reading import Ended
from gannotate.studies.resolving import CELL
from gannotate.studies.runner import Outcomes
from gannotate.studies.words import Result, field_of
from gannotate.studies.writing import STUDY


def add_known(plan: Plan, outcomes: Outcomes, ended: Ended) -> int:
    """Adds to the outcomes the cells that are done in a folder and that all figures can be read of.

    Those that are here stay. Gives how many were added.

    Raises:
        GannotateError: its study.json is damaged.
    """
    try:
        found = _known(plan, outcomes, ended.content.get("cells", {}))
    except DAMAGED as error:
        path = ended.folder / STUDY
        raise GannotateError(f"{path} is damaged ({' '.join(str(error).split())}); leave it out") from error
    outcomes.ran.update(found)
    for one in ended.pictures:
        if one.cell in found and (data := picture_bytes(ended.folder, one)) is not None:
            outcomes.pictures[one.cell, one.of] = data
    for line in (line for curve in ended.curves for line in curve.lines):
        if line.cell in found and line.points:
            outcomes.curves[line.cell, line.of] = line.points
    return len(found)


def _known(plan: Plan, outcomes: Outcomes, cells: Mapping[str, Mapping[str, Any]]) -> dict[str, Ran]:
    found: dict[str, Ran] = {}
    for cell, figures in _read_from(plan).items():
        told = cells.get(cell, {})
        if cell in outcomes.results or told.get("status") != "done":
            continue
        read = told.get("read", {})  # nothing of its result, where figures are of its time and memory alone
        if all(figure.fields[0] == CELL or _has(read, figure) for figure in figures):
            known = Ran.of("done", told, read, reused=True)
            found[cell] = replace(known, elsewhere=True, command=str(told.get("command", "")))
    return found


def _read_from(plan: Plan) -> dict[str, set[Result]]:
    """Every cell that figures are read from, with these."""
    found: dict[str, set[Result]] = {}
    for row in plan.rows:
        for figure in row.figures.values():
            found.setdefault(figure.cell, set()).add(figure)
    return found


def _has(told: Mapping[str, Any], figure: Result) -> bool:
    try:
        field_of(told, figure)
    except GannotateError:
        return False
    return True
