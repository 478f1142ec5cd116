"""The section of docs/results.md on bad input: how many inputs each reader was given, and what came of it.

python tools/result_fuzz.py scratch/fuzz
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from gannotate.wording import counted

ENGINES = {"own": "changes that know the format", "atheris": "guided by coverage"}


def fuzzed(folder: Path) -> list[str]:
    """A line a reader: inputs, refused, accepted, findings, the slowest one, the most memory."""
    rows = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
    replay = json.loads((folder / "replay.json").read_text()) if (folder / "replay.json").exists() else None
    total, engines = sum(row["inputs"] for row in rows), Counter[str]()
    for row in rows:
        engines[row["engine"]] += row["inputs"]
    how = ", ".join(f"{count:,} {ENGINES[name]}" for name, count in engines.most_common())
    lines = [
        "## Bad input",
        "",
        f"{total:,} damaged and hostile files and requests through every reader, in {_cpu(rows):.0f} s of "
        f"reading on one core ({how}). Refused: with one of our sentences, on one printable line. Findings: kinds of "
        "tracebacks, of hangs (more than 5 s of CPU), of memory beyond the input's own size, of files or programs "
        "touched outside of the reader's folder, and of sentences that are none, over the whole time and so before "
        f"they were mended too. {_replayed(replay)}Made by `python -m bench.fuzz`; docs/fuzzing.md tells what is "
        "promised.",
        "",
        "| reader | inputs | refused | accepted | findings | slowest s | most MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["reader"] for row in sorted(rows, key=lambda row: row["reader"])):
        lines.append(_line(name, [row for row in rows if row["reader"] == name]))
    kinds = Counter(one["kind"] for row in _causes(rows).values() for one in [row])
    shown = (
        ", ".join(
            f"{count} of {kind}" if kind == "memory" else counted(count, kind) for kind, count in kinds.most_common()
        )
        or "none"
    )
    return [*lines, f"| all | {total:,} | {_sum(rows, 'refused'):,} | {_sum(rows, 'accepted'):,} | {shown} | | |", ""]


def _line(name: str, rows: list[dict[str, Any]]) -> str:
    # a reader that was mended is as slow, and takes as much, as it does now: what counts is without findings
    clean = [row for row in rows if not row["findings"]] or rows
    slowest, most = max(row["slowest_s"] for row in clean), max(row["peak_mb"] for row in clean)
    numbers = " | ".join(f"{_sum(rows, key):,}" for key in ("inputs", "refused", "accepted"))
    return f"| {name} | {numbers} | {len(_causes(rows))} | {slowest:.2f} | {most:.0f} |"


def _causes(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {f"{row['reader']} {key}": one for row in rows for key, one in row["findings"].items()}


def _sum(rows: list[dict[str, Any]], key: str) -> int:
    return sum(row[key] for row in rows)


def _cpu(rows: list[dict[str, Any]]) -> float:
    return sum(row["cpu_s"] for row in rows)


def _replayed(replay: dict[str, int] | None) -> str:
    if replay is None:
        return ""
    return f"Of the {replay['kept']} inputs that were kept for a finding, {replay['failing']} show it today. "


if __name__ == "__main__":
    sys.stdout.write("\n".join(fuzzed(Path(sys.argv[1]))) + "\n")
