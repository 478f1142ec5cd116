"""A study's tables as Markdown and as comma-separated values."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from gannotate.studies.axis import Axis, Value
from gannotate.studies.comparison import NOISE, few_labels, noise
from gannotate.studies.documents import Scalar
from gannotate.studies.findings import Figure, Finding, Point
from gannotate.studies.folds import Folds
from gannotate.studies.frame import Frame
from gannotate.studies.study import Format, Published, Table

SHOWN: dict[Format, Callable[[float], str]] = {
    "fraction": lambda value: f"{value:.3f}",
    "number": lambda value: f"{value:.4g}",
    "count": lambda value: f"{value:,.0f}",
    "seconds": lambda value: f"{value:.1f}" if value < 10 else f"{value:.0f}",
    "mb": lambda value: f"{value:,.0f}",
}

UNITS: dict[Format, str] = {"seconds": "s", "mb": "MB"}
"""What stands behind a figure, or in the title of its axis."""


@dataclass(frozen=True)
class Grid:
    """A table as texts.

    names: how many columns from the left name the row. best: (row, column) of the best figures. uneven: whether there
    are means that were not compared for that, as they lack seeds that others have.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int = 1
    best: frozenset[tuple[int, int]] = frozenset()
    uneven: bool = False


@dataclass(frozen=True)
class Column:
    """One column: a measure, at one value of the table's column axis, or over all of them; or its spread over folds."""

    title: str
    measure: str
    at: Mapping[str, Scalar]
    folds: bool = False


def markdown(frame: Frame, points: Sequence[Point], findings: Sequence[Finding]) -> str:
    """All tables, the papers' own, and what the figures say of the claims."""
    lines: list[str] = []
    for table in frame.tables:
        lines += [f"### {table.title}", ""] if table.title else []
        lines += [*markdown_lines(grid(frame, table, points)), ""]
    lines += [note(points), ""]
    if findings:
        lines += ["### What becomes of the claims", "", *markdown_lines(_claims(frame, findings)), "", NOISE, ""]
    for one in frame.published:
        lines += [f"### In the paper: {one.title}", "", *markdown_lines(published(one)), ""]
    return "\n".join(lines).rstrip() + "\n"


def comma_separated(frame: Frame, points: Sequence[Point]) -> str:
    """One line for each measure at each value of the axes: mean, deviation, least, most, count; then those over folds
    where there are any.
    """
    folds = ["fold_mean", "fold_deviation", "folds", "fold_runs"] if any(point.folds for point in points) else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [*frame.axes, "measure", "mean", "deviation", "least", "most", "seeds", "asked", "failed", "not_run", *folds]
    )
    for point in points:
        for name, one in point.figures.items():
            figures = [one.mean, one.deviation, one.least, one.most]
            shown = ["" if value is None else repr(round(value, 6)) for value in figures]
            own = _folds_written(point.folds.get(name)) if folds else []
            writer.writerow([*point.at.values(), name, *shown, one.count, one.asked, one.failed, one.not_run, *own])
    return out.getvalue()


def _folds_written(folds: Folds | None) -> list[object]:
    if folds is None:
        return [""] * 4
    return [repr(round(folds.mean, 6)), repr(round(folds.deviation, 6)), folds.folds, folds.runs]


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


def named(name: str, axis: Axis, value: Value) -> str:
    """A value as it is called where its axis is not: a number with its unit or the axis's title."""
    if axis.unit:
        return f"{value.shown} {axis.unit}"
    return f"{axis.title or name} {value.shown}" if axis.numeric else value.shown


