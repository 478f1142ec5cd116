"""Whole numbers stay whole: cyclopts rounds `--seeds 2.5` to 2 and says nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

from cyclopts import App
from cyclopts.argument import ArgumentCollection

from gannotate.errors import UsageError


def check_whole_numbers(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Looks at what the command line and the --config file give to flags that take whole numbers.

    Raises:
        UsageError: one has a fraction, or is no finite number.
    """
    for argument in arguments:
        kinds = set(_kinds(argument.hint))
        if int not in kinds or float in kinds:
            continue
        for token in argument.tokens:
            with contextlib.suppress(InvalidOperation):  # no number at all: cyclopts says so
                number = Decimal(token.value)
                if not number.is_finite() or number % 1:
                    raise _no_whole_number(token.keyword if token.source == "cli" else None, argument.name, token.value)


def _kinds(hint: Any) -> Iterator[Any]:
    """The plain types in a hint such as tuple[int, ...] | None."""
    yield hint
    for part in get_args(hint):
        yield from _kinds(part)


def _no_whole_number(typed: str | None, name: str, value: str) -> UsageError:
    number, called = Decimal(value), typed or (name if name.startswith("-") else name.upper())
    nearest = f", e.g. {round(number)}" if number.is_finite() else ""
    return UsageError(f"{called} is {value}; give a whole number{nearest}")
