"""`python -m gannotate` is the command `gannotate`."""

import sys

from gannotate.cli.app import main

sys.exit(main())
