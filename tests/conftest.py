"""Several real processes for tests: forked, and joined by gloo over a file."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import pickle
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a child forked off a process with OpenMP's threads waits for ever

import pytest
import torch.distributed as dist

Together = Callable[[Callable[[], Any], int], list[Any]]
"""Runs a function in so many processes; gives what each of them returned, or fails with what one of them raised."""

LONGEST_S = 300
"""Only against hanging for ever: a busy machine may take a minute for what takes a second."""


def _child(work: Callable[[], Any], meeting: Path, rank: int, count: int, answer: Connection) -> None:
    try:
        dist.init_process_group(
            "gloo",
            init_method=f"file://{meeting}",
            rank=rank,
            world_size=count,
            timeout=datetime.timedelta(seconds=LONGEST_S),
        )
        answer.send_bytes(pickle.dumps((True, work())))
        if dist.is_initialized():
            dist.destroy_process_group()
    except BaseException:
        answer.send_bytes(pickle.dumps((False, f"process {rank}: {traceback.format_exc()}")))


@pytest.fixture
def together(tmp_path_factory: pytest.TempPathFactory) -> Together:
    """See `Together`."""

    def run(work: Callable[[], Any], count: int) -> list[Any]:
        forked, meeting = multiprocessing.get_context("fork"), tmp_path_factory.mktemp("meeting") / "store"
        pipes = [forked.Pipe(duplex=False) for _ in range(count)]
        children = [
            forked.Process(target=_child, args=(work, meeting, rank, count, pipe[1])) for rank, pipe in enumerate(pipes)
        ]
        for child in children:
            child.start()
        try:
            # a child that dies without an answer must not be waited for
            answers = [pickle.loads(pipe[0].recv_bytes()) for pipe in pipes if pipe[0].poll(LONGEST_S)]
        finally:
            for child in children:
                child.join(5)
                child.kill()
        failures = [answer for good, answer in answers if not good]
        if failures or len(answers) < count:
            pytest.fail("\n".join(failures) or "a process did not answer")
        return [answer for _, answer in answers]

    return run
