"""A command as the annotator's page runs it: `python -m gannotate.cli.job VERB ...` (see annotate/jobs.py).

The same command, with progress twice a second, less urgent than what a person waits for, and ended as by Ctrl-C when
stdin is closed: by whoever started it, or because that one is gone.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
from collections.abc import Sequence

from gannotate.cli import show
from gannotate.cli.app import main

LINE_EVERY_S = 0.5
NICENESS = 10


def run(words: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    show.LINE_EVERY_S = LINE_EVERY_S
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    return main(list(words))


def _end_with_stdin() -> None:
    # os.read and not sys.stdin: a thread that sits in a buffered read keeps the interpreter from ending
    while os.read(0, 4096):
        pass
    _thread.interrupt_main()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
