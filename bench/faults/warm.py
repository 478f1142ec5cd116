"""Commands in forks of one warm process, which has imported everything: a start costs milliseconds and not seconds."""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gannotate.cli.app import VERBS, main
from gannotate.studies import starting

LONGEST_S = 300.0
"""A command that takes longer hangs."""

SHOWN = Path("/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir())
"""Where output is kept: no disk that may be full."""

MODULES = (
    "gannotate.fitting.gradient_matching",
    "gannotate.fitting.inversion_labels",
    "gannotate.fitting.maml",
    "gannotate.fitting.pseudo_labels",
    "gannotate.fitting.teacher",
    "gannotate.segmenters.semantic_gan",
    "gannotate.segmenters.semi_supervised",
    "gannotate.studies",
    "gannotate.studies.plot",
    "matplotlib.backends.backend_agg",
    "scipy.optimize",
    "segmentation_models_pytorch",
    "timm",
)
"""What verbs import only when they are at work."""

STREAMS = ((0, "r"), (1, "w"), (2, "w"))

Prepare = Callable[[], None]
"""Called in the fork before the command: puts the fault in."""


@dataclass(frozen=True)
class Ended:
    """How a command ended. code: its exit code, negative for a signal; seconds: since it was started."""

    code: int
    seconds: float
    out: str
    err: str

    @property
    def killed(self) -> bool:
        """Whether it was ended by SIGKILL."""
        return self.code == -signal.SIGKILL

    @property
    def sentences(self) -> list[str]:
        """What it says of its failure."""
        return [line.removeprefix("gannotate: ") for line in self.err.splitlines() if line.startswith("gannotate: ")]

    @property
    def failed_in_a_sentence(self) -> bool:
        """Whether it failed as it should: exit code 1 or 2 and one sentence that somebody wrote."""
        told = self.sentences
        known = len(told) == 1 and not told[0].startswith("unexpected ")
        return self.code in (1, 2) and known and "Traceback" not in self.err


def warm_up() -> None:
    """Imports what commands import, and lets trainings checkpoint after every step and datasets have small parts."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a fork of a process with OpenMP's threads waits for ever
    from gannotate.synthesis import DatasetConfig
    from gannotate.torchvision_operators import make_importable
    from gannotate.training.loop import LoopConfig

    make_importable()
    for group in VERBS.values():
        for verb in group:
            verb.load()
    for name in MODULES:
        importlib.import_module(name)
    for kind, name, value in ((LoopConfig, "checkpoint_s", 0.0), (DatasetConfig, "part", 8)):
        defaults = kind.__init__.__kwdefaults__
        assert defaults is not None, "settings are keywords"
        defaults[name] = value


class Command:
    """A command that runs in a fork, in a process group of its own."""

    def __init__(
        self, words: Sequence[str], folder: Path, prepare: Prepare | None = None, name: str = "command"
    ) -> None:
        """`folder` is where it runs; what it prints is kept in memory under that name."""
        self._out, self._err = (SHOWN / f"{os.getpid()}-{name}.{kind}" for kind in ("out", "err"))
        self._begin = time.monotonic()
        with self._out.open("wb") as out, self._err.open("wb") as err, open(os.devnull, "rb") as nothing:
            self.pid = _fork(lambda: _run(words, prepare), nothing, out, err, folder)
        self._ends = os.pidfd_open(self.pid)

    def kill_after(self, seconds: float) -> Ended:
        """Kills the whole process group at that time after the start, unless it has ended by itself."""
        if not self.has_ended(seconds):
            self.send(signal.SIGKILL)
        return self.wait()

    def wait(self) -> Ended:
        """Waits for its end.

        Raises:
            TimeoutError: it hangs, and was killed.
        """
        hangs = not self.has_ended(LONGEST_S)
        if hangs:
            self.send(signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self._ends)
        ended = Ended(
            os.waitstatus_to_exitcode(status),
            time.monotonic() - self._begin,
            self._out.read_text(errors="replace"),
            self._err.read_text(errors="replace"),
        )
        self._out.unlink()
        self._err.unlink()
        if hangs:
            raise TimeoutError(f"a command hangs after {LONGEST_S:.0f} s: {ended.err[-500:]}")
        return ended

    def send(self, number: int) -> None:
        """Sends a signal to its process group; before `wait`."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # so early that it leads no group yet
            os.kill(self.pid, number)

    def has_ended(self, seconds: float) -> bool:
        """Whether it has ended by then, in seconds since its start."""
        left_s = self._begin + seconds - time.monotonic()
        return bool(select.select([self._ends], [], [], max(0.0, left_s))[0])


def run(words: Sequence[str], folder: Path, prepare: Prepare | None = None) -> Ended:
    """Runs a command to its end."""
    return Command(words, folder, prepare).wait()


class Forked:
    """Stands for a study's `Fresh`, so that its commands are forks of this process too."""

    def __init__(
        self, words: Sequence[str], folder: Path, environment: Mapping[str, str], shown: IO[bytes], log: IO[bytes]
    ) -> None:
        from gannotate.cli.ending import main_until_closed

        read, write = os.pipe()

        def begin() -> int:
            os.close(write)  # else its stdin would stay open when the runner is gone
            return main_until_closed(words[len(starting.FRESH) :])

        with os.fdopen(read, "rb") as stdin:
            self.pid = _fork(begin, stdin, shown, log, folder)
        self._stdin = os.fdopen(write, "wb")

    def ended(self) -> starting.Ended | None:
        """Its exit code alone; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return starting.Ended(os.waitstatus_to_exitcode(status)) if pid else None

    def ask_to_end(self) -> None:
        """Closes its stdin."""
        self._stdin.close()

    def kill(self) -> None:
        """Ends it at once."""
        os.kill(self.pid, signal.SIGKILL)


def _run(words: Sequence[str], prepare: Prepare | None) -> int:
    from gannotate.studies import cell, runner

    cell.Fresh = Forked  # type: ignore[assignment, misc]
    runner.warm = lambda *about: contextlib.nullcontext()  # type: ignore[assignment]
    if prepare is not None:
        prepare()
    return main(list(words))


def _fork(work: Callable[[], int], stdin: IO[bytes], stdout: IO[bytes], stderr: IO[bytes], folder: Path) -> int:
    """The process id of a fork that does `work` in `folder`, leads a session of its own, and exits with its answer."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    with contextlib.suppress(BaseException):
        os.setsid()
        for number, file in enumerate((stdin, stdout, stderr)):
            os.dup2(file.fileno(), number)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode, closefd=False) for number, mode in STREAMS)
        os.chdir(folder)
        code = work()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
