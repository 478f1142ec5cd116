"""From a step's command to a cell: its words with the holes filled, the cells that it needs, and what identifies it.

A name in a hole is a value of an axis, a setting, a source of the domain, another step's result or project, or a place.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gannotate
from gannotate.errors import UsageError, nearest
from gannotate.studies.axis import Axis, Value
from gannotate.studies.digests import content_digest
from gannotate.studies.documents import Scalar
from gannotate.studies.domain import Domain
from gannotate.studies.made import MadeFile, made_file
from gannotate.studies.study import EVERY_CLASS, SOURCES, Measure, Shared, Step, Study
from gannotate.studies.words import BRACES, Here, Hole, Input, Part, ProjectOf, Result, Word, identify, parse, split

IDENTITY_VERSION = 1
COMMAND_VERSIONS: dict[str, int] = {
    # labelled and unlabelled pictures are normalised apart, and:
    "train --method adversarial": 2,
    "train --method gct": 3,  # the weight of its agreement is of the sum over classes
    "train --method mean-teacher": 3,  # so is that of its own, and it is 1 in place of 10
    "train --method pseudo-labels": 2,
    "train --method s4gan": 2,
}
"""Raised for commands with such words whose results became others within one version of gannotate: they run anew."""

CELL, NAME = "cell", "name"
OF_CELL = ("seconds", "cpu_s", "peak_mb")
"""What a measure may read of a cell itself."""


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


class Resolver:
    """The cells of a plan, each identity once."""

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
            found = [(word, Path(word)) for word in _parted(self.also[name])]
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


def _parted(flags: str) -> Iterator[str]:
    """The words of flags, `--flag=value` as two, so that a value that is a file is seen to be one.

    Raises:
        UsageError: there is a hole in them: no name stands for anything here.
    """
    for word in split(flags):
        if BRACES.search(word):
            raise UsageError(f"--also has {word!r}; give the value itself, {{NAME}} is for a study's own file")
        flag, equals, value = word.partition("=")
        yield from (flag, value) if equals and flag.startswith("--") else (word,)


def _version(words: Sequence[Word]) -> int:
    """The highest of those that `COMMAND_VERSIONS` gives to commands with these words; 1 where it gives none."""
    texts = {word[0] for word in words if len(word) == 1}
    return max((version for of, version in COMMAND_VERSIONS.items() if texts.issuperset(of.split())), default=1)
