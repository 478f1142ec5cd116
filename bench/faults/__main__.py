"""Kills every long command at random moments, injects other faults, and compares what is left with an undisturbed run.

    python -m bench.faults [--kills 50] [--operations 10] [--faults 4] [--only fit "train --online"] [--out faults.json]

On tiny inputs, Linux only; mounting small disks asks for root. `--out` is written after every case, and what it holds
already is not done again: a stopped run goes on. See docs/robustness.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from gannotate.files import write_json
from gannotate.record import hardware, now, versions

from .disturbances import FAULTS, MOUNTING
from .kills import Killed, Undisturbed, kill_case
from .warm import warm_up
from .world import Case, make_world, named


def main() -> int:
    """Does what the flags say; 1 when something was found."""
    flags = parse()
    kept: dict[str, Any] = json.loads(flags.out.read_text()) if flags.out and flags.out.exists() else {"cases": {}}
    kept |= {"written": now(), "hardware": hardware(), "versions": versions()}
    found = 0
    warm_up()
    with tempfile.TemporaryDirectory(dir=flags.place) as place:
        world = make_world(Path(place) / "world")
        for case in named(flags.only):
            row = kept["cases"].setdefault(case.name, {"command": case.text, "faults": {}})
            found += _case(
                case, row, world, Path(place) / "at", flags, lambda: flags.out and write_json(flags.out, kept)
            )
    return 1 if found else 0


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=50, help="kills of each command at random moments")
    parser.add_argument("--operations", type=int, default=10, help="kills at its file operations, at most")
    parser.add_argument("--faults", type=int, default=4, help="times that each other fault is injected")
    parser.add_argument("--kinds", nargs="*", choices=list(FAULTS), help="other faults; all that can be injected")
    parser.add_argument("--only", nargs="*", default=[], help="names of commands; all when not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="do what is in --out once more")
    parser.add_argument("--place", type=Path, default="/dev/shm" if os.path.isdir("/dev/shm") else None)
    parser.add_argument("--out", type=Path, help="JSON file to write, and to go on with")
    flags = parser.parse_args()
    if flags.kinds is None:
        flags.kinds = [kind for kind in FAULTS if os.geteuid() == 0 or kind not in MOUNTING]
    return flags


def _case(case: Case, row: dict[str, Any], world: Path, place: Path, flags: argparse.Namespace, save: Any) -> int:
    """Does with one command what is not in its row yet; gives the number of findings."""
    before = row.get("kills", {})
    kills = flags.again or before.get("kills", 0) < flags.kills or before.get("at_operations", 0) < flags.operations
    kinds = [kind for kind in flags.kinds if flags.faults and (flags.again or kind not in row["faults"])]
    if not kills and not kinds:
        return 0
    whole, found = Undisturbed(case, world, place), 0
    row |= {"seconds": round(whole.seconds, 2), "operations": whole.operations}
    if kills and (flags.kills or flags.operations):
        kept = Killed(**before) if before and not flags.again else None
        row["kills"] = kill_case(whole, flags.kills, flags.operations, flags.seed, kept).as_row()
        found += _tell(case.name, "kills", row["kills"])
        save()
    for kind in kinds:
        row["faults"][kind] = FAULTS[kind](
            whole, flags.faults, random.Random(f"{case.name} {kind} {flags.seed}")
        ).as_row()
        found += _tell(case.name, kind, row["faults"][kind])
        save()
    return found


def _tell(name: str, kind: str, row: dict[str, Any]) -> int:
    counts = ", ".join(f"{key} {value}" for key, value in row.items() if key not in ("faults", "shown"))
    sys.stdout.write(f"{name}: {kind}: {counts}\n" + "".join(f"    {one}\n" for one in row["faults"]))
    sys.stdout.flush()
    return len(row["faults"])


if __name__ == "__main__":
    sys.exit(main())
