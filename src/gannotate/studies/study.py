"""Studies as data: what is compared, by which commands, what is read from their results, and what a paper says of it.

docs/studies.md tells how to write one. Those that ship are library/*.yaml; library/shared.yaml holds the steps that
every study may use: the project of a domain, its pool, its annotator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gannotate.errors import UsageError, nearest
from gannotate.studies.axis import Axis
from gannotate.studies.documents import Format, Scalar, Strict, read_document
from gannotate.studies.shown import Curve, Picture

SEED, RESERVED = "seed", ("here", "project", "domain", "seed")
"""Names that a template gives a meaning to."""

SOURCES = ("generator", "labelled", "unlabelled", "test", "latents")
"""What a domain gives: a folder of a generator, labelled pictures, unlabelled ones, labelled test pictures; and the
latents that draw the labelled ones, where they are known."""

SHARED = "shared"

MOST_SEEDS = 1000
"""More of them are a mistake: a plan has every command of every seed."""

EVERY_CLASS = "*"
"""Field of a measure's source that stands for each class of the domain."""

Values = Annotated[tuple[Scalar, ...], Field(min_length=1)]
"""Some values of an axis."""


class Step(Strict):
    """One command of `gannotate`, without that word; as a plain text in YAML, or with what must come before it."""

    run: str = Field(min_length=1)
    after: tuple[str, ...] = ()
    """Steps that must have run although nothing of them is mentioned in the command."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, given: Any) -> Any:
        return {"run": given} if isinstance(given, str) else given


class Measure(Strict):
    """A figure that is read from a step's result; `{step.cell.seconds}`, `.cpu_s` and `.peak_mb` are the runner's."""

    source: str = Field(alias="from")
    title: str = ""
    format: Format = "fraction"
    better: Literal["higher", "lower"] = "higher"
    optional: bool = False
    """The result may lack it: then there is no figure, and no error."""


class Table(Strict):
    """Rows by axes, columns by one axis (or none) for every measure, then measures over all of these columns."""

    title: str = ""
    rows: tuple[str, ...] = Field(min_length=1)
    columns: str | None = None
    measures: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    best: tuple[str, ...] | None = None
    """Measures whose best figures stand out: all of them when None; not where rows are not rivals."""


class Plot(Strict):
    """A measure over an axis; one line, or one group of points, for each combination of `series`.

    where: only at these values of other axes, so that several plots can part what is too much for one.
    """

    title: str = ""
    x: str
    series: tuple[str, ...] = ()
    measure: str
    where: dict[str, Scalar] = Field(default={})
    scale: Literal["linear", "log"] = "linear"


class Expectation(Strict):
    """A claim that can be looked up: `better` has a better mean than `than`, by at least `by`, wherever both are.

    A negative `by` says "at most so much worse". where: only at these values of other axes. A measure of every class
    is compared class by class.
    """

    text: str
    better: dict[str, Scalar] = Field(min_length=1)
    than: dict[str, Scalar] = Field(min_length=1)
    by: float = 0.0
    measure: str | None = None
    where: dict[str, Values] = Field(default={})
    change: dict[str, tuple[Scalar, Scalar]] = Field(default={}, max_length=1)
    """AXIS: [from, to]; compares by how much the measure gets better on the way, and not the measure itself."""
    enough: float = Field(default=1.0, gt=0, le=1)
    """Part of the places at which it must be so, e.g. 0.5 for "in most classes"."""
    ours: bool = False
    """A question that we ask and the paper does not: it has no say in whether the paper's claim holds."""

    @model_validator(mode="after")
    def _check(self) -> Expectation:
        if set(self.better) != set(self.than):
            raise ValueError("better and than name different axes; name the same ones")
        if _as_texts(self.better) == _as_texts(self.than):
            raise ValueError("better and than are the same; name another value in one of them")
        for axis in self.change:
            if axis in {*self.better, *self.where}:
                raise ValueError(f"change and {'better' if axis in self.better else 'where'} both name {axis}")
        for axis, (start, end) in self.change.items():
            if str(start) == str(end):
                raise ValueError(f"change goes from {axis} {start} to the same; name two values")
        return self


