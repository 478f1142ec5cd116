"""JSON lines: one object a line, rewritten whole and atomically."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gannotate.errors import GannotateError
from gannotate.files import write_text
from gannotate.parsing import Malformed, load_json

WHOLE = ("seed", "step")
"""Keys whose values are whole numbers in every list that has them."""


def read_rows(path: Path, keys: Sequence[str]) -> list[dict[str, Any]]:
    """The objects in `path`, none when there is no file.

    Raises:
        GannotateError: a line is no object with `keys`; a damaged list is refused, not read as a shorter one.
    """
    if not path.exists():
        return []
    rows = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise GannotateError(f"{path} cannot be read ({error.strerror or error})") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = load_json(line)
        except Malformed as error:
            raise GannotateError(f"{path}, line {number} is not JSON ({error}); mend or remove that line") from error
        missing = [key for key in keys if not isinstance(row, dict) or key not in row]
        if missing:
            raise GannotateError(f"{path}, line {number} lacks {', '.join(missing)}; mend or remove that line")
        wrong = [key for key in keys if key in WHOLE and type(row[key]) is not int]
        if wrong:
            raise GannotateError(f"{path}, line {number}: {wrong[0]} is no whole number; mend or remove that line")
        rows.append(row)
    return rows


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Writes the objects, replacing the file."""
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
