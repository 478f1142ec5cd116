"""What torchrun tells a process about itself, in the environment. Asks no torch: it may not be loaded yet."""

from __future__ import annotations

import os

from gannotate.errors import UsageError


def launched() -> tuple[int, int]:
    """(number of this process, how many there are); (0, 1) for one that was started alone.

    Raises:
        UsageError: the environment holds something else.
    """
    return _place("RANK", "WORLD_SIZE")


def launched_here() -> tuple[int, int]:
    """(number of this process, how many there are) on this machine; see `launched`."""
    return _place("LOCAL_RANK", "LOCAL_WORLD_SIZE")


def _place(number: str, numbers: str) -> tuple[int, int]:
    told = os.environ.get(number, "0"), os.environ.get(numbers, "1")
    try:
        rank, count = (int(text) for text in told)
    except ValueError:
        rank, count = -1, 0
    if not 0 <= rank < count:
        raise UsageError(
            f"{number} and {numbers} are {told[0]!r} and {told[1]!r} in the environment; start several processes with "
            "torchrun, which sets them, or unset them"
        )
    return rank, count
