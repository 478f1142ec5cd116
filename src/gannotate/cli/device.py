"""Where to compute, and with how many threads: set in this one place."""

from __future__ import annotations

import os

import torch

from gannotate.cli.flags import Common
from gannotate.errors import GannotateError, UsageError
from gannotate.record import cores
from gannotate.seeding import stream_seed
from gannotate.training import distributed
from gannotate.training.launched import launched_here


def prepare(flags: Common, together: bool = False) -> str:
    """Seeds torch, gives it this process's cores as threads (OMP_NUM_THREADS wins), returns the torch device.

    Of several processes on one machine each has its part of the cores, and a CUDA card of its own; `together` they
    meet, to train as one (see training/distributed.py).

    Raises:
        UsageError: no such device here. GannotateError: fewer CUDA cards than processes, or they cannot meet.
    """
    torch.manual_seed(stream_seed(flags.seed, "command"))
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, cores() // launched_here()[1]))
    device = _device(flags)
    if torch.device(device).type == "cuda" and torch.device(device).index is not None:
        torch.cuda.set_device(device)  # whose random numbers are then those that are kept and restored
    if together:
        distributed.join(device)
    return device


def _device(flags: Common) -> str:
    place, here = launched_here()
    wanted = flags.device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if here > 1 and wanted == "cuda":
        if place >= torch.cuda.device_count():
            raise GannotateError(
                f"{here} processes were started here and there are {torch.cuda.device_count()} CUDA cards; start one "
                "for each card, or give --device cpu"
            )
        return f"cuda:{place}"
    if flags.device == "auto":
        return wanted
    try:
        torch.empty(1, device=flags.device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        known = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise UsageError(f"device {flags.device!r} is not usable here; use auto or {', '.join(known)}") from error
    return flags.device
