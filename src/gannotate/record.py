"""Run records: every run folder says what made it (run.json), and whether it was finished."""

from __future__ import annotations

import contextlib
import json
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
from gannotate.errors import GannotateError
from gannotate.files import write_json

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

    config: the resolved settings, JSON-able. wall_s: seconds, summed over the parts of a resumed run.
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


@contextlib.contextmanager
def recorded(
    folder: str | Path, verb: str, config: Mapping[str, Any], seed: int, begin: float | None = None
) -> Iterator[Record]:
    """Keeps folder/run.json while the body runs: status running, then done, interrupted or failed.

    An unfinished record that is already there is continued: its first start and its wall time are kept. A run that
    failed before it wrote anything else leaves no folder. `begin`: time.monotonic() when the work began, if earlier.
    """
    folder = Path(folder)
    record = Record(verb=verb, config=dict(config), seed=seed, started=now())
    before = read_record(folder)
    if before and before.get("status") != "done":
        record.started, record.wall_s = before["started"], float(before["wall_s"])
        record.parts = int(before["parts"]) + 1
    spent_s, begin = record.wall_s, time.monotonic() if begin is None else begin

    def save(status: str) -> None:
        record.status, record.wall_s = status, round(spent_s + time.monotonic() - begin, 2)
        write_json(folder / RECORD, as_json(record))

    save("running")
    try:
        yield record
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with contextlib.suppress(GannotateError):  # a full disk: the first error is the one to show
            save(status)
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
        record = json.loads(path.read_text())
        version = int(record["format_version"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise GannotateError(f"{path} is damaged ({error}); delete that folder to go on without it") from error
    if version > FORMAT_VERSION:
        raise GannotateError(
            f"{path} was written by a newer gannotate (format {version}, this one reads up to "
            f"{FORMAT_VERSION}); upgrade gannotate"
        )
    return record


def is_finished(folder: str | Path) -> bool:
    """True when the run in `folder` reached its end; one without run.json was put there by hand."""
    record = read_record(folder)
    return record is None or record["status"] == "done"


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
