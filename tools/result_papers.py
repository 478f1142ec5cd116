"""What a paper says beside what a section of docs/results.md measured, from the studies' own yaml files.

Ours stand in the paper's own table, in its measure and its unit; in what they differ is the study's `differences`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import Formatter

from gannotate.studies import load_study
from gannotate.studies.documents import Scalar
from gannotate.studies.study import Published, Study
from gannotate.studies.tables import decimals_of, markdown_lines, published

HERE = "here, "
"""Begins the name of every row or column that is ours."""

Ours = Mapping[str, Mapping[Scalar, float]]
"""Row -> column -> a fraction. New rows and columns begin with HERE."""


def beside(name: str, ours: Ours, known: Mapping[str, object] | None = None, without: Sequence[str] = ()) -> list[str]:
    """A study's claim, the first table that its paper has of it with our figures in it, and in what these differ.

    known, without: see `differences`.

    Raises:
        ValueError: neither the row nor the column of a figure is ours, so that it would pass for the paper's.
    """
    study = load_study(name)
    told, table = study.published[0], {row: dict(cells) for row, cells in study.published[0].table.items()}
    percent = max(figure for cells in table.values() for figure in cells.values() if isinstance(figure, float)) > 1
    for row, cells in ours.items():
        for column, figure in cells.items():
            if not row.startswith(HERE) and not str(column).startswith(HERE):
                raise ValueError(f"{row}, {column} of {name} is named as if it were the paper's")
            table.setdefault(row, {})[column] = round(100 * figure if percent else figure, decimals_of(told))
    grid = published(Published(title=told.title, table=table))
    unit = ", in %" if percent else ""
    caption = f'{said(name, known, without)} The table: {told.title}{unit}; ours begin with "{HERE.strip(", ")}".'
    return [caption, "", *markdown_lines(grid), ""]


def said(name: str, known: Mapping[str, object] | None = None, without: Sequence[str] = ()) -> str:
    """A study's paper, its claim, and in what ours differs; `known`, `without`: see `differences`."""
    study = load_study(name)
    different = differences(study, known or {}, without)
    otherwise = f" Otherwise here: {different}" if different else ""
    return f"**{study.paper.of}**, {study.paper.where}: {study.claim}{otherwise}"


def differences(study: Study, known: Mapping[str, object], without: Sequence[str]) -> str:
    """The study's differences as far as they are those of the runs in docs/results.md, too.

    A setting of the study is filled in from `known`; a part with another one is left out, and so is one that has a
    word of `without`: it is of something that these runs do not have.
    """
    parts = re.split(r"(?<=[;.]) ", " ".join(study.differences.split()))
    there = [part for part in parts if not any(word in part for word in without)]
    filled = " ".join(part.format_map(known) for part in there if _holes(part) <= set(known))
    return f"{filled.rstrip(';.')}." if filled else ""


def _holes(part: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(part) if name is not None}
