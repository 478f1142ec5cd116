"""Run records: every run folder says what made it (run.json), and whether it was finished."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import gannotate
from gannotate.errors import GannotateError, UsageError, newer_format
from gannotate.files import make_folder, write_json
from gannotate.locks import alone_in
from gannotate.parsing import DAMAGED, load_json

RECORD = "run.json"
FORMAT_VERSION = 1
PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "segmentation-models-pytorch",
    "timm",
    "kornia",
    "safetensors",
    "pillow",
)
"""Packages whose versions can change a result."""


@dataclass
class Record:
    """What one run did; `result` and `about` may be filled while it runs and are saved at its end.

    config: the resolved settings, JSON-able. wall_s: seconds, summed over the parts of a resumed run, but for those in
    which the process was killed: it could not write how long it had taken. killed: how many of the parts these are;
    where there are any, wall_s is less than the whole.
    """

    verb: str
    config: Mapping[str, Any]
    seed: int
    result: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    status: str = "running"
    started: str = ""
    wall_s: float = 0.0
    parts: int = 1
    killed: int = 0


@contextlib.contextmanager
def recorded(
    folder: str | Path, verb: str, config: Mapping[str, Any], seed: int, begin: float | None = None
) -> Iterator[Record]:
    """Keeps folder/run.json while the body runs: status running, then done, interrupted or failed.

    An unfinished record that is already there is continued: its first start and its wall time are kept, unless `config`
    says `resume: false`, by which that work is thrown away. A run that was refused (UsageError) leaves the record that
    was there, one that failed before it wrote anything else no folder. `begin`: time.monotonic() when the work began,
    if earlier.

    Raises:
        GannotateError: another process is at work in the folder, or the disk is full.
    """
    folder = make_folder(folder)
    with alone_in(folder, _at_work(folder)):
        yield from _kept(folder, Record(verb=verb, config=dict(config), seed=seed, started=now()), begin)


def check_free(folder: str | Path) -> None:
    """Checks that no other process is at work in a run's folder.

    Raises:
        GannotateError: one is; says what it does, and since when.
    """
    folder = Path(folder)
    with alone_in(folder, _at_work(folder)):
        pass


def _at_work(folder: Path) -> str:
    """The sentence when another process has the folder; its record may be half gone in the moment of its end."""
    who = "it has only just started"
    with contextlib.suppress(GannotateError, KeyError):
        before = read_record(folder)
        who = f"{before['verb']}, since {before['started']}" if before else who
    return (
        f"another process is at work in {folder} ({who}); wait for its end, or work in a new folder (in a project "
        "with --no-resume)"
    )


def _kept(folder: Path, record: Record, begin: float | None) -> Iterator[Record]:
    before = read_record(folder)
    if before and before.get("status") != "done" and record.config.get("resume", True):
        record.started, record.wall_s = before["started"], float(before["wall_s"])
        record.parts = int(before["parts"]) + 1
        # nobody is at work here, so one that still says that it runs was killed
        record.killed = int(before.get("killed", 0)) + (before["status"] == "running")
    spent_s, begin = record.wall_s, time.monotonic() if begin is None else begin

    def save(status: str) -> None:
        record.status, record.wall_s = status, round(spent_s + time.monotonic() - begin, 2)
        write_json(folder / RECORD, as_json(record))

    save("running")
    try:
        yield record
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        refused = before is not None and isinstance(error, UsageError)  # what is there is still what it was
        with contextlib.suppress(GannotateError):  # a full disk: the first error is the one to show
            write_json(folder / RECORD, before) if refused else save(status)
        if not refused:
            _remove_if_nothing_was_made(folder)
        raise
    save("done")


def _remove_if_nothing_was_made(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] == [RECORD]:
            (folder / RECORD).unlink()
            folder.rmdir()


def as_json(record: Record) -> dict[str, Any]:
    """The content of run.json."""
    return {
        "format_version": FORMAT_VERSION,
        "verb": record.verb,
        "status": record.status,
        "started": record.started,
        "wall_s": record.wall_s,
        "parts": record.parts,
        "killed": record.killed,
        "seed": record.seed,
        "config": dict(record.config),
        "about": record.about,
        "result": record.result,
        "versions": versions(),
        "hardware": hardware(),
        "peak_rss_mb": peak_rss_mb(),
    }


def read_record(folder: str | Path) -> dict[str, Any] | None:
    """The content of folder/run.json; None when there is none.

    Raises:
        GannotateError: damaged, or written by a newer version.
    """
    path = Path(folder) / RECORD
    try:
        record = load_json(path.read_bytes())
        version = int(record["format_version"])
        if version <= FORMAT_VERSION:
            _check_record(record)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except DAMAGED as error:
        raise GannotateError(f"{path} is damaged ({error}); delete that folder to go on without it") from error
    if version > FORMAT_VERSION:
        raise newer_format(path, version, FORMAT_VERSION)
    return record


def _check_record(record: Mapping[str, Any]) -> None:
    """Raises ValueError when something that readers rely on is of another kind."""
    for name, kind in (("status", str), ("verb", str), ("config", dict), ("about", dict), ("result", dict)):
        if not isinstance(record.get(name, kind()), kind):
            raise ValueError(f"its {name} is {record[name]!r:.80}")
    if "status" not in record:
        raise ValueError("it has no status")


def is_finished(folder: str | Path) -> bool:
    """True when the run in `folder` reached its end.

    A folder without run.json was put there by hand; an empty one is of a run that was killed before it began.
    """
    record = read_record(folder)
    if record is None:
        return not is_empty(folder)
    return record["status"] == "done"


def is_empty(folder: str | Path) -> bool:
    """Whether nothing is in a folder, or it is not there."""
    folder = Path(folder)
    return not folder.is_dir() or not any(folder.iterdir())


def now() -> str:
    """The time in UTC to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of gannotate, Python and the packages that can change a result."""
    found = {"gannotate": gannotate.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def hardware() -> dict[str, Any]:
    """Processor, cores, memory in MB, and the graphics card when torch is loaded and sees one."""
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": cores(),
        "memory_mb": _memory_mb(),
        "system": platform.system(),
    }
    torch = sys.modules.get("torch")  # never loaded for this alone: it takes seconds
    if torch is not None:
        found["torch_threads"] = torch.get_num_threads()
        if torch.cuda.is_available():
            found["gpu"] = torch.cuda.get_device_name()
    return found


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MB (0 where the system does not tell)."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_mb() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    except (ValueError, OSError, AttributeError):
        return None