def _columns(frame: Frame, table: Table) -> list[Column]:
    """The measure is named in every head, unless it is the table's only one and its title says it."""
    names = [one for name in table.measures or tuple(frame.families)[:1] for one in frame.families[name]]
    columns = []
    for name in names:
        title = frame.measures[name].title or name
        if table.columns is None:
            columns.append(Column(title, name, {}))
            continue
        axis = frame.axes[table.columns]
        for value in axis.values:
            of = named(table.columns, axis, value)
            said = len(names) == 1 and title.casefold() in table.title.casefold()
            columns.append(Column(of if said else f"{title}, {of}", name, {table.columns: value.value}))
    beside = [one for name in table.beside for one in frame.families[name]]
    over = ", mean" if table.columns is not None and len(frame.axes[table.columns].values) > 1 else ""
    return columns + [Column(f"{frame.measures[name].title or name}{over}", name, {}) for name in beside]


def grid(frame: Frame, table: Table, points: Sequence[Point]) -> Grid:
    """One of the study's tables with its figures."""
    heads = [frame.axes[axis].title or axis for axis in table.rows]
    rows: dict[tuple[Scalar, ...], list[Point]] = {}
    for point in points:
        rows.setdefault(tuple(point.at[axis] for axis in table.rows), []).append(point)
    there = [column for column in _columns(frame, table) if not _empty(column, points)]
    columns = list(_with_folds(there, list(rows.values())))
    lines = []
    for place, own in rows.items():
        names = [frame.axes[axis].find(value).shown for axis, value in zip(table.rows, place, strict=True)]
        lines.append([*names, *(_text(frame, column, own) for column in columns)])
    compared = {
        number: _best(frame, column, list(rows.values()))
        for number, column in enumerate(columns, start=len(heads))
        if table.best is None or column.measure in {one for name in table.best for one in frame.families[name]}
    }
    best = frozenset((row, number) for number, (found, _) in compared.items() for row in found)
    uneven = any(left_out for _, left_out in compared.values())
    return Grid(heads + [column.title for column in columns], lines, len(heads), best, uneven)


def _empty(column: Column, points: Sequence[Point]) -> bool:
    """Whether all was run and there is no figure: of a class that these pictures have not."""
    return bool(points) and all(
        figure.asked and not (figure.count or figure.failed or figure.not_run) for figure in _own(column, points)
    )


def _with_folds(columns: Sequence[Column], rows: Sequence[Sequence[Point]]) -> Iterator[Column]:
    """The columns, and behind each whose figures are over folds too one of these, as papers print them."""
    for column in columns:
        yield column
        found = next((one for own in rows if (one := _folds(column, own)) is not None), None)
        if found is not None:
            yield replace(column, title=f"{column.title}, over {found.folds} folds", folds=True)


def _folds(column: Column, points: Sequence[Point]) -> Folds | None:
    """The spread over folds at one place of the table; None where there is none, or several figures have a mean."""
    own = _at(column, points)
    return own[0].folds.get(column.measure) if len(own) == 1 else None


def _best(frame: Frame, column: Column, rows: Sequence[Sequence[Point]]) -> tuple[list[int], bool]:
    """Places of the best mean of a column, and of those within `noise` of it, none when all are; and whether a mean was
    left out as it lacks seeds.

    Rows with a figure missing are not compared: a mean over the easy half of the cells is no better for it. Nor are
    those that lack a seed that another row has: who was spared a bad seed looks better than who was not.
    """
    measure = frame.measures[column.measure]
    whole = {row: own for row, own in enumerate(rows) if all(one.mean is not None for one in _own(column, own))}
    means = {row: mean for row, own in whole.items() if (mean := _mean(column, own)) is not None}
    lacking = _lacking_seeds(column, {row: rows[row] for row in means})
    means = {row: mean for row, mean in means.items() if row not in lacking}
    if not means:
        return [], bool(lacking)
    best = (max if measure.better == "higher" else min)(means, key=lambda row: means[row])
    close = [row for row in means if _alike(frame, column, rows[row], rows[best])]
    return close if len(close) < len(means) else [], bool(lacking)


