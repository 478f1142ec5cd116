"""What a reader is for the fuzzer: whole files, and a call that reads a changed one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


def none_mb(kind: str, data: bytes) -> float:
    """No memory beyond what every input may take."""
    return 0.0


def nothing() -> None:
    """Nothing is to be set back."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One reader, or several that read the same files."""

    about: str
    """The functions, as in the table."""
    seeds: Mapping[str, Sequence[bytes]]
    """Whole files by kind; a kind is a file's name, whose ending tells how it may be changed."""
    read: Callable[[str, bytes], object]
    """Reads a file of a kind."""
    allowed_mb: Callable[[str, bytes], float] = none_mb
    """Memory that an input may honestly take beyond guard.SPARE_MB."""
    reset: Callable[[], None] = nothing
    """Called now and then: sets back what readers that also write have written."""


def put(folder: Path, name: str, data: bytes) -> Path:
    """Writes a file; not through a temporary one, as that costs more than reading it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
