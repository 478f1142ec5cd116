"""Whether a training may go on: what it says it learns from, kept in its checkpoint; and where it may begin."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gannotate.errors import UsageError
from gannotate.parsing import DAMAGED, load_json
from gannotate.record import read_record


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

    A time limit among the settings may differ: more minutes change no step that was done.

    Raises:
        UsageError: an entry of `now` differs; names all that do.
    """
    changed = sorted(name for name in now if _without_limit(before.get(name)) != _without_limit(now[name]))
    if changed:
        raise UsageError(
            f"the {what} to resume had other {', '.join(changed)}; resume it with the same ones, or start a new folder"
        )


def _without_limit(entry: Any) -> Any:
    return {key: item for key, item in entry.items() if key != "minutes"} if isinstance(entry, Mapping) else entry


def check_place(folder: str | Path, verb: str, begun: bool = False) -> None:
    """Refuses to write a run of `verb` into a folder that holds anything else, which it would replace or mix with.

    `begun`: what is there is such a run, though it has no run.json (it was started from Python).

    Raises:
        UsageError: neither empty, nor a run of `verb`, ended or not. GannotateError: a damaged run.json.
    """
    folder = Path(folder)
    if not folder.exists():
        return
    record = read_record(folder) if folder.is_dir() else None
    if record is not None and record.get("verb") == verb:
        return
    if record is not None:
        raise UsageError(f"{folder} holds a run of `gannotate {record.get('verb')}`; give a new folder")
    if not folder.is_dir() or not (begun or _is_as_good_as_empty(folder)):
        raise UsageError(f"{folder} exists and is not an empty folder; give a new one")


def holds_training(folder: str | Path, *kinds: str) -> bool:
    """Whether a folder holds the log or checkpoint of a training, and no model, or one of these `kinds`."""
    folder = Path(folder)
    if not any((folder / name).exists() for name in ("log.jsonl", "checkpoint.safetensors")):
        return False
    try:
        config = load_json((folder / "config.json").read_bytes())
    except FileNotFoundError:
        return True
    except DAMAGED:
        return False
    return isinstance(config, dict) and any(kind in config for kind in kinds)


def _is_as_good_as_empty(folder: Path) -> bool:
    """Whether nothing is in there but what a process left that was killed while it wrote its first file."""
    return all(path.name.startswith(".") and path.name.endswith(".part") for path in folder.iterdir())
