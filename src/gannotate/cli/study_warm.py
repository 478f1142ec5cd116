"""Forks a study's commands: `python -m gannotate.cli.study_warm SOCKET` (see studies/starting.py).

It imports what every command imports and then only waits, so that a fork has one thread and nothing half done. A
message is a command's words with its stdin, stdout, stderr and a socket, which is told the fork's number, and in the
end its exit code and memory. It ends when whoever started it is gone and its last fork has ended.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Sequence

from gannotate.cli.ending import main_until_closed
from gannotate.studies.starting import ended

MODULES = ("numpy", "torch", "pydantic", "yaml", "PIL.Image", "safetensors.torch")
"""What nearly every command imports. No more than that: a command's peak of memory shall be its own."""

Work = Callable[[], int]


def serve(control: socket.socket) -> Work | None:
    """Forks until there is nobody left; in a fork returns what is to be done there, in the first process None."""
    children: dict[int, socket.socket] = {}
    wake, waker = os.pipe()
    for end in (wake, waker):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(waker)
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        listening = True
        while listening or children:
            for key, _ in selector.select():
                if key.fileobj is control:
                    data, files, _, _ = socket.recv_fds(control, 1 << 18, 4)
                    if not data:
                        listening = False
                        selector.unregister(control)
                        continue
                    pid = os.fork()
                    if not pid:
                        _leave([control, *children.values()], (wake, waker))
                        return _work(json.loads(data), files)
                    children[pid] = _started(pid, files)
                else:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake, 1 << 12)
            _reap(children)
    return None


def _started(pid: int, files: Sequence[int]) -> socket.socket:
    report = socket.socket(fileno=files[3])
    for number in files[:3]:
        os.close(number)
    _tell(report, {"pid": pid})
    return report


def _reap(children: dict[int, socket.socket]) -> None:
    while children:
        pid, status, usage = os.wait4(-1, os.WNOHANG)
        if pid == 0:
            return
        with children.pop(pid) as report:
            _tell(report, ended(status, usage)._asdict())


def _tell(report: socket.socket, what: dict[str, float]) -> None:
    with contextlib.suppress(OSError):  # the runner was killed: nobody asks
        report.send(json.dumps(what).encode())


def _leave(sockets: Sequence[socket.socket], pipe: Sequence[int]) -> None:
    """In a fork: nothing is left of the process that forked it."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for one in sockets:
        one.close()
    for number in pipe:
        os.close(number)


def _work(words: Sequence[str], files: Sequence[int]) -> Work:
    """In a fork: the command, with its own files in place of the first process's."""
    os.setsid()
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)  # sys.stdin and the others stay: they know the number alone, and nothing is in them yet
    for file in files:
        os.close(file)
    return lambda: main_until_closed(words)


def begin(number: int) -> Work | None:
    """Imports, and serves the socket of that number."""
    for name in MODULES:
        __import__(name)
    gc.collect()
    gc.freeze()  # a fork's own collections need not touch, and so copy, what is here
    return serve(socket.socket(fileno=number))


if __name__ == "__main__":
    work = begin(int(sys.argv[1]))
    sys.exit(work() if work is not None else 0)
