"""Who is at a cell, among runners on any number of machines that share nothing but the folder.

A runner that is at a cell has two things beside the cell's folder:

- `.ID.lock`, locked by the operating system. The lock ends with its process, however that ends, so another runner goes
  on at once. It is all that is needed on one machine, and on disks that carry locks between machines (NFS 4; Lustre
  and GPFS where they are mounted so).
- `.ID.claim`, which names the owner and is touched every few seconds. Where locks do not reach, a cell is left alone
  while its claim changes. One of another machine that has not changed for `GONE_S`, by the watcher's own clock (clocks
  of machines are never compared), is of a dead runner, and is taken over.

Assumed of the disk: files are made exclusively and renamed in one go, and a touch is seen by the others within
`GONE_S`. A runner that was cut off for longer finds another's claim and throws away what it did; were both to end at
once, the first result stands, as a result is written where there is none and replaces none.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from gannotate.files import drop

BEAT_S, GONE_S = 5.0, 60.0
"""How often an owner touches its claim; how long one of another machine may stay as it is."""

BOOT = Path("/proc/sys/kernel/random/boot_id")


class Told(NamedTuple):
    """What a claim says: whose it is, on which machine, and when it was touched, by the disk's clock."""

    token: str
    machine: str
    touched_ns: int


@dataclass
class Claim:
    """What a runner holds while it is at a cell."""

    path: Path
    token: str
    lost: threading.Event = field(default_factory=threading.Event)
    """Set when another runner took it over, or the disk was away for so long that one may have."""

    def is_held(self) -> bool:
        """Whether the cell is still this runner's, as the disk says now."""
        told = read_claim(self.path)
        return not self.lost.is_set() and told is not None and told.token == self.token


_seen: dict[Path, tuple[Told, float]] = {}
"""Other machines' claims as this process last saw them change, and when, by its own clock."""


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[Claim | None]:
    """Within it the cell in `folder` is this runner's; None where another one is at it.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    lock = FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0)
    locked = True
    try:
        lock.acquire()
    except Timeout:
        yield None
        return
    except NotImplementedError:  # a disk without locks
        locked = False
    try:
        claim = _take(folder.with_name(f".{folder.name}.claim"), locked)
        if claim is None:
            yield None
            return
        ending = threading.Event()
        beating = threading.Thread(target=_beat, args=(claim, ending), daemon=True)
        beating.start()
        try:
            yield claim
        finally:
            ending.set()
            beating.join()
            if claim.is_held():
                claim.path.unlink(missing_ok=True)
    finally:
        lock.release()


def read_claim(path: Path) -> Told | None:
    """What the claim at `path` says; None when there is none. One that is torn has no owner's name."""
    try:
        with path.open("rb") as file:  # opened, for on network disks that asks the server anew
            touched_ns, text = os.fstat(file.fileno()).st_mtime_ns, file.read()
    except FileNotFoundError:
        return None
    try:
        about = json.loads(text)
        return Told(str(about["token"]), str(about["machine"]), touched_ns)
    except (ValueError, TypeError, KeyError):
        return Told("", "", touched_ns)


def clear_claims(cells: Path, is_done: Callable[[str], bool]) -> None:
    """Removes the claims of cells that are done, whose owners were killed before they could.

    A living owner loses nothing by it: `is_done` is asked after the claim was read, so all that this one still has to
    do is to give the cell up.
    """
    with contextlib.suppress(OSError):  # on a disk that cannot be written they may stay
        for path in list(cells.glob(".*.claim*")):  # and such as were put away, by a runner that was killed at it
            told = read_claim(path)
            if told is not None and is_done(path.name.split(".")[1]):
                _put_away(path, told)


def machine() -> str:
    """The machine's name, as no other has it: containers on it share it, as they share its locks."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return socket.gethostname()


def _take(path: Path, locked: bool) -> Claim | None:
    told = read_claim(path)
    if told is not None:
        # with the lock in hand, an owner on this machine is dead
        dead = (locked and told.machine == machine()) or _is_gone(path, told)
        if not dead or not _put_away(path, told):
            return None
    _seen.pop(path, None)
    token = uuid.uuid4().hex
    about = {"token": token, "machine": machine(), "host": socket.gethostname(), "pid": os.getpid()}
    try:
        with path.open("x") as file:
            try:
                json.dump(about, file)
                file.flush()
            except OSError:  # a full disk: torn, it would keep everybody away for `GONE_S`
                drop(path)
                raise
    except FileExistsError:
        return None
    return Claim(path, token)


def _is_gone(path: Path, told: Told) -> bool:
    before, now = _seen.get(path), time.monotonic()
    if before is None or before[0] != told:
        _seen[path] = told, now
        return False
    return now - before[1] > GONE_S


def _put_away(path: Path, told: Told) -> bool:
    """Removes a dead runner's claim; False where another runner was faster, and the claim is now its own."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return True
    found = read_claim(aside)
    mine = found is not None and found.token == told.token
    if not mine:
        with contextlib.suppress(OSError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)
    return mine


def _beat(claim: Claim, ending: threading.Event) -> None:
    """Touches the claim until the end; notes when it is lost."""
    touched = time.monotonic()
    while not ending.wait(BEAT_S):
        with contextlib.suppress(OSError):
            told = read_claim(claim.path)
            if told is None or told.token != claim.token:
                claim.lost.set()
                return
            os.utime(claim.path)
            touched = time.monotonic()
        if time.monotonic() - touched > GONE_S:
            claim.lost.set()
            return
