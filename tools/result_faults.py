"""The section of docs/results.md on kills and other faults: what bench/faults did to commands, and what was left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FAULTS = {
    "full disk": "disk full after so many KB",
    "disk full at an operation": "disk full at a file operation",
    "read-only folder": "read-only, from the start or from a file operation on",
    "vanished input": "an input is gone when it is opened",
    "clock jumps": "clocks jump by up to 6 hours, all the time",
    "two processes": "the same command while the first is at it",
}
"""Kinds of faults, in words."""


def faults(path: Path) -> list[str]:
    """Two tables: kills by command, other faults by kind."""
    found = json.loads(path.read_text())
    killed = {name: row for name, row in found["cases"].items() if "kills" in row}
    total = {key: sum(row["kills"][key] for row in killed.values()) for key in ("kills", "at_operations", "restarts")}
    lines = [
        "## Kills and other faults",
        "",
        f"SIGKILL {total['kills']:,} times at random moments and {total['at_operations']:,} times at a file operation "
        f"of {len(killed)} commands on tiny inputs, each then started again until it ends, {total['restarts']:,} times "
        "in all (a command that goes on may be killed again). Equal: every file it leaves, but for times and memory, "
        "is that of a command that nobody disturbed, and no half-written file remains. Late: all was done when it was "
        "killed. Made by `python -m bench.faults`.",
        "",
        "| command | alone, s | file operations | kills | at operations | starts again | late | equal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in killed.items():
        kills = row["kills"]
        lines.append(
            f"| `{name}` | {row['seconds']:.1f} | {row['operations']} | {kills['kills']} | {kills['at_operations']} | "
            f"{kills['restarts']} | {kills['late']} | {kills['equal']} of {kills['trials']} |"
        )
    return [*lines, "", *_others(found["cases"])]


def _others(cases: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "Other faults, summed over the commands. A sentence: exit code 1 or 2 and one sentence. Went on: ended well "
        "all the same. Left out: ended well without an input that was gone, and named it. Equal: the same command, "
        "once the fault is gone, leaves what an undisturbed one does.",
        "",
        "| fault | commands | injected | a sentence | went on | left out | equal |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, title in FAULTS.items():
        rows = [row["faults"][kind] for row in cases.values() if kind in row["faults"]]
        if rows:
            counts = {
                key: sum(row[key] for row in rows) for key in ("injected", "sentences", "unharmed", "named", "equal")
            }
            asked = counts["injected"] - counts["named"]
            lines.append(
                f"| {title} | {len(rows)} | {counts['injected']} | {counts['sentences']} | {counts['unharmed']} | "
                f"{counts['named']} | {counts['equal']} of {asked} |"
            )
    return [*lines, ""] if len(lines) > 4 else []
