"""Small pieces of the sentences that a person reads."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath


def counted(count: int, one: str, many: str = "") -> str:
    """How many there are, in words: `1 picture`, `2 pictures`; `many` where more of them do not just end in s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: `a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def span(fewest: int, most: int) -> str:
    """From so many to so many, in words: `60 to 1,500`, or `60` where both are the same."""
    return f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"


def quoted(word: str | Path) -> str:
    """A name as it is typed into a shell: `cells`, but `'my cells'`."""
    return shlex.quote(str(word))


def last_name(place: str | Path) -> str:
    """A path without the folders above, which are of one machine and no business of who reads what is published."""
    return PureWindowsPath(place).name  # it splits at both kinds of slashes
