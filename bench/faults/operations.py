"""Something done at a certain file operation of a command: Python tells of each before it does it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.truncate")
"""Audit events, besides opening for writing, that change files."""

Act = Callable[[int, str, str], object]
"""Called with 1, 2, ..., the path, and the audit event; an OSError that it raises is the operation's."""


def at_each_change(folder: Path, act: Act) -> None:
    """Calls `act` before each operation of this process that changes a file below `folder`."""
    _at_each(folder, act, _changes)


def at_each_read(folder: Path, act: Act) -> None:
    """Calls `act` before each file below `folder` that this process opens to read."""
    _at_each(folder, act, _reads)


def _at_each(folder: Path, act: Act, chosen: Callable[[str, tuple[Any, ...]], bool]) -> None:
    count, here, busy = 0, str(folder), False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count, busy
        if busy or not chosen(event, arguments) or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if not path.startswith(f"{here}{os.sep}"):
            return
        count, busy = count + 1, True  # what `act` does itself is not counted
        try:
            act(count, path, event)
        finally:
            busy = False

    sys.addaudithook(hook)


def _changes(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        return isinstance(arguments[2], int) and bool(arguments[2] & WRITING)
    return event in CHANGES


def _reads(event: str, arguments: tuple[Any, ...]) -> bool:
    reads = event == "open" and isinstance(arguments[2], int) and not arguments[2] & WRITING
    return reads and isinstance(arguments[0], str) and os.path.isfile(arguments[0])
