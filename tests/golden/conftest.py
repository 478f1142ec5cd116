"""Lets the tests here import recipe.py, which a script outside of the tests shares."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
