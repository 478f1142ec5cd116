"""One annotator at a time on a project: a second one would guess from labels that it does not know of.

The lock is the operating system's, on an open file, so it ends with the process that holds it, however that ends:
nothing stale is left to clean up. What stands in the file beside it only says who holds it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from gannotate.errors import GannotateError
from gannotate.files import disk_error, write_json
from gannotate.record import now

LOCK, HOLDER = ".annotator.lock", ".annotator.json"
"""Files in annotations/: the lock, and who holds it."""


@contextlib.contextmanager
def only_annotator(project: Path, address: str) -> Iterator[None]:
    """Keeps other annotators away from a project while the body runs. `address` is told to them.

    Raises:
        GannotateError: another one has the project open, or the folder cannot be written.
    """
    folder = project / "annotations"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise GannotateError(
            f"another annotator has {project} open ({_holder(folder / HOLDER)}); go on in its browser window, or end "
            "it with Ctrl-C in its terminal"
        ) from error
    except OSError as error:
        raise disk_error(error, folder / LOCK) from error
    try:
        about = {"address": address, "process": os.getpid(), "host": socket.gethostname(), "since": now()}
        write_json(folder / HOLDER, about)
        yield
    finally:
        (folder / HOLDER).unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    """Who holds it, in words; the file may be missing or half gone in the moment of a start or an end."""
    try:
        about = json.loads(path.read_text())
        return f"{about['address']}, process {about['process']} on {about['host']}, since {about['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it has only just started"
