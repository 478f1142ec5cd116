"""What is watched while a reader has an input: what comes out, CPU time, memory, and files that it touches."""

from __future__ import annotations

import os
import resource
import signal
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from gannotate.errors import GannotateError

ROOT = Path(__file__).parents[2]

HANG_S = 5.0
"""CPU seconds from which a reader counts as hanging; a busy machine's clock would say nothing."""

SPARE_MB = 64.0
"""Memory that any input may take: what a reader needs however small its file is."""

LONGEST = 2000
"""Characters of a sentence."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

CHANGES = {
    name: count
    for count, names in ((1, "mkdir remove rmdir truncate chmod chown utime"), (2, "rename link symlink"))
    for name in (f"os.{one}" for one in names.split())
}
"""Audit events that change files, and how many of their arguments are paths."""

BELOW = ("os.remove", "os.rmdir", "os.mkdir")
"""Of these the last argument is the number of an open folder that the path is below; -1 is none."""

NEVER = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "socket.connect",
         "socket.bind", "socket.getaddrinfo", "pickle.find_class", "ctypes.dlopen", "urllib.Request")  # fmt: skip
"""Audit events that no input may cause: programs, the network, names of a pickle."""


@dataclass(frozen=True)
class Finding:
    """What no input may cause. kind: traceback, hang, memory, outside, sentence or killed; place: the innermost line
    of ours; what: the error's kind and text, or a number."""

    kind: str
    place: str
    what: str

    @property
    def key(self) -> str:
        """Findings of one key have one cause."""
        return f"{self.kind} {self.place} {self.what.partition(':')[0] if self.kind == 'traceback' else ''}".strip()


@dataclass(frozen=True)
class Outcome:
    """What became of one input. result: accepted, refused (with one of our sentences), or what was found."""

    result: str | Finding
    cpu_s: float
    memory_mb: float


class TooSlow(BaseException):
    """HANG_S are over."""


class Outside(BaseException):
    """A file outside of the sandbox was touched, or worse."""


class Guard:
    """Calls readers and watches them; there is one in a process, as an audit hook stays for good.

    Args:
        sandbox: the only folder in which files may be written, or read but for the installed packages' own.
    """

    def __init__(self, sandbox: Path) -> None:
        self.sandbox = str(sandbox.resolve())
        self.on = False
        self.touched = ""
        places = {sys.prefix, sys.base_prefix, str(ROOT / "src"), str(ROOT / "bench"), str(ROOT / "tests")}
        places |= {sysconfig.get_paths()["stdlib"], "/proc", "/sys", "/dev", "/usr", "/etc", "/opt", "/lib"}
        self._readable = (self.sandbox, *places)
        self._writable = (self.sandbox, "/dev/null")
        self._peak = os.open("/proc/self/clear_refs", os.O_WRONLY)  # Linux: 5 sets the peak to what is used now
        sys.addaudithook(self._audit)
        signal.signal(signal.SIGPROF, self._too_slow)

    def outcome(self, read: Callable[[], object], allowed_mb: Callable[[], float] = lambda: 0.0) -> Outcome:
        """Calls `read`; `allowed_mb` says what memory its input may honestly take, beyond SPARE_MB."""
        result: str | Finding = "accepted"
        os.pwrite(self._peak, b"5", 0)
        before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        self.touched, self.on = "", True
        try:
            signal.setitimer(signal.ITIMER_PROF, HANG_S)
            try:
                read()
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                self.on = False
        except GannotateError as error:
            result = _judged(error)
        except TooSlow as error:
            result = Finding("hang", place_of(error), f"more than {HANG_S:g} s")
        except Outside as error:
            result = Finding("outside", place_of(error), str(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # also SystemExit, and the panics of Rust
            result = Finding("traceback", place_of(error), f"{type(error).__name__}: {error}"[:300])
        cpu_s = time.process_time() - begin
        memory_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        if isinstance(result, str) and self.touched:  # what raised may have been caught on its way
            result = Finding("outside", "", self.touched)
        if isinstance(result, str) and memory_mb > SPARE_MB and memory_mb > SPARE_MB + allowed_mb():
            result = Finding("memory", "", f"{memory_mb:.0f} MB")
        return Outcome(result, cpu_s, memory_mb)

    def _too_slow(self, number: int, frame: FrameType | None) -> None:
        if self.on:
            raise TooSlow

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & WRITING
            if writes or (isinstance(path, str | bytes) and os.path.isabs(path)):  # else it may be below an open folder
                self._check(event, path, self._writable if writes else self._readable)
        elif event in CHANGES:
            for path in arguments[: CHANGES[event]]:
                self._check(event, _below(path, arguments[-1]) if event in BELOW else path, self._writable)
        elif event.startswith(NEVER):
            self._refuse(f"{event} {arguments!r}"[:200])

    def _check(self, event: str, path: Any, places: tuple[str, ...]) -> None:
        if isinstance(path, str | bytes | os.PathLike) and not os.path.realpath(os.fsdecode(path)).startswith(places):
            self._refuse(f"{event} {os.fsdecode(path)!r}"[:200])

    def _refuse(self, what: str) -> None:
        self.touched = what
        raise Outside(what)


def _below(path: Any, folder: Any) -> Any:
    """A path below an open folder."""
    if not isinstance(folder, int) or folder < 0:
        return path
    return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path))


def _judged(error: GannotateError) -> str | Finding:
    """`refused`, when the error is one line that a terminal can show."""
    text = str(error)
    if text.strip() and text.isprintable() and len(text) <= LONGEST:
        return "refused"
    return Finding("sentence", place_of(error), f"{len(text)} characters: {text[:200]!r}")


def place_of(error: BaseException) -> str:
    """The innermost line of gannotate that an error passed, e.g. `data/formats/coco.py:83 _labels`."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        _, mark, place = frame.filename.partition("src/gannotate/")
        if mark:
            return f"{place}:{frame.lineno} {frame.name}"
    return "elsewhere"