def _lacking_seeds(column: Column, rows: Mapping[int, Sequence[Point]]) -> set[int]:
    """The rows with a figure that lacks a seed which any row has: one that failed or was not run.

    Seeds that are missing everywhere set no row apart, nor does one that has no figure although it ran.
    """
    seeds = {row: [set(one.values.get(column.measure, {})) for one in _at(column, own)] for row, own in rows.items()}
    known = set[int]().union(*(one for some in seeds.values() for one in some))
    runs = {row: found.runs if column.folds and (found := _folds(column, own)) else 0 for row, own in rows.items()}
    most = max(runs.values(), default=0)
    return {
        row
        for row, own in rows.items()
        if runs[row] < most
        or any(
            (figure.failed or figure.not_run) and have < known
            for figure, have in zip(_own(column, own), seeds[row], strict=True)
        )
    }


def _alike(frame: Frame, column: Column, one: Sequence[Point], other: Sequence[Point]) -> bool:
    """Whether two means are the same to the reader, or differ by no more than `noise` where each is of one figure."""
    form, means = frame.measures[column.measure].format, [_mean(column, points) or 0.0 for points in (one, other)]
    if SHOWN[form](means[0]) == SHOWN[form](means[1]):
        return True
    own = [_at(column, points) for points in (one, other)]
    if column.folds or any(len(points) != 1 for points in own):
        return False
    figures = [points[0].figures[column.measure] for points in own]
    values = [points[0].values.get(column.measure, {}) for points in own]
    seeds = sorted(set.intersection(*map(set, values)))
    if not seeds:
        return False
    shared, few = [[of[seed] for seed in seeds] for of in values], [few_labels(points[0]) for points in own]
    return abs(means[0] - means[1]) < noise(form, figures, shared, few)


def _mean(column: Column, points: Sequence[Point]) -> float | None:
    if column.folds:
        found = _folds(column, points)
        return None if found is None else found.mean
    means = [figure.mean for figure in _own(column, points) if figure.mean is not None]
    return fmean(means) if means else None


def _own(column: Column, points: Sequence[Point]) -> list[Figure]:
    """The figures that stand at one place of the table."""
    return [point.figures[column.measure] for point in _at(column, points)]


def _at(column: Column, points: Sequence[Point]) -> list[Point]:
    return [point for point in points if all(point.at[axis] == value for axis, value in column.at.items())]


def _text(frame: Frame, column: Column, points: Sequence[Point]) -> str:
    figures, form = _own(column, points), frame.measures[column.measure].format
    if column.folds:
        return _folds_text(_folds(column, points), figures, SHOWN[form])
    if len(figures) == 1:
        return cell_text(figures[0], form)
    mean = _mean(column, points)
    if mean is None:
        return "-" if figures else ""
    there = sum(figure.mean is not None for figure in figures)
    return SHOWN[form](mean) if there == len(figures) else f"{SHOWN[form](mean)}, {there} of {len(figures)}"


def _folds_text(folds: Folds | None, figures: Sequence[Figure], show: Callable[[float], str]) -> str:
    """Mean ± spread over folds; over how many runs when some seeds tell of no folds."""
    if folds is None:
        return "-" if figures else ""
    asked = figures[0].asked
    text = f"{show(folds.mean)} ± {show(folds.deviation)}"
    return f"{text}, {folds.runs} of {asked}" if folds.runs < asked else text


def note(points: Sequence[Point]) -> str:
    """Over how many seeds the figures are, and how many of them are missing."""
    figures = [figure for point in points for figure in point.figures.values()]
    most = max((figure.asked for figure in figures), default=0)
    spread = "" if most == 1 else ", smallest to largest in brackets"
    told = f"Mean over {most} seed{'s' if most != 1 else ''}{spread}.{_folds_note(points)}"
    failed, missing = sum(figure.failed for figure in figures), sum(figure.not_run for figure in figures)
    if not failed and not missing:
        return told
    parts = [f"{failed} figure{'' if failed == 1 else 's'} failed"] if failed else []
    figures = "" if failed else f" figure{'' if missing == 1 else 's'}"
    parts += [f"{missing}{figures} {'was' if missing == 1 else 'were'} not run"] if missing else []
    return f"{told} {' and '.join(parts)}."


