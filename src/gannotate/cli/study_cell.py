"""A command as a study runs it: `python -m gannotate.cli.study_cell VERB ...` (see studies/cell.py).

The same command, ended as by Ctrl-C when stdin is closed: by the runner that wants it to stop, or because that one is
gone, so that no training is ever left behind that nobody waits for.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading

from gannotate.cli.app import main


def end_with_stdin() -> None:
    """Waits for the end of stdin, then raises KeyboardInterrupt in the main thread."""
    # os.read and not sys.stdin: a thread that sits in a buffered read keeps the interpreter from ending
    while os.read(0, 4096):
        pass
    _thread.interrupt_main()


if __name__ == "__main__":
    threading.Thread(target=end_with_stdin, daemon=True).start()
    sys.exit(main(sys.argv[1:]))
