"""One process at a time in a folder.

The lock is the operating system's, on the open folder itself: it ends with the process that holds it, however that
ends, and leaves no file behind. Where there are no such locks (Windows, some network disks) nobody is kept out.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from gannotate.errors import GannotateError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_own = set[tuple[int, int]]()
"""Folders (device and number) that this process is alone in."""


def take(handle: int, wait: bool = False) -> bool:
    """Takes the lock of an open file or folder until it is closed; False when another process has it.

    With `wait` it is waited for.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a disk without locks
        return True
    return True


@contextlib.contextmanager
def alone_in(folder: str | Path, busy: str = "") -> Iterator[None]:
    """Keeps other processes that ask for it out of a folder while the body runs.

    With a sentence it may be asked for again inside; without one it keeps the threads of this process apart too.

    Args:
        folder: one that exists.
        busy: the sentence when another process is in there; without one it is waited for.

    Raises:
        GannotateError: another process is in there.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    about = os.fstat(handle)
    place = about.st_dev, about.st_ino
    try:
        if busy and place in _own:  # asked for again further in
            yield
            return
        if not take(handle, wait=not busy):
            raise GannotateError(busy)
        if not busy:
            yield
            return
        _own.add(place)
        try:
            yield
        finally:
            _own.discard(place)
    finally:
        os.close(handle)


def is_free(folder: str | Path) -> bool:
    """Whether no process is in a folder at this moment."""
    try:
        with alone_in(folder, "taken"):
            return True
    except (GannotateError, OSError):
        return False
