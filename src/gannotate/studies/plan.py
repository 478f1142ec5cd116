"""From a study and a domain to cells: every command, what it needs, and what identifies it.

The whole plan is known before anything runs. Each row (a value of every axis, and a seed) asks for the steps that its
measures are read from, these for the steps that they mention, and so on; what is not mentioned is not run. Two rows
that come to the same command on the same things have the same cell: it has one identity, and runs once.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import gannotate
from gannotate.errors import UsageError, nearest
from gannotate.studies.axis import Axis, Value
from gannotate.studies.chosen import choose
from gannotate.studies.digests import content_digest
from gannotate.studies.documents import Scalar
from gannotate.studies.domain import Domain
from gannotate.studies.made import MadeFile, made_file
from gannotate.studies.settings import check_names, settings_of
from gannotate.studies.study import EVERY_CLASS, SEED, SOURCES, Measure, Shared, Step, Study
from gannotate.studies.words import Here, Hole, Input, Part, ProjectOf, Result, Word, identify, parse, split

IDENTITY_VERSION = 1
COMMAND_VERSIONS: dict[str, int] = {
    # labelled and unlabelled pictures are normalised apart
    "train --method adversarial": 2,
    "train --method gct": 2,
    "train --method mean-teacher": 2,  # its weight is of the sum over classes
    "train --method s4gan": 2,
}
"""Raised for commands with such words whose results became others within one version of gannotate: they run anew."""

CELL, NAME = "cell", "name"
OF_CELL = ("seconds", "cpu_s", "peak_mb")
"""What a measure may read of a cell itself."""


@dataclass(frozen=True)
class Choice:
    """How much of a study is done.

    seeds: how many, the study's own when None. only: values of axes, the others are left out; an axis of plain numbers
    takes new ones. settings: over the study's. also: more flags for the command of a step.
    """

    quick: bool = False
    seeds: int | None = None
    first_seed: int = 0
    only: Mapping[str, Sequence[Scalar]] = field(default_factory=dict)
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    also: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One command. at: the axes and the seed of the first row that asked for it."""

    id: str
    step: str
    words: tuple[Word, ...]
    uses: tuple[str, ...]
    at: Mapping[str, Scalar]

    @property
    def verb(self) -> str:
        """The command's first word."""
        return str(self.words[0][0])

    @property
    def project(self) -> str | None:
        """The cell whose project this one begins with."""
        return next((part.cell for word in self.words for part in word if isinstance(part, ProjectOf)), None)


