"""Figures of cells that ran elsewhere, from what `study run` left there: study.json has what is read of each cell.

A cell is the same wherever it runs, so its figures need not be made again; what it made besides (networks, datasets)
is not here, so that a cell that another one needs runs again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gannotate.errors import GannotateError
from gannotate.parsing import DAMAGED
from gannotate.studies.cell import Ran
from gannotate.studies.plan import CELL, Plan
from gannotate.studies.reading import Ended
from gannotate.studies.runner import Outcomes
from gannotate.studies.words import Result, field_of
from gannotate.studies.writing import STUDY


def add_known(plan: Plan, outcomes: Outcomes, ended: Sequence[Ended]) -> int:
    """Adds to the outcomes the cells that are done in one of the folders and that all figures can be read of.

    Those that are here stay. Gives how many were added.

    Raises:
        GannotateError: a study.json is damaged.
    """
    before = len(outcomes.results)
    for folder in ended:
        try:
            _add(plan, outcomes, folder.content.get("cells", {}))
        except DAMAGED as error:
            path = folder.folder / STUDY
            raise GannotateError(f"{path} is damaged ({' '.join(str(error).split())}); leave it out") from error
    return len(outcomes.results) - before


def _add(plan: Plan, outcomes: Outcomes, cells: Mapping[str, Mapping[str, Any]]) -> None:
    for cell, figures in _read_from(plan).items():
        told = cells.get(cell, {})
        if cell in outcomes.results or told.get("status") != "done":
            continue
        if all(figure.fields[0] == CELL or _has(told.get("read"), figure) for figure in figures):
            known = Ran.of("done", told, told.get("read"), reused=True)
            outcomes.ran[cell] = replace(known, elsewhere=True, command=str(told.get("command", "")))


def _read_from(plan: Plan) -> dict[str, set[Result]]:
    """Every cell that figures are read from, with these."""
    found: dict[str, set[Result]] = {}
    for row in plan.rows:
        for figure in row.figures.values():
            found.setdefault(figure.cell, set()).add(figure)
    return found


def _has(told: Mapping[str, Any] | None, figure: Result) -> bool:
    try:
        field_of(told or {}, figure)
    except GannotateError:
        return False
    return True
