"""Where to compute, and with how many threads: set in this one place."""

from __future__ import annotations

import os

import torch

from gannotate.cli.flags import Common
from gannotate.errors import UsageError
from gannotate.record import cores
from gannotate.seeding import stream_seed


def prepare(flags: Common) -> str:
    """Seeds torch, gives it this process's cores as threads (OMP_NUM_THREADS wins), returns the torch device.

    Raises:
        UsageError: no such device here.
    """
    torch.manual_seed(stream_seed(flags.seed, "command"))
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(cores())
    if flags.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=flags.device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        here = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise UsageError(f"device {flags.device!r} is not usable here; use auto or {', '.join(here)}") from error
    return flags.device
