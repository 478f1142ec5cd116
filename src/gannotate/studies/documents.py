"""YAML files into frozen pydantic models: unknown keys are errors that name the nearest known one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from gannotate.errors import UsageError, nearest
from gannotate.parsing import Malformed, load_yaml

WANTED = {
    "int_parsing": "give a whole number",
    "int_from_float": "give a whole number",
    "int_type": "give a whole number",
    "float_parsing": "give a number",
    "float_type": "give a number",
    "string_type": "give a text",
    "string_too_short": "give a text",
    "tuple_type": "give a list, e.g. [a, b]",
    "too_short": "give at least one",
    "dict_type": "give `key: value` pairs",
    "model_type": "give `key: value` pairs",
}
"""Pydantic's words for mistakes, in ours."""

Scalar = bool | int | float | str
"""What an axis or a setting may be."""

Format = Literal["fraction", "number", "count", "seconds", "mb"]
"""How a figure is shown."""


class Strict(BaseModel):
    """A part of a document: unknown keys are errors, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


M = TypeVar("M", bound=Strict)


def read_document(path: str | Path, kind: type[M]) -> M:
    """The model in a YAML file.

    Raises:
        UsageError: it cannot be read, is no YAML, or has keys that are unknown, missing or wrong.
    """
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error})") from error
    return parse_document(text, str(path), kind)


def parse_document(text: str, source: str, kind: type[M]) -> M:
    """The model in a YAML text; `source` names it in errors.

    Raises:
        UsageError: no YAML, or keys that are unknown, missing or wrong.
    """
    try:
        values = load_yaml(text)
    except Malformed as error:
        raise UsageError(f"{source} is not YAML ({error})") from error
    if not isinstance(values, dict):
        raise UsageError(f"{source} holds no `key: value` lines; known keys are {', '.join(_keys(kind))}")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UsageError(f"{source}: {_first_problem(error, kind)}") from error


def known_keys(kind: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a mapping that a model has: a later gannotate may have written more than this one knows."""
    own = {key for name, field in kind.model_fields.items() for key in (name, field.alias)}
    return {key: value for key, value in given.items() if key in own}


def _first_problem(error: ValidationError, kind: type[BaseModel]) -> str:
    problems = error.errors()
    # a key that is missing may be there under a wrong name: that one is the mistake
    problem = next((one for one in problems if one["type"] == "extra_forbidden"), problems[0])
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _keys(_model_at(kind, problem["loc"][:-1]))
        name = str(problem["loc"][-1])
        return f"unknown key {place!r}{nearest(name, known)}; known here are {', '.join(known)}"
    if problem["type"] == "missing":
        return f"the key {place!r} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{place}: {message}" if place else message
    told = WANTED.get(problem["type"]) or f"{message[0].lower()}{message[1:]}"
    return f"{place!r} is {problem['input']!r}: {told}"


def _keys(kind: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in kind.model_fields.items()]


def _model_at(kind: type[BaseModel], place: tuple[int | str, ...]) -> type[BaseModel]:
    """The model that the keys at `place` belong to: down through its fields, mappings and lists."""
    here: Any = kind
    for part in place:
        if isinstance(here, type) and issubclass(here, BaseModel):
            known = {field.alias or name: field.annotation for name, field in here.model_fields.items()}
            here = known[str(part)]
        else:  # a key of a mapping, or an index of a list
            here = next(one for one in reversed(get_args(here)) if one is not Ellipsis)
        if get_origin(here) in (Union, UnionType):
            here = next(one for one in get_args(here) if one is not type(None))
    return here
