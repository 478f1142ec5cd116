"""What a folder holds, but for times, memory and machine: equal for a command that was disturbed and one that was not.

Numbers of run folders are left out as well: a command that was killed after its end was noted, and typed again, makes a
second run, which must be equal to the first one.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

from safetensors import safe_open

TIMES = {
    *("started", "wall_s", "seconds", "cells_s", "s_per_kimg", "pictures_per_s", "latency", "attempt", "pid", "host"),
    *("made", "created", "saved", "since", "dateCreated", "datePublished"),
    *("peak_rss_mb", "peak_mb", "cpu_s", "hardware", "versions", "killed"),
    "reused",  # a cell of a study that an earlier start of the same command had done
}
"""Keys in JSON whose values may differ."""

RUNS = re.compile(r"\b(decoders/|datasets/|segmenters/|runs/|project-)\d{4}")
MOMENTS = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(\+00:00|Z)?)?|-?\b[\d.,:]+ ?(ms|s|MB|seconds|minutes|a second)\b"
)
PROGRESS = re.compile(r"^.+: \d+/\d+ in \d+:\d\d.*\n", re.MULTILINE)
"""Lines of a cell's log that tell how far a command is: how long that took, and every so many seconds."""

Fingerprint = dict[str, set[str]]
"""By name of a file, with NNNN for the number of a run: hashes of what is in the files of that name."""


def fingerprint(folder: Path) -> Fingerprint:
    """Every file in `folder` and below."""
    found: Fingerprint = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith(".lock"):
            name = _plain(str(path.relative_to(folder)))
            found.setdefault(name, set()).add(hashlib.sha256(_content(path)).hexdigest())
    return found


def runs(folder: Path) -> int:
    """How many run folders there are."""
    return len({path.parent for path in folder.rglob("run.json")})


def leftovers(folder: Path) -> list[str]:
    """Files that a killed command left and that nobody will ever remove: half-written ones, and empty folders."""
    found = []
    for path in sorted(folder.rglob("*")):
        half = path.name.startswith(".") and not path.name.endswith(".lock")
        if half or path.name.endswith(".part") or (path.is_dir() and not any(path.iterdir())):
            found.append(str(path.relative_to(folder)))
    return found


def differences(expected: Fingerprint, found: Fingerprint) -> list[str]:
    """What differs, in words; empty when nothing does."""
    missing = [f"{name} is missing" for name in expected if name not in found]
    more = [f"{name} is too many" for name in found if name not in expected]
    other = [f"{name} differs" for name in expected if name in found and found[name] != expected[name]]
    return [*missing, *more, *other]


def _plain(text: str) -> str:
    return RUNS.sub(r"\1NNNN", text)


def _content(path: Path) -> bytes:
    """A file's bytes without what may differ."""
    if path.name == "checkpoint.safetensors":
        return _checkpoint(path)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return b"".join(name.encode() + archive.read(name) for name in sorted(archive.namelist()))
    if path.suffix == ".json":
        return _plain(json.dumps(_timeless(json.loads(path.read_text())), sort_keys=True)).encode()
    if path.suffix == ".jsonl":
        rows = [_timeless(json.loads(line)) for line in path.read_text().splitlines()]
        return _plain(json.dumps(rows, sort_keys=True)).encode()
    if path.suffix == ".csv":
        rows = csv.DictReader(io.StringIO(path.read_text()))
        return json.dumps([_timeless(row) for row in rows]).encode()
    if path.name == "log.txt":
        return PROGRESS.sub("", path.read_text()).encode()
    if path.suffix in (".md", ".yaml", ".html", ".txt"):
        return _plain(MOMENTS.sub("", path.read_text())).encode()
    return path.read_bytes()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        # parts: of how many a resumed run was, a number; in a manifest it is the list of its shards
        kept = {key: item for key, item in value.items() if key not in TIMES and key != "parts"}
        if isinstance(value.get("parts"), list):
            kept["parts"] = value["parts"]
        return {key: _timeless(item) for key, item in kept.items()}
    if isinstance(value, list):
        return [_timeless(item) for item in value]
    return MOMENTS.sub("", value) if isinstance(value, str) else value


def _checkpoint(path: Path) -> bytes:
    with safe_open(str(path), framework="np") as file:
        tree = (file.metadata() or {}).get("tree", "")
        arrays = [file.get_tensor(name).tobytes() for name in sorted(file.keys())]
    tree = re.sub(r'\["seconds", \{"value": [^}]*\}\]', "", tree)
    return tree.encode() + b"".join(arrays)