@dataclass(frozen=True)
class Row:
    """One value of each axis and a seed, where each measure is read, and what the study's `files` stand for."""

    at: Mapping[str, Scalar]
    seed: int
    figures: Mapping[str, Result]
    files: Mapping[str, MadeFile] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """All of a study on a domain; the cells in the order in which they should run: one seed, then the next."""

    name: str
    study: Study
    domain: Domain
    choice: Choice
    axes: Mapping[str, Axis]
    settings: Mapping[str, Scalar]
    seeds: tuple[int, ...]
    measures: Mapping[str, Measure]
    families: Mapping[str, tuple[str, ...]]
    """A measure of the study to those of this plan: one, or one for each class."""
    rows: tuple[Row, ...]
    cells: Mapping[str, Cell]
    differences: str = ""
    """The study's own, with the settings filled in."""
    reduced: tuple[str, ...] = ()
    """In what less is done than the study asks for on this domain, in words."""
    besides: tuple[str, ...] = ()
    """In what more is done than the study asks for: values of its axes that it has not, in words."""
    above: tuple[str, ...] = ()
    """Values that were asked for and not done, as they are more than the domain has, in words."""

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps whose commands are run."""
        return tuple(dict.fromkeys(cell.step for cell in self.cells.values()))

    @property
    def called(self) -> str:
        """Name of its folder."""
        return f"{self.name}-{self.domain.name}" + ("-quick" if self.choice.quick else "")


def make_plan(name: str, study: Study, shared: Shared, domain: Domain, choice: Choice | None = None) -> Plan:
    """All cells of a study on a domain.

    Raises:
        UsageError: the study is for other domains, needs a source that this one lacks, or a name in it stands for
            nothing.
    """
    choice = choice or Choice()
    if study.domains and domain.name not in study.domains:
        raise UsageError(f"the study {name} is for {', '.join(study.domains)}, not for {domain.name}")
    seeds = _seeds(study, choice)
    check_names(study, shared, domain)
    every = settings_of(study, shared, domain, choice.settings, choice.quick)
    usual = settings_of(study, shared, domain)
    chosen = choose(study, domain, choice.only, choice.quick, every, usual)
    axes = chosen.axes
    measures, families = _measures(study, domain)
    builder = _Builder(study, shared, domain, every, axes, choice.also)
    rows = []
    for seed in seeds:
        for at in _combinations(study, axes):
            figures = {called: builder.figure(measure, at | {SEED: seed}) for called, measure in measures.items()}
            rows.append(Row(at, seed, figures, builder.files(at | {SEED: seed}, figures)))
    if not rows:
        raise UsageError(f"nothing of the study {name} is left; give --only other values")
    settings = {name: value for name, value in builder.settings.items() if name in builder.used}
    for idle in (one for one in choice.settings if one not in settings):
        raise UsageError(f"--set {idle} changes nothing in the study {name}; it has {', '.join(settings)}")
    for idle in (one for one in choice.also if one not in builder.added):
        steps = list(builder.resolved)
        raise UsageError(
            f"--also names {idle!r}, which is no step of {name}{nearest(idle, steps)}; there are {', '.join(steps)}"
        )
    reduced = (
        *([f"{_seeds_text(len(seeds))} in place of {study.seeds}"] if len(seeds) < study.seeds else []),
        *(f"{one} {value} in place of {usual[one]}" for one, value in settings.items() if value != usual[one]),
        *chosen.fewer,
        *(f"{step} with {_shown(words)}" for step, words in builder.added.items()),
    )
    return Plan(
        name,
        study,
        domain,
        choice,
        axes,
        settings,
        seeds,
        measures,
        families,
        tuple(rows),
        builder.cells,
        differences=_filled(name, study.differences, builder.settings),
        reduced=reduced,
        besides=chosen.besides,
        above=chosen.above,
    )


def _filled(name: str, text: str, settings: Mapping[str, Scalar]) -> str:
    """The text with {NAME} replaced by settings."""
    try:
        return text.format_map(settings)
    except (KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
        raise UsageError(
            f"the differences of the study {name} have a hole for {error}, which is no setting; write {{NAME}} of "
            f"one of {', '.join(settings)}"
        ) from error


def only_seeds(lack: str) -> bool:
    """Whether one of a plan's `reduced` says that there are fewer seeds."""
    return re.fullmatch(r"\d+ seeds? in place of \d+", lack) is not None


def _shown(words: Sequence[Word]) -> str:
    """Words for a person: of files and folders their names."""
    return " ".join(part.path.name if isinstance(part, Input) else str(part) for word in words for part in word)