def _folds_note(points: Sequence[Point]) -> str:
    found = [one for point in points for one in point.folds.values()]
    if not found:
        return ""
    several = ", each the mean over the seeds" if max(one.runs for one in found) > 1 else ""
    return (
        f" Over {found[0].folds} folds: mean ± standard deviation over the folds of one run{several}; their test "
        "pictures overlap, so that ± is none over seeds."
    )


def _claims(frame: Frame, findings: Sequence[Finding]) -> Grid:
    rows, ours = [], {one.text for one in frame.expect if one.ours}
    for one in findings:
        text = f"{one.text} (our question)" if one.text in ours else one.text
        seeds = str(min(int(item.get("seeds", 1)) for item in one.differences)) if one.differences else "-"
        rows.append([text, one.verdict, _held(one), difference_text(one, frame), seeds])
    return Grid(["claim", "here", "places where it is so", "difference, mean (from-to)", "seeds"], rows)


def _held(one: Finding) -> str:
    """At how many places it is so, at how many that is open, and what is missing."""
    if not one.places:
        return one.why or "-"
    close = one.places - one.held - one.lost
    unlearned = f"{one.unlearned} left out as the rival learned nothing there" if one.unlearned else ""
    parts = [f"{one.held} of {one.places}", f"{close} too close" if close else "", unlearned, one.why]
    return ", ".join(part for part in parts if part)


def difference_text(one: Finding, frame: Frame) -> str:
    """By how much the better one is better: mean, and smallest to largest where there are several places.

    As the measure is shown, with its unit; as a fraction when the finding does not tell which it is.
    """
    found, form = [item["difference"] for item in one.differences], difference_format(one, frame)
    if not found:
        return "-"
    least, most = (signed(value, form) for value in (min(found), max(found)))
    return signed(fmean(found), form) + (f" ({least} to {most})" if len(found) > 1 else "")


def difference_format(one: Finding, frame: Frame) -> Format:
    """How the measure that was compared is shown; a fraction when the finding does not tell which it is."""
    names = frame.families.get(one.measure, ())
    return frame.measures[names[0]].format if names else "fraction"


def signed(difference: float, form: Format) -> str:
    """A difference with its sign, and its unit when it has one."""
    sign = "-" if difference < 0 else "+"
    unit = f" {UNITS[form]}" if form in UNITS else ""
    return f"{sign}{SHOWN[form](abs(difference))}{unit}"


def published(one: Published) -> Grid:
    """A paper's own figures: columns that are numbers rise, and all figures have as many decimals as the longest."""
    columns = list(dict.fromkeys(column for row in one.table.values() for column in row))
    numbers = [_number(column) for column in columns]
    if None not in numbers:
        columns = [column for _, column in sorted(zip(numbers, columns, strict=True), key=lambda pair: pair[0] or 0.0)]
    decimals = decimals_of(one)
    rows = [
        [name, *(_as_printed(row.get(column, "-"), decimals) for column in columns)] for name, row in one.table.items()
    ]
    return Grid(["", *map(str, columns)], rows)


def decimals_of(one: Published) -> int:
    """The most decimals that a figure of the table has."""
    figures = [float(figure) for row in one.table.values() for figure in row.values() if _is_number(figure)]
    return max((len(f"{figure:.8f}".rstrip("0").partition(".")[2]) for figure in figures), default=0)


def _number(column: Scalar) -> float | None:
    """A column's number, which study.json has as a text."""
    try:
        return float(column)
    except ValueError:
        return None


def _is_number(figure: Scalar) -> bool:
    return isinstance(figure, int | float) and not isinstance(figure, bool)


def _as_printed(figure: Scalar, decimals: int) -> str:
    """YAML has 77.90 as 77.9: the papers print all figures of a table alike."""
    return f"{float(figure):.{decimals}f}" if _is_number(figure) else str(figure)


def markdown_lines(table: Grid) -> Iterator[str]:
    """The lines of a table in Markdown."""
    yield "| " + " | ".join(table.heads) + " |"
    yield "|" + "---|" * len(table.heads)
    for row in table.rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
