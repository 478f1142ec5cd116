"""Writing files so that a reader sees the old one or the whole new one, never half of it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from gannotate.errors import GannotateError


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """Opens a temporary file beside `path`; on success it replaces `path`, on any failure `path` stays as it was.

    Raises:
        GannotateError: the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        if temporary:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Writes `data` to `path` atomically."""
    with atomic_write(path) as file:
        file.write(data)


def write_text(path: str | Path, text: str) -> None:
    """Writes `text` (UTF-8) to `path` atomically."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> None:
    """Writes `value` as indented JSON to `path` atomically; NaN and infinity are written as null."""
    write_text(path, json.dumps(_finite(value), indent=2, allow_nan=False) + "\n")


def disk_error(error: OSError, path: str | Path) -> GannotateError:
    """The sentence for a failed write: says whether the disk is full, and that nothing was replaced."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return GannotateError(
            f"no space left on the disk while writing {path}: nothing was replaced; free some space and run the "
            "same command again"
        )
    return GannotateError(f"cannot write {path} ({error.strerror or error}); give a place that can be written")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
