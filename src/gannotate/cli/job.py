"""A command as the annotator's page runs it: `python -m gannotate.cli.job VERB ...` (see annotate/jobs.py).

The same command, with progress twice a second, less urgent than what a person waits for, and ended as by Ctrl-C when
stdin is closed: by whoever started it, or because that one is gone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from gannotate.cli import show
from gannotate.cli.ending import main_until_closed

LINE_EVERY_S = 0.5
NICENESS = 10


def run(words: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    show.LINE_EVERY_S = LINE_EVERY_S
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    return main_until_closed(words)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
