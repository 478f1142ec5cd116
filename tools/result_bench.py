"""Speed in the documentation, from the rows of bench/all.py: a section of docs/results.md, and docs/speed.md.

    python tools/result_bench.py OUT

puts the tables of OUT/rows.jsonl between the marks of docs/speed.md, and its plots into docs/images/bench-*.png.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from catalogue import PARTS
from growth import figures_of
from running import NAMES, ROWS
from tables import about, beside, grown, last_run

from gannotate.files import write_bytes, write_text
from gannotate.jsonlines import read_rows

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- {}: written by tools/result_bench.py -->\n", "<!-- end of {} -->\n"


def bench(folder: Path) -> list[str]:
    """The section of docs/results.md: every part beside the other ways."""
    rows = last_run(read_rows(folder / ROWS, NAMES))
    lines = ["## Speed", "", *about(rows), "", *beside(PARTS, rows), ""]
    return [*lines, "How all of it grows is in [speed.md](speed.md). Made by `python bench/all.py`.", ""]


def between(page: str, name: str, lines: list[str]) -> str:
    """The page with `lines` in place of what is between the marks of that name.

    Raises:
        ValueError: the page lacks a mark.
    """
    begin, end = BEGIN.format(name), END.format(name)
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the page lacks {begin.strip()} or {end.strip()} after it")
    return before + begin + "\n" + "\n".join(lines).strip() + "\n\n" + end + after


def main() -> None:
    """Rewrites the page and the plots."""
    folder = Path(sys.argv[1])
    rows, page = last_run(read_rows(folder / ROWS, NAMES)), DOCS / "speed.md"
    text = between(page.read_text(), "table", [*about(rows), "", *beside(PARTS, rows)])
    write_text(page, between(text, "growth", grown(PARTS, rows)))
    for name, png in figures_of(PARTS, rows).items():
        write_bytes(DOCS / "images" / f"bench-{name}.png", png)


if __name__ == "__main__":
    main()
