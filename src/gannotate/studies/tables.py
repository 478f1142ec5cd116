"""A study's tables as Markdown and as comma-separated values."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from gannotate.studies.documents import Scalar
from gannotate.studies.findings import Figure, Finding, Point
from gannotate.studies.plan import Plan
from gannotate.studies.study import Format, Published, Table

SHOWN: dict[Format, Callable[[float], str]] = {
    "fraction": lambda value: f"{value:.3f}",
    "number": lambda value: f"{value:.4g}",
    "count": lambda value: f"{value:,.0f}",
    "seconds": lambda value: f"{value:.1f}" if value < 10 else f"{value:.0f}",
    "mb": lambda value: f"{value:,.0f}",
}


@dataclass(frozen=True)
class Column:
    """One column: a measure, at one value of the table's column axis, or over all of them."""

    title: str
    measure: str
    at: Mapping[str, Scalar]


def markdown(plan: Plan, points: Sequence[Point], findings: Sequence[Finding]) -> str:
    """All tables, the papers' own, and what the figures say of the claims."""
    lines: list[str] = []
    for table in plan.study.tables:
        lines += [f"### {table.title}", ""] if table.title else []
        lines += [*_lines(*_grid(plan, table, points)), ""]
    lines += [_note(points), ""]
    if findings:
        lines += ["### What becomes of the claims", "", *_lines(*_claims(findings)), ""]
    for published in plan.study.published:
        lines += [f"### In the paper: {published.title}", "", *_lines(*_published(published)), ""]
    return "\n".join(lines).rstrip() + "\n"


def comma_separated(plan: Plan, points: Sequence[Point]) -> str:
    """One line for each measure at each value of the axes: mean, deviation, least, most, count."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [*plan.axes, "measure", "mean", "deviation", "least", "most", "seeds", "asked", "failed", "not_run"]
    )
    for point in points:
        for name, one in point.figures.items():
            figures = [one.mean, one.deviation, one.least, one.most]
            shown = ["" if value is None else repr(round(value, 6)) for value in figures]
            writer.writerow([*point.at.values(), name, *shown, one.count, one.asked, one.failed, one.not_run])
    return out.getvalue()


def cell_text(figure: Figure | None, form: Format) -> str:
    """Mean (smallest-largest); why there is none; and over how many seeds when some are missing."""
    if figure is None:
        return ""
    if figure.mean is None:
        return "failed" if figure.failed else "not run" if figure.not_run else "-"
    show = SHOWN[form]
    text = show(figure.mean)
    if figure.count > 1 and form in ("fraction", "number"):
        text += f" ({show(figure.least or 0.0)}-{show(figure.most or 0.0)})"
    missing = figure.failed + figure.not_run
    return f"{text}, {figure.count} of {figure.asked}" if missing else text


def _columns(plan: Plan, table: Table) -> list[Column]:
    names = [one for name in table.measures or tuple(plan.study.measures)[:1] for one in plan.families[name]]
    columns = []
    for name in names:
        title = plan.measures[name].title or name
        if table.columns is None:
            columns.append(Column(title, name, {}))
            continue
        axis = plan.axes[table.columns]
        for value in axis.values:
            of = f"{axis.title or table.columns} {value.shown}" if axis.numeric else value.shown
            of = f"{value.shown} {axis.unit}" if axis.unit else of
            columns.append(Column(of if len(names) == 1 else f"{title}, {of}", name, {table.columns: value.value}))
    beside = [one for name in table.beside for one in plan.families[name]]
    over = ", mean" if table.columns is not None and len(plan.axes[table.columns].values) > 1 else ""
    return columns + [Column(f"{plan.measures[name].title or name}{over}", name, {}) for name in beside]


def _grid(plan: Plan, table: Table, points: Sequence[Point]) -> tuple[list[str], list[list[str]]]:
    columns = _columns(plan, table)
    heads = [plan.axes[axis].title or axis for axis in table.rows]
    rows: dict[tuple[Scalar, ...], list[Point]] = {}
    for point in points:
        rows.setdefault(tuple(point.at[axis] for axis in table.rows), []).append(point)
    lines = []
    for place, own in rows.items():
        names = [plan.axes[axis].find(value).shown for axis, value in zip(table.rows, place, strict=True)]
        lines.append([*names, *(_text(plan, column, own) for column in columns)])
    return heads + [column.title for column in columns], lines


def _text(plan: Plan, column: Column, points: Sequence[Point]) -> str:
    own = [point for point in points if all(point.at[axis] == value for axis, value in column.at.items())]
    figures = [point.figures[column.measure] for point in own]
    form = plan.measures[column.measure].format
    if len(figures) == 1:
        return cell_text(figures[0], form)
    means = [figure.mean for figure in figures if figure.mean is not None]
    return SHOWN[form](fmean(means)) if means else ("-" if figures else "")


def _note(points: Sequence[Point]) -> str:
    figures = [figure for point in points for figure in point.figures.values()]
    most = max((figure.asked for figure in figures), default=0)
    spread = "" if most == 1 else ", smallest to largest in brackets"
    note = f"Mean over {most} seed{'s' if most != 1 else ''}{spread}."
    failed, missing = sum(figure.failed for figure in figures), sum(figure.not_run for figure in figures)
    return note + (f" {failed} figures failed and {missing} were not run." if failed or missing else "")


def _claims(findings: Sequence[Finding]) -> tuple[list[str], list[list[str]]]:
    rows = []
    for one in findings:
        found = [item["difference"] for item in one.differences]
        shown = f"{fmean(found):+.3f} ({min(found):+.3f} to {max(found):+.3f})" if found else "-"
        where = f"{one.held} of {one.places}" if one.places else "-"
        rows.append([one.text, one.verdict, where, shown])
    return ["claim", "here", "places", "difference, mean (from-to)"], rows


def _published(published: Published) -> tuple[list[str], list[list[str]]]:
    columns = list(dict.fromkeys(column for row in published.table.values() for column in row))
    rows = [[name, *(str(row.get(column, "-")) for column in columns)] for name, row in published.table.items()]
    return ["", *map(str, columns)], rows


def _lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
