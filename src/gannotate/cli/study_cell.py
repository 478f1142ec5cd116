"""A command as a study runs it: `python -m gannotate.cli.study_cell VERB ...` (see studies/cell.py).

The same command, ended as by Ctrl-C when stdin is closed: by the runner that wants it to stop, or because that one is
gone, so that no training is ever left behind that nobody waits for.
"""

from __future__ import annotations

import sys

from gannotate.cli.ending import main_until_closed

if __name__ == "__main__":
    sys.exit(main_until_closed(sys.argv[1:]))
