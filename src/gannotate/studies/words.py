"""Commands with holes: `fit {project:annotated} --shots {shots}` into words, and words into what is typed.

A hole is `{NAME}`, `{NAME.FIELD.FIELD}` or `{NAME:TAIL}`. What a name stands for is the business of plan.py; here are
the grammar, and the words that a plan is made of. A word is known in two forms: what is typed in the end, when the
results of other cells are there, and what identifies it, in which other cells stand by their identity and files by
the digest of what is in them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gannotate.errors import GannotateError, UsageError

HOLE = re.compile(r"\{(?P<name>[A-Za-z][\w-]*)(?P<fields>(?:\.(?:[\w-]+|\*))*)(?::(?P<tail>[\w-]+))?\}")
BRACES = re.compile(r"[{}]")


@dataclass(frozen=True)
class Hole:
    """A place in a command that is filled later: `{name.fields...:tail}`."""

    name: str
    fields: tuple[str, ...] = ()
    tail: str = ""

    def __str__(self) -> str:
        return "{" + ".".join((self.name, *self.fields)) + (f":{self.tail}" if self.tail else "") + "}"


@dataclass(frozen=True)
class Here:
    """The folder of the cell itself."""


@dataclass(frozen=True)
class ProjectOf:
    """A project in the cell's own folder that begins as the one that another cell left."""

    cell: str


@dataclass(frozen=True)
class Result:
    """A field of another cell's result; with `name` only the last part of the path that it is.

    step: what the other cell is called, for people.
    """

    cell: str
    step: str
    fields: tuple[str, ...]
    name: bool = False

    def __str__(self) -> str:
        return f"<{'.'.join((self.step, *self.fields))}>"


@dataclass(frozen=True)
class Input:
    """A file or folder from outside."""

    path: Path
    digest: str


Part = str | Here | ProjectOf | Result | Input
Word = tuple[Part, ...]


def split(command: str) -> list[str]:
    """The words of a command, as a shell would see them.

    Raises:
        UsageError: a quote that is not closed.
    """
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UsageError(f"the command `{command}` cannot be split into words ({error})") from error


def parse(word: str) -> tuple[str | Hole, ...]:
    """The text and the holes of a word, in order.

    Raises:
        UsageError: a brace that belongs to no hole.
    """
    parts: list[str | Hole] = []
    end = 0
    for match in HOLE.finditer(word):
        parts += [word[end : match.start()]] if match.start() > end else []
        fields = tuple(match["fields"].split(".")[1:])
        parts.append(Hole(match["name"], fields, match["tail"] or ""))
        end = match.end()
    parts += [word[end:]] if end < len(word) else []
    for part in parts:
        if isinstance(part, str) and BRACES.search(part):
            raise UsageError(f"{word!r} has a brace that belongs to no hole; write e.g. {{shots}} or {{fit.decoder}}")
    return tuple(parts)


def holes(command: str) -> list[Hole]:
    """All holes of a command."""
    return [part for word in split(command) for part in parse(word) if isinstance(part, Hole)]


def identify(word: Word) -> list[list[Any]]:
    """What a word is, JSON-able, whatever folder the cells or the files are in."""
    return [_identify(part) for part in word]


def _identify(part: Part) -> list[Any]:
    match part:
        case str():
            return ["text", part]
        case Here():
            return ["here"]
        case ProjectOf(cell):
            return ["project", cell]
        case Result(cell, _, fields, name):
            return ["result", cell, list(fields), name]
        case Input(_, digest):
            return ["input", digest]


def fill(word: Word, folder: str, results: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """What is typed. Without `results`, what other cells give is shown as <step.field>.

    Args:
        folder: the cell's own.

    Raises:
        GannotateError: another cell's result has no such field.
    """
    return "".join(_fill(part, folder, results) for part in word)


def _fill(part: Part, folder: str, results: Mapping[str, Mapping[str, Any]] | None) -> str:
    match part:
        case str():
            return part
        case Here():
            return folder
        case ProjectOf():
            return f"{folder}/project"
        case Input(path, _):
            return str(path)
        case Result(cell, _, _, name):
            if results is None:
                return str(part)
            value = str(field_of(results[cell], part))
            return PurePosixPath(value.replace("\\", "/")).name if name else value


def field_of(result: Mapping[str, Any], wanted: Result) -> Any:
    """A field of a result.

    Raises:
        GannotateError: it has none of that name.
    """
    value: Any = result
    for depth, field in enumerate(wanted.fields):
        if not isinstance(value, Mapping) or field not in value:
            place = ".".join((wanted.step, *wanted.fields[:depth]))
            known = ", ".join(map(str, value)) if isinstance(value, Mapping) else "no fields"
            raise GannotateError(f"the result {place} has no {field!r}; it has {known}")
        value = value[field]
    return value


def as_command(words: Sequence[str]) -> str:
    """Words as one line that can be typed."""
    return shlex.join(words)
