"""Measures the ways of every case that have no row yet, and keeps the rows in a file as they come."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from measure import Failed, How, available_mb, in_child
from parts import Part, measure
from tables import AXES, key_of

from gannotate.jsonlines import read_rows, write_rows
from gannotate.record import hardware

ROWS = "rows.jsonl"
NAMES = ("part", "way", "case", "machine", "quick")
"""What every row has."""

MOST_OF_MEMORY = 0.6
"""Of what is available: a case that needs more is left out, and says so."""


def run(parts: Mapping[str, Part], how: How, out: Path, quick: bool, limit_s: float) -> Iterator[dict[str, Any]]:
    """Measures every way of every case that has no row yet; yields the new rows, which are kept in out/rows.jsonl."""
    path, machine = out / ROWS, machine_of(how)
    known = {key_of(row): row for row in read_rows(path, NAMES)}
    for name, part, cases in _in_order(parts, quick):
        if how.device != "cpu" and not part.on_cuda:
            continue
        failed: set[str] = set()
        for case in cases:
            for way in part.ways_of(case, how):
                row = {"part": name, "way": way, "case": case, "machine": machine, "quick": quick}
                key = key_of(row)
                if key not in known:
                    row |= _tried(part, way, case, how, limit_s, way in failed)
                    row["load"] = round(os.getloadavg()[0], 1)
                    if "error" not in row:  # an error is tried again by the next run, nothing else is
                        known[key] = row
                        write_rows(path, known.values())
                    yield row
                if "failed" in known.get(key, {}):
                    failed.add(way)


def _in_order(parts: Mapping[str, Part], quick: bool) -> Iterator[tuple[str, Part, list[dict[str, Any]]]]:
    """The table's cases of all parts, then one axis after the other, so that a run that is stopped leaves a whole."""
    for name, part in parts.items():
        for case in part.of_table(quick):  # each by itself: that one failed says nothing of the others
            yield name, part, [case]
    for axis in AXES:
        for name, part in parts.items():
            if axis in part.growth:
                yield name, part, part.along(axis, quick)


def _tried(part: Part, way: str, case: dict[str, Any], how: How, limit_s: float, failed: bool) -> dict[str, Any]:
    """What a way took on a case, or why there is nothing; `failed`: a smaller case had nothing."""
    if failed:
        return {"failed": "not tried after a smaller one"}
    needs = part.needs_mb(way, **case) if part.needs_mb else 0.0
    if needs > MOST_OF_MEMORY * available_mb():
        return {"failed": f"needs {needs / 1000:.0f} GB of memory"}
    try:
        return in_child(measure, limit_s, prepare=part.prepare, way=way, how=how, case=case)
    except Failed as problem:
        return {"error" if problem.sort == "error" else "failed": str(problem)}


def machine_of(how: How) -> dict[str, Any]:
    """What must be the same for two rows to be compared."""
    found = hardware()
    kept = {name: found[name] for name in ("processor", "cores", "memory_mb")}
    kept |= {"torch": torch.__version__, "threads": how.threads, "device": how.device}
    return kept | ({"gpu": torch.cuda.get_device_name()} if how.device != "cpu" else {})
