"""JSON and YAML of files that anybody may have written: whatever is wrong with them is one kind of error.

The parsers themselves let through what they were not made for: nesting deeper than Python's stack, and YAML's aliases
of aliases, a few lines of which stand for more than any memory holds as soon as somebody goes through them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from gannotate.errors import GannotateError

T = TypeVar("T")

DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What comes of going through a parsed file that does not hold what it should."""

MOST_YAML_CHARACTERS = 1 << 20
"""Longer files are refused: the parser takes ten seconds for so many, and no settings have more than some thousand."""

MOST_NODES = 200_000
"""Values that a YAML file may stand for, those that aliases repeat counted each time."""

LONG_TEXT = 64
"""So many characters of a text count as one more value."""


class Malformed(ValueError):
    """A text that is no JSON or YAML, or is nested or repeated beyond reason. Says why, not which."""


def load_json(text: str | bytes) -> Any:
    """The value of a JSON text; NaN and infinity are numbers.

    Raises:
        Malformed: not JSON, not UTF-8, or nested too deep.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise Malformed("it is nested too deep") from error
    except ValueError as error:  # of the parser, of the text's encoding, of a number of thousands of digits
        raise Malformed(" ".join(str(error).split())) from error


def read_ours(path: str | Path, remedy: str, made: Callable[[dict[str, Any]], T]) -> T:
    """What `made` gives for the mapping in a JSON file that this program wrote.

    Raises:
        GannotateError: there is no such file, or it is damaged; names it, and ends with `remedy`, what to do then.
    """
    try:
        tree = load_json(Path(path).read_bytes())
        if not isinstance(tree, dict):
            raise ValueError("it is no mapping")
        return made(tree)
    except FileNotFoundError as error:
        raise GannotateError(f"there is no {path}; {remedy}") from error
    except DAMAGED as error:
        raise GannotateError(f"{path} is damaged ({error}); {remedy}") from error


def still_says(path: str | Path, value: Any) -> bool:
    """Whether a JSON file says just this; one that is not there, or damaged, does not."""
    try:
        return load_json(Path(path).read_bytes()) == json.loads(json.dumps(value))
    except DAMAGED:
        return False


def load_yaml(text: str | bytes) -> Any:
    """The value of a YAML text without tags of Python's; None of an empty one.

    Raises:
        Malformed: not YAML, too long, nested too deep, with a value that its tag does not fit, or with aliases that
            stand for too much or for themselves.
    """
    if len(text) > MOST_YAML_CHARACTERS:
        raise Malformed(f"it has more than {MOST_YAML_CHARACTERS} characters")
    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            if _nodes(root, {}) > MOST_NODES:
                raise Malformed(f"it stands for more than {MOST_NODES} values")
            return loader.construct_document(root)
        finally:
            loader.dispose()
    except Malformed:
        raise
    except RecursionError as error:
        raise Malformed("it is nested too deep") from error
    except (yaml.YAMLError, *DAMAGED) as error:  # what a tag or a date does not fit raises many kinds
        raise Malformed(" ".join(str(error).split()) or "a value does not fit its tag") from error


def _nodes(node: yaml.Node, known: dict[int, int]) -> int:
    """Values that a node stands for; `known` has those that were counted, 0 while they are."""
    if id(node) in known:
        if not known[id(node)]:
            raise Malformed("it refers to itself")
        return known[id(node)]
    known[id(node)] = 0
    count = 1
    if isinstance(node, yaml.MappingNode):
        count += sum(_nodes(part, known) for pair in node.value for part in pair)
    elif isinstance(node, yaml.SequenceNode):
        count += sum(_nodes(part, known) for part in node.value)
    else:
        count += len(str(node.value)) // LONG_TEXT
    known[id(node)] = count
    return count
