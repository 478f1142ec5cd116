"""What the benchmarks share: work that is timed over several passes in a process of its own."""

from __future__ import annotations

import contextlib
import json
import math
import multiprocessing
import resource
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

PRELOAD = (
    "__main__",
    "gannotate.synthesis",
    "gannotate.segmenters.supervised",
    "gannotate.generators.adversarial.trainer",
)
"""What the server has imported from which children are forked: a child begins at once, and with the code of then."""

LEAST_S, MOST_PASSES = 0.2, 50
"""Passes that together take less CPU time than this are repeated more often, but not more often than so."""

Step = Callable[[], object]


class Failed(Exception):
    """A child gave no row; `sort` is late, killed or error."""

    def __init__(self, sort: str, reason: str) -> None:
        super().__init__(reason)
        self.sort = sort


@dataclass(frozen=True, kw_only=True)
class How:
    """How work is measured."""

    device: str = "cpu"
    """cpu or cuda."""
    threads: int = 1
    """Threads of torch and ONNX Runtime."""
    repeats: int = 5
    """Passes that are timed, after one that warms up."""
    most_s: float = math.inf
    """CPU seconds after which no further pass begins; a first pass that took longer is the one that counts."""
    reference: Path | None = None
    """Checkout of NVlabs/stylegan2-ada-pytorch, the peer of some parts."""


@dataclass(frozen=True)
class Work:
    """What is timed: pieces and how often each counts, e.g. getting ready once and a step 200 times.

    units: things (pictures, fits) that all pieces together handle, by which the seconds are divided.
    """

    pieces: Sequence[tuple[Step, float]]
    units: float = 1.0


def in_child(measure: Callable[..., dict[str, Any]], limit_s: float = 600.0, **case: Any) -> dict[str, Any]:
    """What measure(**case) gives in a fresh process, so that its peak memory is its own.

    Raises:
        Failed: it took more than `limit_s`, was killed (by too little memory, most often), or raised.
    """
    if "forkserver" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOAD))
    else:
        context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=(send, measure, case))
    child.start()
    send.close()
    try:
        if not receive.poll(limit_s):
            raise Failed("late", f"more than {limit_s:.0f} s")
        good, answer = receive.recv()
    except EOFError:
        child.join()
        if child.exitcode is not None and child.exitcode < 0:
            raise Failed("killed", f"killed by signal {-child.exitcode} (too little memory?)") from None
        raise Failed("error", "did not begin, see above") from None
    finally:
        child.kill()
        child.join()
    if not good:
        raise Failed("error", answer)
    return answer


def _answer(send: Connection, measure: Callable[..., dict[str, Any]], case: dict[str, Any]) -> None:
    try:
        send.send((True, measure(**case)))
    except Exception:
        send.send((False, traceback.format_exc()))


def figures(work: Callable[[], Work], how: How) -> dict[str, Any]:
    """Prepares work and times it: medians and ranges of wall and CPU seconds, and memory in MB, in this process.

    On a busy machine the CPU seconds are the ones to compare. `before_mb` is resident once the work is prepared, and
    `peak_mb` the most while it is done; on CUDA `gpu_mb` is the most memory of the card.
    """
    torch.set_num_threads(how.threads)
    torch.manual_seed(0)
    ready = work()
    before_mb = resident_mb()
    forget_peak()
    found = [passes(run, how.repeats, how.most_s, how.device) for run, _ in ready.pieces]
    weights = [weight for _, weight in ready.pieces]
    row: dict[str, Any] = {"units": ready.units, "passes": min(one["passes"] for one in found)}
    for clock in ("wall_s", "cpu_s"):
        row[clock] = _rounded(sum(weight * one[clock] for weight, one in zip(weights, found, strict=True)))
        ends = zip(*(one[f"{clock}_range"] for one in found), strict=True)
        row[f"{clock}_range"] = [
            _rounded(sum(weight * value for weight, value in zip(weights, end, strict=True))) for end in ends
        ]
    row |= {"before_mb": before_mb, "peak_mb": peak_mb()}
    if how.device != "cpu":
        row["gpu_mb"] = round(torch.cuda.max_memory_allocated() / 1e6)
    return row


def passes(run: Step, repeats: int, most_s: float = math.inf, device: str = "cpu") -> dict[str, Any]:
    """Medians and ranges of the wall and CPU seconds of `repeats` passes, after one that warms up.

    Short passes are repeated until LEAST_S, long ones fewer times (see `How.most_s`).
    """
    times, spent = [_timed(run, device)], 0.0
    if repeats > 1 and times[0][1] <= most_s:
        times.clear()
        while not times or spent < most_s:
            if len(times) >= repeats and (spent >= LEAST_S or len(times) >= MOST_PASSES):
                break
            times.append(_timed(run, device))
            spent += times[-1][1]
    row: dict[str, Any] = {"passes": len(times)}
    for clock, seconds in zip(("wall_s", "cpu_s"), zip(*times, strict=True), strict=True):
        row |= {clock: statistics.median(seconds), f"{clock}_range": [min(seconds), max(seconds)]}
    return row


def _timed(run: Step, device: str) -> tuple[float, float]:
    begin, begin_cpu = time.perf_counter(), time.process_time()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - begin, time.process_time() - begin_cpu


def _rounded(seconds: float) -> float:
    return float(f"{seconds:.4g}")


def peak_mb() -> int:
    """Largest resident memory of this process so far, or since `forget_peak` (Linux), in megabytes."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) * 1024 / 1e6)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


def forget_peak() -> None:
    """From now on `peak_mb` tells of what comes; where the system does not allow it, of all."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def resident_mb() -> int:
    """Resident memory of this process now, in megabytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 1e6)


def available_mb() -> int:
    """Memory that this machine could still give, in megabytes (Linux)."""
    found = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return round(int(found["MemAvailable"].split()[0]) * 1024 / 1e6)


def show(row: Mapping[str, Any]) -> None:
    """One line."""
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()
