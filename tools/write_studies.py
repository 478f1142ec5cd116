"""Writes docs/study-results.md and its plots from the folders of studies.

    python tools/write_studies.py [FOLDER...]

Each FOLDER is an `--out` of `gannotate study run` (runs/studies.sh fills one). What a study found is kept in
docs/study-results/NAME-DOMAIN/study.json, so that the page needs no folder of an earlier day: of a study that is kept
and in a FOLDER, or in several, the largest counts. First the table of claims, then every study as its own table.md says
it. No figure in the page is typed by hand; run again to refresh it.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gannotate.files import write_bytes, write_json, write_text
from gannotate.studies.claims import all_claims
from gannotate.studies.claims_table import as_markdown
from gannotate.studies.plan import only_seeds
from gannotate.studies.plot import draw
from gannotate.studies.reading import Ended, find_studies, read_study
from gannotate.studies.study import names
from gannotate.studies.writing import STUDY, page_of
from gannotate.wording import counted

DOCS = Path(__file__).parents[1] / "docs"
PLOTS = DOCS / "images" / "studies"
KEPT = DOCS / "study-results"

RECOVERED = "The figures of this section are those of an earlier state of this page, to three decimals."
"""Of studies whose own files were lost with the machine that they ran on."""

HEAD = """# What the studies found

The studies that ship, run by `runs/studies.sh` at 64 px.
{size}
Trends, not records: a difference of a point or two means nothing on one seed. Where a section says `fit_most 300`,
gradient matching and MAML stop at a fifth of their steps, long before they are done: claims about them may be lost here
that they keep in the longer runs of [Results](results.md). [Studies](studies.md) says how to run one and what its parts
are.
"""


def main(folders: list[Path]) -> None:
    """The whole page."""
    keep(list(studies([*([KEPT] if KEPT.is_dir() else []), *folders])))
    found = [folder for folder, _ in studies([KEPT])]
    ended = [read_study(folder) for folder in found]
    shutil.rmtree(PLOTS, ignore_errors=True)
    PLOTS.mkdir(parents=True)
    known = [dict(one.content) for one in ended]
    claimed, sections = as_markdown(all_claims(ended)).splitlines(), [section(one) for one in ended]
    lines = [HEAD.format(size=size_of(known))]
    lines += [f"- {link(claimed[0])}", *contents(known, sections), ""]
    lines += [*claimed, "", "## Study by study", "", *sections]
    write_text(DOCS / "study-results.md", "\n".join(lines).rstrip() + "\n")


def keep(found: list[tuple[Path, dict[str, Any]]]) -> None:
    """Keeps what the studies found, without what is true of one machine only: its paths."""
    if not found:
        raise SystemExit("no studies there: give an --out of gannotate study run")
    for folder, study in found:
        own = KEPT / folder.name
        if folder.resolve() != own.resolve():
            own.mkdir(parents=True, exist_ok=True)
            write_json(own / STUDY, without_paths(study))


def without_paths(part: Any) -> Any:
    """A part of study.json with the last names alone of absolute paths, and commands without the flags for folders."""
    if isinstance(part, dict):
        return {name: without_paths(one) for name, one in part.items()}
    if isinstance(part, list):
        return [without_paths(one) for one in part]
    if isinstance(part, str):
        told = (
            re.sub(r" --(out|data|generator|known) ('[^']*'|[^\s`]+)", "", part)
            if part.startswith("gannotate study")
            else part
        )
        return re.sub(r"(?<=')/[^'\n]*/|(?<![\w.'])/(?:[^\s/'\"`]+/)+", "", told)
    return part


def size_of(known: list[dict[str, Any]]) -> str:
    """How many are as large as they ask to be, and what the others lack."""
    own = [one for one in known if not one["reduced"]]
    few = [one for one in known if one["reduced"] and all(only_seeds(lack) for lack in one["reduced"])]
    return (
        f"Of {counted(len(known), 'study', 'studies')} (on a domain each) {len(own)} are as large as they ask to be, "
        f"{len(few)} but for the number of seeds; what is fewer in the others (steps, pictures, values of the axes) "
        "their sections say."
    )


def contents(known: list[dict[str, Any]], sections: list[str]) -> Iterator[str]:
    """A line a study: its name, and each domain that it was done on as a link to its section."""
    links: dict[str, list[str]] = {}
    for study, text in zip(known, sections, strict=True):
        links.setdefault(study["study"], []).append(link(text.partition("\n")[0], study["domain"]["title"]))
    for name, own in links.items():
        yield f"- `{name}`: {', '.join(own)}"


def link(heading: str, text: str = "") -> str:
    """A link to a heading of the page, as GitHub names it."""
    words = heading.lstrip("# ")
    place = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
    return f"[{text or words}](#{place})"


def studies(folders: list[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The studies' folders with their study.json, in the library's order; of one in several folders the largest.

    Of equally large ones the last. Quick forms are left out.
    """
    order = {name: place for place, name in enumerate(names())}
    known = [(folder, json.loads((folder / STUDY).read_text())) for folder in find_studies(folders)]
    largest: dict[str, tuple[Path, dict[str, Any]]] = {}
    for folder, study in known:
        if study["study"] not in order or study["quick"]:
            continue
        before = largest.get(folder.name)
        if before is None or lack_of(study) <= lack_of(before[1]):
            largest[folder.name] = folder, study
    own = largest.values()
    yield from sorted(own, key=lambda one: (order[one[1]["study"]], one[0].name))


def lack_of(study: dict[str, Any]) -> tuple[bool, int, int, int]:
    """How far a study is from all that it could be.

    Whether it has hardly begun (most rows are missing), what is reduced but the seeds, rows that are missing, seeds.
    """
    missing = sum(row["status"] != "done" for row in study["rows"])
    reduced = sum(not only_seeds(lack) for lack in study["reduced"])
    return missing > len(study["rows"]) / 2, reduced, missing, -len(study["seeds"])


def section(ended: Ended) -> str:
    """A study as its own table.md says it, one level lower, with its plots beside this page."""
    text = re.sub(r"^#", "##", page_of(ended.frame, ended.points, ended.findings, ended.content), flags=re.MULTILINE)
    for plot, kept in zip(ended.frame.plots, ended.content["plots"], strict=True):
        name = f"{ended.frame.called}{kept['svg'].removeprefix('plot')}"
        write_bytes(PLOTS / name, draw(ended.frame, plot, ended.points)["svg"])
        text = text.replace(f"]({kept['svg']})", f"](images/studies/{name})")
    return f"{text}\n{RECOVERED}\n" if ended.content.get("recovered") else text


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
