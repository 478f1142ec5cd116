"""Bytes of a foreign file, read without trust: every length is checked against what is there before it is used."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from gannotate.errors import GannotateError


class Unreadable(GannotateError):
    """A foreign file that cannot or must not be read. The text goes on from the file's name: `is damaged: ...`."""


def damaged(reason: str) -> Unreadable:
    """For a file that breaks the rules of its own format."""
    return Unreadable(f"is damaged: {reason}; copy or download it again")


def refuse(wanted: str) -> NoReturn:
    """For a pickle that asks for something no picture generator needs.

    Raises:
        Unreadable: always; `wanted` is what the file asked for, e.g. `os.system`.
    """
    raise Unreadable(
        f"was refused: it asks for {wanted}, which no generator needs; nothing of it was run, and it is best deleted "
        "unless you know who made it"
    )


def shown(value: object) -> str:
    """A value out of a foreign file for use in a sentence: printable, on one line, at most 80 characters.

    Of a container only its kind: printing deeply nested ones overflows the interpreter's stack.
    """
    text = str(value) if value is None or isinstance(value, str | int | float) else type(value).__name__
    clean = "".join(letter if letter.isprintable() else "?" for letter in text[:80])
    return clean + ("..." if len(text) > 80 else "")


def key_of(value: object) -> Hashable:
    """`value` when it may be a dictionary key or a set's item: numbers, text, bytes.

    Containers are refused: hashing deeply nested ones overflows the interpreter's own stack.
    """
    if value is None or isinstance(value, str | int | float | bytes):
        return value
    raise damaged(f"{shown(value)} as the key of a dictionary")


class Cursor:
    """A place in a buffer that only moves forward; what it gives are views, never copies."""

    def __init__(self, data: memoryview, position: int = 0) -> None:
        self.data = data
        self.position = position

    @property
    def left(self) -> int:
        """Bytes from here to the end."""
        return len(self.data) - self.position

    def take(self, count: int, what: str) -> memoryview:
        """The next `count` bytes.

        Raises:
            Unreadable: there are not so many.
        """
        if not 0 <= count <= self.left:
            raise damaged(f"{what} of {count} bytes begins at byte {self.position}, where {self.left} are left")
        view = self.data[self.position : self.position + count]
        self.position += count
        return view

    def integer(self, size: int, what: str, signed: bool = False) -> int:
        """The next `size` bytes as a little-endian number."""
        return int.from_bytes(self.take(size, what), "little", signed=signed)

    def line(self, what: str) -> bytes:
        """The bytes up to the next newline, which is passed and left out."""
        step, start = 64, self.position  # most lines are short; the step grows, so that long ones are no burden
        while start < len(self.data):
            found = bytes(self.data[start : start + step]).find(b"\n")
            if found >= 0:
                text = bytes(self.data[self.position : start + found])
                self.position = start + found + 1
                return text
            start += step
            step *= 2
        raise damaged(f"{what} begins at byte {self.position} and has no end")


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names. It is only the name: nothing is ever imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{shown(self.module)}.{shown(self.name)}"


@dataclass(eq=False)
class Holder:
    """What stands in for an object of a foreign class: the class's name and what the file stores in it."""

    name: str
    state: Any = None

    def attribute(self, name: str, default: Any = None) -> Any:
        """The stored attribute, or `default`."""
        return self.state.get(name, default) if isinstance(self.state, Mapping) else default
