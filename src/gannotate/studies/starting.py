"""Starting the command of a cell: in a Python of its own, or as a fork of one that has imported what all commands do.

The imports take seconds, which is longer than many a cell's work; a fork has them at once. On Linux commands are forks
of one process that does nothing else (`gannotate.cli.study_warm`), elsewhere each is started afresh. Both are the same
to the runner: a process of its own that leads its session, ends as by Ctrl-C when its stdin is closed, and whose
exit code, peak memory and processor time are known in the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from gannotate.errors import GannotateError

FRESH = (sys.executable, "-P", "-m", "gannotate.cli.study_cell")
"""`gannotate`, ended as by Ctrl-C when its stdin is closed: by the runner, or because that one is gone."""

WARM = (sys.executable, "-P", "-m", "gannotate.cli.study_warm")
"""What forks commands; the number of its end of a socket comes after it."""

KILLED = -9
"""Exit code of a command whose end nobody saw: what had started it was killed, and the system takes both."""


class Ended(NamedTuple):
    """How a command ended. code: its exit code, negative for a signal. peak_mb: largest resident memory, where known.

    cpu_s: processor seconds of all its threads and of the processes that it waited for, where known.
    """

    code: int
    peak_mb: float | None = None
    cpu_s: float | None = None


class Command(Protocol):
    """A command that was started."""

    pid: int

    def ended(self) -> Ended | None:
        """How it ended; None while it runs."""
        ...

    def ask_to_end(self) -> None:
        """Closes its stdin."""
        ...

    def kill(self) -> None:
        """Ends it at once."""
        ...


class Fresh:
    """A command in a Python of its own."""

    def __init__(
        self, words: Sequence[str], folder: Path, environment: Mapping[str, str], shown: IO[bytes], log: IO[bytes]
    ) -> None:
        self._child = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=shown,
            stderr=log,
            cwd=folder,
            env=environment,
            start_new_session=True,  # Ctrl-C in the terminal reaches the runner alone, which ends its commands in order
        )
        self.pid = self._child.pid

    def ended(self) -> Ended | None:
        child = self._child
        if not hasattr(os, "wait4"):  # Windows
            code = child.poll()
            return None if code is None else Ended(code)
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid == 0:
            return None
        child.returncode = os.waitstatus_to_exitcode(status)
        return ended(status, usage)

    def ask_to_end(self) -> None:
        if self._child.stdin is not None:
            self._child.stdin.close()

    def kill(self) -> None:
        self._child.kill()


class Forked:
    """A command that the warm process has forked."""

    def __init__(self, pid: int, stdin: int, report: socket.socket) -> None:
        self.pid, self._stdin, self._report = pid, stdin, report
        report.setblocking(False)

    def ended(self) -> Ended | None:
        try:
            data = self._report.recv(1 << 12)
        except BlockingIOError:
            return None
        self._report.close()
        if not data:
            return Ended(KILLED)
        return Ended(**json.loads(data))

    def ask_to_end(self) -> None:
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, 9)


class Warm:
    """The process that forks commands; it begins with the first of them, and again when it was killed.

    Args:
        folder: in which they run. environment: of all of them.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._environment = folder, environment
        self._starting = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, words: Sequence[str], shown: IO[bytes], log: IO[bytes]) -> Command:
        """Starts `gannotate WORDS`.

        Raises:
            GannotateError: the process that forks is gone.
        """
        with self._starting:
            control = self._begun()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        read, write = os.pipe()
        try:
            with theirs:
                files = [read, shown.fileno(), log.fileno(), theirs.fileno()]
                socket.send_fds(control, [json.dumps(list(words)).encode()], files)
            told = json.loads(ours.recv(1 << 12))
        except (OSError, ValueError) as error:
            os.close(write)
            ours.close()
            raise GannotateError(
                "the process that starts the study's commands is gone; run the same command again"
            ) from error
        finally:
            os.close(read)
        return Forked(told["pid"], write, ours)

    def _begun(self) -> socket.socket:
        """The socket that it listens to."""
        if self._control is not None and self._process is not None and self._process.poll() is None:
            return self._control
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*WARM, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self._folder,
                env=self._environment,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._control = ours
        return ours

    def close(self) -> None:
        """Lets it go: it ends when the last command has."""
        if self._control is not None and self._process is not None:
            self._control.close()
            self._process.wait()


@contextlib.contextmanager
def warm(runner: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Warm | None]:
    """What forks gannotate's own commands, where that can be done; None elsewhere, or when `runner` is another."""
    if sys.platform != "linux" or tuple(runner) != FRESH:
        yield None
        return
    made = Warm(folder, environment)
    try:
        yield made
    finally:
        made.close()


def ended(status: int, usage: Any) -> Ended:
    """How a command ended, of what `wait4` tells."""
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Ended(
        os.waitstatus_to_exitcode(status),
        round(usage.ru_maxrss / unit, 1),
        round(usage.ru_utime + usage.ru_stime, 2),
    )