def _seeds_text(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"


def _seeds(study: Study, choice: Choice) -> tuple[int, ...]:
    usual = study.quick.seeds if choice.quick else study.seeds
    count = usual if choice.seeds is None else choice.seeds
    if count < 1:
        raise UsageError(f"--seeds is {count}; give 1 or more")
    return tuple(range(choice.first_seed, choice.first_seed + count))


def _measures(study: Study, domain: Domain) -> tuple[dict[str, Measure], dict[str, tuple[str, ...]]]:
    """The measures, those of every class once for each of them."""
    measures: dict[str, Measure] = {}
    families: dict[str, tuple[str, ...]] = {}
    for name, measure in study.measures.items():
        if EVERY_CLASS not in measure.source:
            measures[name], families[name] = measure, (name,)
            continue
        for one in domain.about.classes:
            measures[f"{name}: {one}"] = measure.model_copy(update={"title": one})
        families[name] = tuple(f"{name}: {one}" for one in domain.about.classes)
    return measures, families


def _combinations(study: Study, axes: Mapping[str, Axis]) -> Iterator[dict[str, Scalar]]:
    for values in itertools.product(*(axis.values for axis in axes.values())):
        at = {name: value.value for name, value in zip(axes, values, strict=True)}
        if not any(_within(study, at, left_out) for left_out in study.leave_out):
            yield at


def _within(study: Study, at: Mapping[str, Scalar], some: Mapping[str, Sequence[Scalar]]) -> bool:
    """Whether `some` names this place; a new value of an axis is named where all those next to it are."""
    beside = {name: study.axes[name].beside(at[name]) for name in some}
    return all(set(map(str, beside[name])) <= set(map(str, values)) for name, values in some.items())


class _Builder:
    """Resolves commands into cells, each identity once."""

    def __init__(
        self,
        study: Study,
        shared: Shared,
        domain: Domain,
        settings: dict[str, Scalar],
        axes: Mapping[str, Axis],
        also: Mapping[str, str],
    ) -> None:
        self.domain, self.settings, self.axes, self.also = domain, settings, axes, also
        self.shown = study.files
        self.steps: dict[str, Step] = dict(shared.steps) | dict(study.steps)
        self.made = {name: Step(run=made.run) for name, made in domain.made.items()}
        self.cells: dict[str, Cell] = {}
        self.used: set[str] = set()
        self.resolved: dict[str, None] = {}
        self.added: dict[str, list[Word]] = {}
        self._digests: dict[Path, str] = {}
        self._known: dict[tuple[str, tuple[tuple[str, Scalar], ...]], Cell] = {}
        self._resolving: list[str] = []

    def figure(self, measure: Measure, at: Mapping[str, Scalar]) -> Result:
        """Where a measure is read in the row `at`.

        Raises:
            UsageError: its `from` is no field of a step.
        """
        words = self._words(measure.source, at)
        parts = words[0] if len(words) == 1 else ()
        if len(parts) != 1 or not isinstance(parts[0], Result):
            raise UsageError(f"the measure {measure.source!r} is no field of a step; write e.g. {{test.miou}}")
        result = parts[0]
        if result.fields[0] == CELL and result.fields[1:] not in [(name,) for name in OF_CELL]:
            raise UsageError(
                f"the measure {measure.source!r} is none of {', '.join(f'cell.{name}' for name in OF_CELL)}"
            )
        fields = tuple(measure.title if field == EVERY_CLASS else field for field in result.fields)
        return Result(result.cell, result.step, fields, result.name)

    def files(self, at: Mapping[str, Scalar], figures: Mapping[str, Result]) -> dict[str, MadeFile]:
        """The files that the study shows something of, in the row `at` with these figures."""
        read = {figure.cell for figure in figures.values()}
        return {one: made_file(one, self._words(one, at), read) for one in self.shown}

    def cell(self, name: str, step: Step, at: Mapping[str, Scalar]) -> Cell:
        """The cell of a step in the row `at`."""
        key = name, tuple(at.items())
        if key not in self._known:
            self._known[key] = self._resolve(name, step, at)
        return self._known[key]

    def _resolve(self, name: str, step: Step, at: Mapping[str, Scalar]) -> Cell:
        if name in self._resolving:
            raise UsageError(f"the steps {' -> '.join([*self._resolving, name])} need each other; break the circle")
        self._resolving.append(name)
        try:
            words = (*self._words(step.run, at), *self._more(name))
            after = [self._step(one, at).id for one in step.after]
        finally:
            self._resolving.pop()
        uses = [part.cell for word in words for part in word if isinstance(part, ProjectOf | Result)]
        identity = {
            "identity_version": IDENTITY_VERSION,
            "gannotate": ".".join(gannotate.__version__.split(".")[:2]),
            "verb_version": _version(words),
            "words": [identify(word) for word in words],
            "after": after,
        }
        text = json.dumps(identity, sort_keys=True)
        number = hashlib.sha256(text.encode()).hexdigest()[:16]
        # the first row that needs a cell names it: rows come in the order in which they should be there
        return self.cells.setdefault(number, Cell(number, name, words, tuple(dict.fromkeys([*uses, *after])), dict(at)))

    def _more(self, name: str) -> list[Word]:
        """The words that were asked for beside those of a step; what is a file or folder counts by its content."""
        self.resolved[name] = None
        if name in self.also and name not in self.added:
            found = [(word, Path(word)) for word in split(self.also[name])]
            self.added[name] = [
                (Input(path.resolve(), self._digest(path)) if path.exists() else word,) for word, path in found
            ]
        return self.added.get(name, [])

    def _step(self, name: str, at: Mapping[str, Scalar]) -> Cell:
        if name not in self.steps:
            raise UsageError(f"there is no step {name!r}{self._where()}{nearest(name, list(self.steps))}")
        return self.cell(name, self.steps[name], at)

    def _where(self) -> str:
        """Where a name was met, for errors: in a step, or else in a measure, which is named by its `from`."""
        return f" in the step {self._resolving[-1]}" if self._resolving else ""

    def _words(self, command: str, at: Mapping[str, Scalar]) -> list[Word]:
        words: list[Word] = []
        for raw in split(command):
            parts = parse(raw)
            text = self._text(parts[0], at) if len(parts) == 1 and isinstance(parts[0], Hole) else None
            if text is not None:  # a piece of a command: as many words as it has
                words += self._words(text, at)
            else:
                words.append(self._join(parts, at))
        return words

    def _join(self, parts: Sequence[str | Hole], at: Mapping[str, Scalar]) -> Word:
        found: list[Part] = []
        for part in parts:
            if isinstance(part, str):
                found.append(part)
                continue
            text = self._text(part, at)
            found += [self._part(part, at)] if text is None else self._join(parse(text), at)
        joined: list[Part] = []
        for is_text, group in itertools.groupby(found, key=lambda part: isinstance(part, str)):
            some = list(group)
            joined += ["".join(map(str, some))] if is_text else some
        return tuple(joined)

    def _text(self, hole: Hole, at: Mapping[str, Scalar]) -> str | None:
        """The piece of a command that a hole stands for, None when it stands for something else."""
        if hole.name in self.axes and hole.fields:
            return self._piece(hole, self.axes[hole.name].find(at[hole.name]))
        texts = self.domain.texts()
        if hole.name == "domain" and len(hole.fields) == 1 and hole.fields[0] in texts:
            return texts[hole.fields[0]]
        return None

    def _piece(self, hole: Hole, value: Value) -> str:
        if len(hole.fields) != 1 or hole.fields[0] not in value.texts:
            known = ", ".join(value.texts) or "no pieces"
            raise UsageError(f"{hole}{self._where()} stands for nothing: {hole.name} {value.value} has {known}")
        return value.texts[hole.fields[0]]

    def _part(self, hole: Hole, at: Mapping[str, Scalar]) -> Part:
        if hole.name == "here":
            return Here()
        if hole.name == "project":
            return ProjectOf(self._step(hole.tail, at).id)
        if hole.name == "domain" and hole.fields == ("classes",):
            return ",".join(self.domain.about.classes)
        if hole.name in at and not hole.fields:
            return str(at[hole.name])
        if hole.name in self.settings and not hole.fields:
            self.used.add(hole.name)
            return str(self.settings[hole.name])
        if hole.name in SOURCES and not hole.fields:
            return self._source(hole.name, at)
        if hole.name in self.steps and hole.fields:
            cell = self._step(hole.name, at)
            return Result(cell.id, hole.name, hole.fields, hole.tail == NAME)
        known = [*self.axes, *self.settings, *SOURCES, *self.steps, "here", "seed"]
        raise UsageError(
            f"{hole}{self._where()} stands for nothing{nearest(hole.name, known)}; a step needs a field, e.g. "
            "{fit.steps}"
        )

    def _source(self, name: str, at: Mapping[str, Scalar]) -> Part:
        if name in self.domain.missing:
            raise UsageError(self.domain.missing[name])
        if name in self.made:
            cell = self.cell(f"{self.domain.name} {name}", self.made[name], at)
            return Result(cell.id, cell.step, (self.domain.made[name].gives,))
        return Input(path := self.domain.paths[name], self._digest(path))

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            self._digests[path] = content_digest(path)
        return self._digests[path]


def _version(words: Sequence[Word]) -> int:
    """The highest of those that `COMMAND_VERSIONS` gives to commands with these words; 1 where it gives none."""
    texts = {word[0] for word in words if len(word) == 1}
    return max((version for of, version in COMMAND_VERSIONS.items() if texts.issuperset(of.split())), default=1)
