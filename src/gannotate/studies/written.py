"""What study.json has to hold, so that whoever reads on needs to look at nothing twice: pages, tables, plots, claims.

The file may be anybody's, cut off, or changed by hand. Keys that are not known here are left alone: a later gannotate
of the same format may write more.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gannotate.errors import nearest

MOST = 10**18
"""Larger numbers are none that anything was measured to be; sums and squares of these are still numbers."""

Number = Annotated[float, Field(ge=-MOST, le=MOST)]
Whole = Annotated[int, Field(ge=-MOST, le=MOST)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Place = dict[str, bool | Whole | Number | str]
"""A value of every axis."""


class Part(BaseModel):
    """A part of study.json: values are of the kind that is said here, and no text stands for a number."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class FigureTold(Part):
    """See `findings.Figure`."""

    mean: Number | None = None
    deviation: Number | None = None
    least: Number | None = None
    most: Number | None = None
    count: Count = 0
    asked: Count = 0
    failed: Count = 0
    not_run: Count = 0


class FoldsTold(Part):
    """See `folds.Folds`."""

    mean: Number
    deviation: Number
    folds: Count
    runs: Count = 1


class PointTold(Part):
    """See `findings.Point`."""

    at: Place
    figures: dict[str, FigureTold]
    folds: dict[str, FoldsTold] = {}


class RowTold(Part):
    """One seed at a value of every axis."""

    at: Place
    seed: Whole
    status: str
    figures: dict[str, Number | None]
    cells: dict[str, str] = {}
    errors: dict[str, str] = {}


class DifferenceTold(Part):
    """By how much one side of a claim was better at a place."""

    at: Place
    difference: Number
    seeds: Count = 1


class FindingTold(Part):
    """See `findings.Finding`; the verdict may be in the words of an earlier version."""

    text: str
    verdict: str
    places: Count
    held: Count
    differences: list[DifferenceTold]
    why: str = ""
    lost: Count = 0
    measure: str = ""
    unlearned: Count = 0


class CellTold(Part):
    """A command, and how it went."""

    step: str
    at: Place
    status: str
    uses: list[str] = []
    command: str
    seconds: Number | None
    cpu_s: Number | None = None
    peak_mb: Number | None = None
    error: str = ""
    read: dict[str, Any] = {}


class ValueTold(Part):
    """See `axis.Value`."""

    value: bool | Whole | Number | str
    title: str = ""


class AxisTold(Part):
    """See `axis.Axis`."""

    values: list[ValueTold] = Field(min_length=1)


class MeasureTold(Part):
    """See `study.Measure`; the rest of it, and of all below, is looked at by what reads it (`frame.read_frame`)."""

    title: str = ""


class TableTold(Part):
    """See `study.Table`."""

    rows: list[str] = Field(min_length=1)
    columns: str | None = None
    measures: list[str] = []
    beside: list[str] = []
    best: list[str] | None = None


class PlotTold(Part):
    """See `study.Plot`. svg, png: its files."""

    x: str
    series: list[str] = []
    measure: str
    where: Place = {}
    svg: str = ""
    png: str = ""


class LineTold(Part):
    """See `curves.Line`."""

    at: Place
    points: list[tuple[Number, Number]] = []


class CurveTold(Part):
    """See `curves.DrawnCurve`. svg, png, csv: its files."""

    lines: list[LineTold]
    svg: str = ""
    png: str = ""
    csv: str = ""


class PublishedTold(Part):
    """See `study.Published`."""

    table: dict[str, dict[str, bool | Whole | Number | str]]


class SeeTold(Part):
    """See `study.See`."""

    study: str
    part: str


class ReasonTold(Part):
    """See `study.Untestable`."""

    text: str
    why: str
    see: SeeTold | None = None
    possible: bool = False


class PaperTold(Part):
    """See `study.Paper`."""

    of: str
    where: str


class DomainTold(Part):
    """What it was done on."""

    name: str
    title: str
    about: str = ""
    classes: list[str] = []


class HardwareTold(Part):
    """See `record.hardware`."""

    processor: str | None = None
    cores: Whole | None = None
    memory_mb: Number | None = None
    system: str | None = None
    gpu: str | None = None


class Written(Part):
    """All of study.json that anything reads."""

    study: str
    title: str
    paper: PaperTold
    claim: str
    differences: str = ""
    reduced: list[str] = []
    besides: list[str] = []
    untestable: list[ReasonTold] = []
    domain: DomainTold
    quick: bool
    seeds: list[Whole] = []
    settings: Place = {}
    axes: dict[str, AxisTold] = Field(min_length=1)
    measures: dict[str, MeasureTold] = Field(min_length=1)
    families: dict[str, list[str]] | None = Field(default=None, min_length=1)
    tables: list[TableTold]
    plots: list[PlotTold]
    published: list[PublishedTold] = []
    learned: str | None = None
    floor: Place = {}
    declared: dict[str, list[bool | Whole | Number | str]] = {}
    rows: list[RowTold]
    points: list[PointTold]
    findings: list[FindingTold]
    scored_pictures: list[Count] = []
    curves: list[CurveTold] = []
    pictures: list[dict[str, Any]] = []
    cells: dict[str, CellTold] = {}
    cell_count: Count | None = None
    command: str = ""
    written: str = ""
    wall_s: Number | None = None
    cells_s: Number | None = None
    versions: dict[str, str] = {}
    hardware: HardwareTold = HardwareTold()

    @model_validator(mode="after")
    def _check(self) -> Written:
        """What is named must be there: an axis, a value on it, a measure, a command."""
        families = self.families or {name.split(": ")[0]: [name] for name in self.measures}  # as `frame` has it
        axes = [(f"table {number}", (*one.rows, *_one(one.columns))) for number, one in enumerate(self.tables, 1)]
        axes += [(f"plot {number}", (one.x, *one.series, *one.where)) for number, one in enumerate(self.plots, 1)]
        axes += [("floor", self.floor)]
        measures = [(f"plot {number}", (one.measure,)) for number, one in enumerate(self.plots, 1)]
        measures += [("learned", _one(self.learned)), *((f"family {name}", some) for name, some in families.items())]
        shown = [
            (f"table {number}", (*one.measures, *one.beside, *(one.best or ())))
            for number, one in enumerate(self.tables, 1)
        ]
        uses = [(f"cell {name}", one.uses) for name, one in self.cells.items()]
        for kind, known, mentions in (
            ("axis", self.axes, axes),
            ("measure", self.measures, measures),
            ("measure", families, shown),
            ("cell", self.cells, uses),
        ):
            for where, names in mentions:
                for name in names:
                    if name not in known:
                        hint = nearest(name, list(known))
                        raise ValueError(f"{where} names the {kind} {name!r}, which is not there{hint}")
        values = {name: [one.value for one in axis.values] for name, axis in self.axes.items()}
        for number, point in enumerate(self.points, 1):
            if any(axis not in point.at or point.at[axis] not in own for axis, own in values.items()):
                raise ValueError(f"point {number} is at no value of every axis")
            if missing := [name for name in self.measures if name not in point.figures]:
                raise ValueError(f"point {number} has no figure of {missing[0]!r}")
        if len(self.scored_pictures) not in (0, 2):
            raise ValueError("scored_pictures are not the fewest and the most")
        return self


def check_written(data: bytes) -> Written:
    """What study.json holds, as far as anything reads it.

    Raises:
        ValueError: it holds something else; names the first such place.
    """
    try:
        return Written.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        told = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{place}: {told}" if place else told) from error


def _one(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)
