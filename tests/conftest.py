"""Several real processes for tests: forked, and joined by gloo over a file."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import pickle
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a child forked off a process with OpenMP's threads waits for ever

import pytest
import torch.distributed as dist

Together = Callable[[Callable[[], Any], int], list[Any]]
"""Runs a function in so many processes; gives what each of them returned, or fails with what one of them raised."""

LONGEST_S = 900
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
        dist.barrier()  # one that ends at once would break off what the others are still connecting
        answer.send_bytes(pickle.dumps((True, work())))
        if dist.is_initialized():
            dist.destroy_process_group()
    except BaseException:
        answer.send_bytes(pickle.dumps((False, f"process {rank}: {traceback.format_exc()}")))


def _answer(reading: Connection, rank: int) -> tuple[bool, Any]:
    """Whether a child's work went well, and what it gave, or what is to be said of it."""
    if not reading.poll(LONGEST_S):
        return False, f"process {rank} did not answer"
    try:
        return pickle.loads(reading.recv_bytes())
    except EOFError:
        return False, f"process {rank} died without an answer"


@pytest.fixture
def together(tmp_path_factory: pytest.TempPathFactory) -> Together:
    """See `Together`."""

    def run(work: Callable[[], Any], count: int) -> list[Any]:
        forked, meeting = multiprocessing.get_context("fork"), tmp_path_factory.mktemp("meeting") / "store"
        answers_of, children = list[Connection](), list[BaseProcess]()
        for rank in range(count):
            reading, writing = forked.Pipe(duplex=False)
            children.append(forked.Process(target=_child, args=(work, meeting, rank, count, writing)))
            children[-1].start()
            writing.close()  # here, and so in the children after it: a pipe ends with its own child
            answers_of.append(reading)
        try:
            answers = [_answer(reading, rank) for rank, reading in enumerate(answers_of)]
        finally:
            for child in children:
                child.join(5)
                child.kill()
        failures = [answer for good, answer in answers if not good]
        if failures:
            pytest.fail("\n".join(failures))
        return [answer for _, answer in answers]

    return run
