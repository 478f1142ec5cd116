"""One command in several processes, started by `torchrun ... -m gannotate VERB ...`: who speaks, and who writes."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gannotate.errors import AlikeEverywhere, UsageError
from gannotate.record import Record, recorded
from gannotate.training.launched import launched, launched_here


@contextlib.contextmanager
def one_of_many() -> Iterator[None]:
    """In all processes but the first nothing is shown within it; at its end the processes part."""
    try:
        if launched()[0] == 0:
            yield
        else:
            with open(os.devnull, "w") as nowhere:
                with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
                    yield
    finally:
        distributed = sys.modules.get("gannotate.training.distributed")  # where they never met, torch is not loaded
        if distributed is not None:
            distributed.leave()


def check_alone(what: str) -> None:
    """Refuses `what`, which several processes would each do as if they were alone.

    Raises:
        UsageError: there are several.
    """
    count = launched()[1]
    if count > 1:
        raise UsageError(f"{what} runs in one process and was started in {count}; start it without torchrun")


def sentence_of(error: BaseException, text: str) -> str:
    """What this process says of its own end; nothing where the first one says the same."""
    rank, count = launched()
    if count == 1:
        return text
    if _is_loss(error):
        text = "another process has ended, see there; the same command goes on from the last checkpoint"
        return text if rank == 0 else ""
    if rank == 0:
        return text
    alike = isinstance(error, UsageError | AlikeEverywhere | KeyboardInterrupt)
    # the first one of each machine speaks: another machine may lack the project. So do processes that no torchrun
    # started (synthesize, predict, study run), which do not know how the others fare
    said_by_first = alike and launched_here()[0] > 0
    return "" if said_by_first or type(error).__name__ == "Elsewhere" else f"process {rank}: {text}"


def _is_loss(error: BaseException) -> bool:
    """Whether another process can no longer be reached. torch, which may not be loaded, is not asked for its class."""
    if any(kind.__name__ == "DistError" for kind in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(name in str(error).lower() for name in ("gloo", "nccl"))


@contextlib.contextmanager
def recorded_once(folder: str | Path, verb: str, config: Mapping[str, Any], seed: int) -> Iterator[Record]:
    """`recorded`, by the first process alone; the others fill a record that nobody keeps."""
    if launched()[0] > 0:
        yield Record(verb=verb, config=config, seed=seed)
        return
    with recorded(folder, verb, config, seed) as record:
        yield record
