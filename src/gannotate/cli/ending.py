"""Ending a command from another process, by closing its stdin or by SIGTERM."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from gannotate.cli.app import INTERRUPTED, main

AGAIN_S = 20.0
"""Seconds until the next interruption of a command that goes on: one that comes in the middle of an import, or while
Python frees an object, is swallowed there."""


def main_until_closed(words: Sequence[str]) -> int:
    """Runs a command, ended as by Ctrl-C when stdin is closed: by whoever started it, or because that one is gone."""
    try:
        # a shell without job control starts what it puts into the background with Ctrl-C ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=_interrupt_at_end, daemon=True).start()
        return main(words)
    except KeyboardInterrupt:  # so early that the command could not answer it itself
        sys.stderr.write("stopped\n")
        return INTERRUPTED


@contextlib.contextmanager
def as_by_ctrl_c() -> Iterator[None]:
    """While the body runs, SIGTERM ends it as Ctrl-C does, so that it can clear up behind itself."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt_at_end() -> None:
    # os.read and not sys.stdin: a thread that sits in a buffered read keeps the interpreter from ending
    while os.read(0, 4096):
        pass
    while True:
        _interrupt()
        time.sleep(AGAIN_S)


def _interrupt() -> None:
    main_thread = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main_thread is not None:
        signal.pthread_kill(main_thread, signal.SIGINT)  # also wakes a wait for a lock or a worker
    else:
        _thread.interrupt_main()
