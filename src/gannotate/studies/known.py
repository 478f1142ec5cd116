"""Figures of cells that ran elsewhere, from what `study run` left there: study.json tells every seed's.

A cell is the same wherever it runs, so its figures need not be made again; what it made besides (networks, datasets)
is not here, so that a cell that another one needs runs again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gannotate.errors import GannotateError
from gannotate.parsing import DAMAGED
from gannotate.studies.cell import Ran
from gannotate.studies.plan import CELL, Plan
from gannotate.studies.reading import Ended
from gannotate.studies.runner import Outcomes
from gannotate.studies.words import Result
from gannotate.studies.writing import SCORES, STUDY

Told = Mapping[str, Mapping[str, float | None]]
"""By cell, its measures as a study.json has them."""


def add_known(plan: Plan, outcomes: Outcomes, ended: Sequence[Ended]) -> None:
    """Adds to the outcomes the cells of whose figures each is in one of the folders; those that are here stay.

    A row there that failed, or has not been run, tells nothing; nor does a cell of which a measure is missing.

    Raises:
        GannotateError: a study.json is damaged.
    """
    for folder in ended:
        if folder.name == plan.name:
            try:
                outcomes.ran.update(_known(plan, outcomes, folder))
            except DAMAGED as error:
                path = folder.folder / STUDY
                raise GannotateError(f"{path} is damaged ({' '.join(str(error).split())}); leave it out") from error


def _known(plan: Plan, outcomes: Outcomes, ended: Ended) -> dict[str, Ran]:
    """The cells that are not done and that this folder knows."""
    found, told, cells = dict[str, Ran](), _told(ended), ended.content.get("cells", {})
    for cell, figures in _read_from(plan):
        if cell not in outcomes.results and cell in told and all(name in told[cell] for name, _ in figures):
            result = _result({figure: told[cell][name] for name, figure in figures})
            result |= _scored(ended) if plan.cells[cell].verb == SCORES else {}
            found[cell] = replace(Ran.of("done", cells.get(cell, {}), result, reused=True), elsewhere=True)
    return found


def _told(ended: Ended) -> Told:
    told: dict[str, dict[str, float | None]] = {}
    for row in ended.content["rows"]:
        if row["status"] == "done":
            for name, cell in row.get("cells", {}).items():
                told.setdefault(cell, {})[name] = row["figures"][name]
    return told


def _scored(ended: Ended) -> dict[str, int]:
    """On how many pictures each network there was scored, where that is one number."""
    counts = set(ended.content.get("scored_pictures", ()))
    return {"pictures": counts.pop()} if len(counts) == 1 else {}


def _read_from(plan: Plan) -> Iterator[tuple[str, list[tuple[str, Result]]]]:
    """Every cell that figures are read from, with the names of these measures and where each is read.

    But for cells of which rows read different fields by one name: a study.json does not tell these apart.
    """
    found: dict[str, dict[str, set[Result]]] = {}
    for row in plan.rows:
        for name, figure in row.figures.items():
            found.setdefault(figure.cell, {}).setdefault(name, set()).add(figure)
    for cell, figures in found.items():
        if all(len(fields) == 1 for fields in figures.values()):
            yield cell, [(name, next(iter(fields))) for name, fields in figures.items()]


def _result(values: Mapping[Result, float | None]) -> dict[str, Any]:
    """A result with these fields alone."""
    result: dict[str, Any] = {}
    for figure, value in values.items():
        if figure.fields[0] == CELL:  # of the cell itself: its record has it
            continue
        place = result
        for field in figure.fields[:-1]:
            place = place.setdefault(field, {})
        place[figure.fields[-1]] = value
    return result
