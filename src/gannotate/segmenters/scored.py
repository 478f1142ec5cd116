"""A segmenter's latest scores, in its folder: what its card and the annotations that it makes tell of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gannotate.files import write_json
from gannotate.parsing import read_ours

EVALUATION = "evaluation.json"
"""File in a segmenter's folder: its latest scores, and on what."""

FIGURES = ("miou", "fg_miou", "pixel_accuracy")
"""Of all classes together; None where a protocol or the pictures leave nothing to count."""


def read_scores(folder: str | Path) -> dict[str, Any] | None:
    """What `gannotate evaluate` found last; None before that.

    Raises:
        GannotateError: damaged.
    """
    path = Path(folder) / EVALUATION
    if not path.exists():
        return None
    return read_ours(path, "score it again with `gannotate evaluate`, or delete that file", _checked)


def write_scores(folder: str | Path, found: dict[str, Any]) -> None:
    """Keeps `found` as the latest scores of the segmenter in `folder`."""
    write_json(Path(folder) / EVALUATION, found)


def _checked(found: dict[str, Any]) -> dict[str, Any]:
    """`found`; raises ValueError when something that readers rely on is of another kind."""
    per_class, calibration, choice = (found.get(name) or {} for name in ("per_class", "calibration", "choice"))
    for name, part in (("per_class", per_class), ("calibration", calibration), ("choice", choice)):
        if not isinstance(part, dict):
            raise ValueError(f"its {name} is {part!r:.80}")
    numbers = {**{name: found.get(name) for name in FIGURES}, "ece": calibration.get("ece"), **per_class}
    for name, value in numbers.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"its {name} is {value!r:.80}")
    for name, value in (("test", found.get("test", "")), ("choice", choice.get("on", ""))):
        if not isinstance(value, str):
            raise ValueError(f"its {name} is {value!r:.80}")
    return found