class See(Strict):
    """A part of another study's claim, by the study's name and the part's text."""

    study: str
    part: str


class Untestable(Strict):
    """A part of the paper's claim that no figure of this study can speak for or against, and why that is so."""

    text: str = Field(min_length=1)
    why: str = Field(min_length=1)
    see: See | None = None
    """Another study asks it: what that found is this part's finding, too."""
    possible: bool = False
    """It could be asked with what is here, and was not."""


class Superseded(Strict):
    """What a change of ours has made other since: figures written before it are not what the same command gives now."""

    before: str = Field(min_length=10)
    """A date, or date and time in UTC, as in study.json."""
    at: dict[str, Values]
    """Values of axes whose figures it is about."""
    what: str = Field(min_length=1)


class Published(Strict):
    """Figures as a paper has them: row, then column."""

    title: str
    table: dict[str, dict[Scalar, Scalar]]


class Paper(Strict):
    """Where a study comes from."""

    of: str
    where: str


class Quick(Strict):
    """What is smaller in the form that takes minutes."""

    seeds: int = Field(default=1, ge=1, le=MOST_SEEDS)
    axes: dict[str, Values] = Field(default={})
    settings: dict[str, Scalar] = Field(default={})


class Shared(Strict):
    """library/shared.yaml: steps and settings for all studies."""

    settings: dict[str, Scalar] = Field(default={})
    quick: Quick = Quick()
    steps: dict[str, Step] = Field(default={})


