"""JSON lines: one object a line, rewritten whole and atomically."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gannotate.errors import GannotateError
from gannotate.files import write_text


def read_rows(path: Path, keys: Sequence[str]) -> list[dict[str, Any]]:
    """The objects in `path`, none when there is no file.

    Raises:
        GannotateError: a line is no object with `keys`; a damaged list is refused, not read as a shorter one.
    """
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise GannotateError(f"{path}, line {number} is not JSON ({error}); mend or remove that line") from error
        missing = [key for key in keys if not isinstance(row, dict) or key not in row]
        if missing:
            raise GannotateError(f"{path}, line {number} lacks {', '.join(missing)}; mend or remove that line")
        rows.append(row)
    return rows


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Writes the objects, replacing the file."""
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
