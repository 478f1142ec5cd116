"""From a study and a domain to cells: every command, what it needs, and what identifies it.

The whole plan is known before anything runs. Each row (a value of every axis, and a seed) asks for the steps that its
measures are read from, these for the steps that they mention, and so on; what is not mentioned is not run. Two rows
that come to the same command on the same things have the same cell: it has one identity, and runs once.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gannotate.errors import UsageError, nearest
from gannotate.studies.axis import Axis
from gannotate.studies.chosen import choose
from gannotate.studies.documents import Scalar
from gannotate.studies.domain import Domain
from gannotate.studies.made import MadeFile
from gannotate.studies.resolving import Cell, Resolver
from gannotate.studies.settings import check_names, settings_of
from gannotate.studies.study import EVERY_CLASS, MOST_SEEDS, SEED, Measure, Shared, Study
from gannotate.studies.words import Input, Result, Word


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
    resolver = Resolver(study, shared, domain, every, axes, choice.also)
    rows = []
    for seed in seeds:
        for at in _combinations(study, axes):
            figures = {called: resolver.figure(measure, at | {SEED: seed}) for called, measure in measures.items()}
            rows.append(Row(at, seed, figures, resolver.files(at | {SEED: seed}, figures)))
    if not rows:
        raise UsageError(f"nothing of the study {name} is left; give --only other values")
    settings = {name: value for name, value in resolver.settings.items() if name in resolver.used}
    for idle in (one for one in choice.settings if one not in settings):
        raise UsageError(
            f"--set {idle} changes nothing in the study {name} on {domain.name}; it has {', '.join(settings)}"
        )
    for idle in (one for one in choice.also if one not in resolver.added):
        steps = list(resolver.resolved)
        raise UsageError(
            f"--also names {idle!r}, which is no step of {name}{nearest(idle, steps)}; there are {', '.join(steps)}"
        )
    reduced = (
        *([f"{_seeds_text(len(seeds))} in place of {study.seeds}"] if len(seeds) < study.seeds else []),
        *(f"{one} {value} in place of {usual[one]}" for one, value in settings.items() if value != usual[one]),
        *chosen.fewer,
        *(f"{step} with {_shown(words)}" for step, words in resolver.added.items()),
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
        resolver.cells,
        differences=told_differences(name, study, resolver.settings),
        reduced=reduced,
        besides=chosen.besides,
        above=chosen.above,
    )


def told_differences(name: str, study: Study, settings: Mapping[str, Scalar]) -> str:
    """In what a study differs from its paper, with its settings filled in for {NAME}.

    Raises:
        UsageError: it names something else than these settings.
    """
    try:
        return study.differences.format_map(settings)
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


def check_seeds(choice: Choice) -> None:
    """Whether so many seeds are asked for as any study may have.

    Raises:
        UsageError: fewer or more.
    """
    if choice.seeds is not None and not 1 <= choice.seeds <= MOST_SEEDS:
        raise UsageError(f"--seeds is {choice.seeds}; give 1 to {MOST_SEEDS}")


def _seeds(study: Study, choice: Choice) -> tuple[int, ...]:
    check_seeds(choice)
    usual = study.quick.seeds if choice.quick else study.seeds
    count = usual if choice.seeds is None else choice.seeds
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
