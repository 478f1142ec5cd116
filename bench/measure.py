"""What the benchmarks share: a way measured in a process of its own, so that its peak memory is its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def in_child(script: str, flags: Mapping[str, object]) -> dict[str, Any]:
    """The row of JSON that `script` prints when it is run with `flags`; it is printed here too."""
    arguments = [part for flag, value in flags.items() for part in (f"--{flag}", str(value))]
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} ended with {done.returncode} (too little memory?)\n{done.stderr}")
    row = json.loads(done.stdout)
    show(row)
    return row


def fastest(run: Callable[[], object], repeats: int) -> dict[str, float]:
    """Wall and CPU seconds of the fastest of `repeats` passes, after one that warms up when there are several.

    On a busy machine the CPU seconds are the ones to compare.
    """
    if repeats > 1:
        run()
    wall, cpu = [], []
    for _ in range(repeats):
        begin, begin_cpu = time.perf_counter(), time.process_time()
        run()
        wall.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - begin_cpu)
    return {"wall_s": round(min(wall), 4), "cpu_s": round(min(cpu), 4)}


def peak_mb() -> int:
    """Largest resident memory of this process so far, in megabytes."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


def resident_mb() -> int:
    """Resident memory of this process now, in megabytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 1e6)


def show(row: Mapping[str, Any]) -> None:
    """One line."""
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()
