"""Long work that the page starts: a dataset, a segmenter. Each is `gannotate` commands in a process of its own.

A command in another process keeps the page responsive, can be ended at any time, and goes on where it was when it is
started again (see cli/runs.py). One job runs at a time. The child watches its stdin: closing it is how a job is
cancelled, and what happens by itself when this process dies, so no training is ever left behind without a page.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from gannotate.annotate.store import Store
from gannotate.errors import GannotateError, UsageError
from gannotate.files import drop
from gannotate.project import Project, digest
from gannotate.record import is_finished, read_record

RUNNER = (sys.executable, "-m", "gannotate.cli.job")
"""Runs one command line of gannotate: progress twice a second on stderr, result on stdout, ends when stdin does."""

PATIENCE_S = 30.0
"""A cancelled job that takes longer to end is killed."""

PROGRESS = re.compile(r"^[\w -]+: (\d+)/(\d+) in [\d:]+(?:, ([\d:]+) left)?")
"""What cli/show.py writes where stderr is no terminal."""

Kind = Literal["dataset", "segmenter"]

Status = Literal["running", "cancelling", "cancelled", "done", "failed"]

Words = tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """One command of a job. title: what it does, for the page."""

    title: str
    words: Words


@dataclass(frozen=True)
class JobState:
    """How a job is doing. done and steps count within the part at hand, 0 of 0 before the first line of progress.

    number: counts the jobs of this session. seconds: since the job began. eta_s: of this part, None while unknown.
    error: why it failed. result: what the last finished part printed.
    """

    number: int
    kind: Kind
    parts: int
    status: Status = "running"
    part: int = 1
    title: str = ""
    done: int = 0
    steps: int = 0
    seconds: float = 0.0
    eta_s: float | None = None
    error: str = ""
    result: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.status not in ("running", "cancelling")


class Busy(GannotateError):
    """A job runs already."""


class Jobs:
    """The job of one project, for many threads."""

    def __init__(self, runner: Words = RUNNER) -> None:
        self._runner = runner
        self._lock = threading.Lock()
        self._state: JobState | None = None
        self._begun = 0.0
        self._child: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> JobState | None:
        """The job that runs, or the last one; None before the first."""
        with self._lock:
            if self._state is not None and not self._state.ended:
                self._state = replace(self._state, seconds=time.monotonic() - self._begun)
            return self._state

    def start(self, kind: Kind, make: Callable[[], Sequence[Part]]) -> JobState:
        """Begins a job: its parts one after the other.

        `make` gives the parts. It is called only when nothing runs, as it may remove what a running job reads; what it
        raises goes on to the caller, and nothing was begun.

        Raises:
            Busy: another one runs.
        """
        with self._lock:
            before = self._state
            if before is not None and not before.ended:
                raise Busy(f"a job runs already (the {before.kind}); wait for its end or cancel it")
            parts = tuple(make())
            number = before.number + 1 if before else 1
            self._state = JobState(number, kind, len(parts), title=parts[0].title)
            self._begun = time.monotonic()
            self._thread = threading.Thread(target=self._run, args=(parts,), name=f"job {number}", daemon=True)
            self._thread.start()
            return self._state

    def cancel(self) -> None:
        """Asks the job that runs, if any, to end; what it did so far is kept and gone on with by the next one."""
        with self._lock:
            if self._state is None or self._state.status != "running":
                return
            self._state = replace(self._state, status="cancelling")
            child = self._child
        if child is not None:
            _ask_to_end(child)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for the job's end; False when that took longer."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def stop(self) -> None:
        """Cancels, and waits until nothing runs."""
        self.cancel()
        self.wait(PATIENCE_S + 5)

    def _run(self, parts: tuple[Part, ...]) -> None:
        for index, part in enumerate(parts):
            self._note(part=index + 1, title=part.title, done=0, steps=0, eta_s=None)
            try:
                code, shown, told = self._run_part(part)
            except OSError as error:
                self._note(status="failed", error=f"{part.words[0]} could not be started ({error.strerror or error})")
                return
            cancelled = self.state is not None and self.state.status == "cancelling"
            if code:
                self._note(
                    status="cancelled" if cancelled else "failed", error="" if cancelled else _reason(told, code)
                )
                return
            self._note(result=_parsed(shown))
            if cancelled and index + 1 < len(parts):
                self._note(status="cancelled")
                return
        self._note(status="done")

    def _run_part(self, part: Part) -> tuple[int, str, deque[str]]:
        """Exit code, what it printed, and the last lines that it said."""
        child = subprocess.Popen(
            [*self._runner, *part.words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        with self._lock:
            self._child = child
            cancelled = self._state is not None and self._state.status == "cancelling"
        if cancelled:  # between two parts, or before the first one was there
            _ask_to_end(child)
        assert child.stdout is not None
        assert child.stderr is not None
        shown: list[str] = []
        reading = threading.Thread(target=lambda out=child.stdout: shown.append(out.read()), daemon=True)
        reading.start()
        told: deque[str] = deque(maxlen=20)
        for line in child.stderr:
            found = PROGRESS.match(line)
            if found:
                left = seconds_of(found[3]) if found[3] else 0.0
                self._note(done=int(found[1]), steps=int(found[2]), eta_s=left)
            elif line.strip():
                told.append(line.strip())
        code = child.wait()
        reading.join()
        for pipe in (child.stdout, child.stderr):
            pipe.close()
        with self._lock:
            self._child = None
        return code, "".join(shown), told

    def _note(self, **changes: Any) -> None:
        with self._lock:
            assert self._state is not None
            self._state = replace(self._state, seconds=time.monotonic() - self._begun, **changes)


def dataset_parts(store: Store, count: int, decoder: str) -> list[Part]:
    """A decoder of the newest labels, unless there is one, then `count` pictures that it labels.

    Raises:
        UsageError: no generated picture is labelled. GannotateError: a label map of one that cannot be read.
    """
    store.check_readable("generated")
    if not store.labelled("generated"):
        raise UsageError("no generated picture is labelled yet, and a decoder learns from those; label one first")
    project, folder = store.project, str(store.project.folder)
    synthesize = Part("Writing the dataset", ("synthesize", folder, "-n", str(count), "--json"))
    known = current_decoder(project, decoder)
    if known is not None:
        return [replace(synthesize, words=(*synthesize.words, "--decoder", known.name))]
    return [Part("Fitting the decoder", ("fit", folder, "--decoder", decoder, "--json")), synthesize]


def segmenter_parts(project: Project, architecture: str, steps: int) -> list[Part]:
    """A segmenter of the newest dataset.

    Raises:
        UsageError: there is no dataset.
    """
    project.latest("datasets")
    words = ("train", str(project.folder), "--architecture", architecture, "--steps", str(steps), "--json")
    return [Part("Training the segmenter", words)]


def labelled_parts(store: Store, architecture: str, steps: int) -> list[Part]:
    """A segmenter of the labelled pictures themselves, real and generated.

    They are written to a zip first, named after what is in their labels, so that the same order goes on with what
    was cancelled and one after more labels begins anew. Older zips are removed.

    Raises:
        UsageError: nothing is labelled. GannotateError: a label map that cannot be read.
    """
    store.check_readable()
    folder, project = store.folder / "for-training", str(store.project.folder)
    labelled = store.labelled()
    if not labelled:
        raise UsageError("no picture is labelled yet; label one first")
    # of the files, and not of the history: `simulate` and `data import` label without it
    content = digest_of((seed, digest(store.project.annotation_path(seed))) for seed in labelled)
    path = folder / f"labelled-{content}.zip"
    for old in folder.glob("labelled-*.zip"):
        if old != path:
            drop(old)
    write = Part(
        "Gathering the labels", ("data", "export", project, "--format", "palette", "--out", str(path), "--json")
    )
    words = ("train", project, "--labelled", str(path), "--architecture", architecture, "--steps", str(steps), "--json")
    train = Part("Training the segmenter", words)
    return [train] if path.exists() else [write, train]


def digest_of(values: Iterable[object]) -> str:
    """Twelve signs that tell these values from others."""
    return hashlib.sha256(repr(list(values)).encode()).hexdigest()[:12]


def current_decoder(project: Project, kind: str) -> Path | None:
    """The newest decoder of this kind that was fitted to the annotations as they are, under the classes as they are."""
    annotations = [annotation.seed for annotation in project.annotations()]
    files = [project.annotation_path(seed) for seed in annotations] + [project.folder / "project.yaml"]
    changed = max(path.stat().st_mtime for path in files)
    for folder in reversed(project.made("decoders")):
        record = read_record(folder) if is_finished(folder) else None
        if record is None:
            continue
        began, config = datetime.fromisoformat(record["started"]).timestamp(), record["config"]
        if config.get("decoder") == kind and config.get("annotations") == annotations and changed < began:
            return folder
    return None


def seconds_of(clock: str) -> float:
    """Seconds of 1:05 or 2:01:05."""
    total = 0
    for part in clock.split(":"):
        total = 60 * total + int(part)
    return float(total)


def _ask_to_end(child: subprocess.Popen[str]) -> None:
    if child.stdin is not None:
        child.stdin.close()
    threading.Thread(target=_kill_later, args=(child,), daemon=True).start()


def _kill_later(child: subprocess.Popen[str]) -> None:
    try:
        child.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _reason(told: deque[str], code: int) -> str:
    sentences = [line.removeprefix("gannotate: ") for line in told if line.startswith("gannotate: ")]
    return sentences[-1] if sentences else (told[-1] if told else f"it ended with {code} and said nothing")


def _parsed(shown: str) -> dict[str, Any] | None:
    try:
        found = json.loads(shown)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
