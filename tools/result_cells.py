"""What the tables of docs/results.md share: the cells of a run, and a mean with its spread."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

TITLES = {"xray": "Chest X-rays", "wbc": "White blood cells", "portraits": "Portraits"}


def cells(folder: Path, pattern: str) -> list[dict[str, Any]]:
    """Every cell's json whose file name matches, in the order of names."""
    return [json.loads(path.read_text()) for path in sorted((folder / "cells").glob(pattern))]


def in_text(domain: str) -> str:
    """A domain's title within a sentence: `chest X-rays`."""
    return TITLES[domain][0].lower() + TITLES[domain][1:]


def spread(values: list[float]) -> str:
    """Mean, and smallest to largest in brackets when there are several."""
    mean = statistics.fmean(values)
    return f"{mean:.3f}" if len(values) == 1 else f"{mean:.3f} ({min(values):.3f}-{max(values):.3f})"