class Study(Strict):
    """All of a study's YAML."""

    title: str
    paper: Paper
    claim: str
    differences: str = ""
    """In what the study is not what the paper did, beyond data and size; {NAME} stands for the value of a setting."""
    domains: tuple[str, ...] = ()
    """The only domains that it can be done on; any when empty."""
    seeds: int = Field(default=3, ge=1, le=MOST_SEEDS)
    settings: dict[str, Scalar] = Field(default={})
    axes: dict[str, Axis] = Field(min_length=1)
    leave_out: tuple[dict[str, Values], ...] = ()
    """Combinations that make no sense: each names values of some axes."""
    steps: dict[str, Step] = Field(default={})
    measures: dict[str, Measure] = Field(min_length=1)
    learned: str | None = None
    """A measure that is 0 where a training learned nothing, as the mean IoU without the background is where all is
    called background. A rival that learned nothing is not compared with."""
    floor: dict[str, Scalar] = Field(default={})
    """Values of axes at which nothing was learned, as {source: random}. A rival that is not above what is there is not
    compared with, either."""
    tables: tuple[Table, ...] = Field(min_length=1)
    plots: tuple[Plot, ...] = ()
    curves: tuple[Curve, ...] = ()
    pictures: tuple[Picture, ...] = ()
    expect: tuple[Expectation, ...] = ()
    untestable: tuple[Untestable, ...] = ()
    superseded: tuple[Superseded, ...] = ()
    published: tuple[Published, ...] = ()
    quick: Quick = Quick()

    @model_validator(mode="after")
    def _check(self) -> Study:
        names = [*self.axes, *self.steps, *self.settings, *SOURCES, *RESERVED]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} names two things (axis, step, setting or source); rename one")
        for where, mentioned in self._mentions():
            for name in mentioned:
                if name not in self.axes:
                    raise ValueError(f"{where} names the axis {name!r}, which is none{nearest(name, list(self.axes))}")
        measures = [(where, (*table.measures, *table.beside)) for where, table in self._tables()]
        measures += [(where, (plot.measure,)) for where, plot in self._plots()]
        measures += [(f"expectation {one.text!r}", (one.measure,)) for one in self.expect if one.measure]
        measures += [("learned", (self.learned,))] if self.learned else []
        for where, mentioned in measures:
            for name in mentioned:
                if name not in self.measures:
                    hint = nearest(name, list(self.measures))
                    raise ValueError(f"{where} names the measure {name!r}, which is none{hint}")
        for where, plot in self._plots():
            if EVERY_CLASS in self.measures[plot.measure].source:
                raise ValueError(f"{where} is of {plot.measure}, one figure for every class; name one in its source")
        self._check_values()
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """What is read of files that cells leave, as `from` has it."""
        return tuple(one.source for one in (*self.curves, *self.pictures))

    def _tables(self) -> Iterable[tuple[str, Table]]:
        """The tables, and what they are called in errors."""
        return [(_called("table", one.title, number), one) for number, one in enumerate(self.tables, start=1)]

    def _plots(self) -> Iterable[tuple[str, Plot]]:
        return [(_called("plot", one.title, number), one) for number, one in enumerate(self.plots, start=1)]

    def _mentions(self) -> Iterable[tuple[str, Iterable[str]]]:
        """Who names axes, and which."""
        for where, table in self._tables():
            yield where, (*table.rows, *([table.columns] if table.columns else []))
        for where, plot in self._plots():
            yield where, (plot.x, *plot.series, *plot.where)
        for curve in self.curves:
            yield f"curve {curve.title!r}", curve.series
        for one in self.expect:
            yield f"expectation {one.text!r}", (*one.better, *one.than, *one.where, *one.change)
        yield "floor", self.floor
        for combination in self.leave_out:
            yield "leave_out", combination
        for change in self.superseded:
            yield "superseded", change.at
        yield "quick", self.quick.axes

    def _check_values(self) -> None:
        """Values that are named must be on their axes, and every table and plot must tell all cells apart."""
        named: list[Mapping[str, Sequence[Scalar]]] = [
            {name: (value,) for name, value in side.items()} for one in self.expect for side in _sides(one)
        ]
        named += [values for one in self.expect for values in (one.where, one.change)]
        single = (self.floor, *(plot.where for plot in self.plots))
        named += [{axis: (value,) for axis, value in some.items()} for some in single]
        for some in (*named, *self.leave_out, *(one.at for one in self.superseded), self.quick.axes):
            for axis, values in some.items():
                try:
                    for value in values:
                        self.axes[axis].find(value)
                except UsageError as error:
                    raise ValueError(f"axis {axis}: {error}") from error
        shown = [(where, {*table.rows, table.columns}) for where, table in self._tables()]
        shown += [(where, {plot.x, *plot.series, *plot.where}) for where, plot in self._plots()]
        shown += [(f"curve {one.title!r}", set(one.series)) for one in self.curves]
        for where, axes in shown:
            missing = [name for name in self.axes if name not in axes and len(self.axes[name].values) > 1]
            if missing:
                raise ValueError(f"{where} does not show the axis {', '.join(missing)}; its cells would be mixed up")


def _called(kind: str, title: str, number: int) -> str:
    return f"{kind} {title!r}" if title else f"{kind} {number}"


def _as_texts(side: Mapping[str, Scalar]) -> dict[str, str]:
    return {axis: str(value) for axis, value in side.items()}


def _sides(one: Expectation) -> tuple[Mapping[str, Scalar], Mapping[str, Scalar]]:
    return one.better, one.than


def library() -> Path:
    """The folder of the studies that ship."""
    return Path(str(resources.files("gannotate"))) / "studies" / "library"


def names() -> list[str]:
    """Names of the studies that ship."""
    return sorted(path.stem for path in library().glob("*.yaml") if path.stem != SHARED)


def load_study(name: str) -> Study:
    """A study that ships, by its name; or one of a file, by a path that ends with .yaml.

    Raises:
        UsageError: no such study, or one with mistakes.
    """
    if name.endswith((".yaml", ".yml")):
        return read_document(name, Study)
    if name not in names():
        own = Path(f"{name}.yaml")
        hint = f"; did you mean the file {own}?" if own.is_file() else nearest(name, names())
        raise UsageError(f"there is no study {name!r}{hint}; `gannotate study list` names all")
    return read_document(library() / f"{name}.yaml", Study)


def load_shared() -> Shared:
    """The steps that every study may use."""
    return read_document(library() / f"{SHARED}.yaml", Shared)
