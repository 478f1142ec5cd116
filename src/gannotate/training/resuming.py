"""What a training says it learns from: kept in its checkpoint, and compared before it goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from gannotate.errors import UsageError


def plain(value: Any) -> Any:
    """`value` as a checkpoint gives it back, tuples as lists, so that what was saved compares equal."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def hash_of(*arrays: np.ndarray) -> str:
    """SHA-256, in hex, of the arrays' numbers, one array after the other; a contiguous one is not copied."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], what: str) -> None:
    """Refuses to go on with `what` (training, fit) where it learns from something else than before.

    Raises:
        UsageError: an entry of `now` differs; names all that do.
    """
    changed = sorted(name for name in now if before.get(name) != now[name])
    if changed:
        raise UsageError(
            f"the {what} to resume had other {', '.join(changed)}; resume it with the same ones, or start a new folder"
        )
