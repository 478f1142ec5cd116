"""Writes docs/study-results.md and its plots from the folders of studies.

    python tools/write_studies.py FOLDER [FOLDER...]

Each FOLDER is an `--out` of `gannotate study run` (runs/studies.sh fills one); a study that is in several counts where
it is largest. First the table of claims, then every study as its own table.md says it. No figure in the page is typed
by hand; run again to refresh it.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gannotate.files import write_text
from gannotate.studies.claims import all_claims
from gannotate.studies.claims_table import as_markdown
from gannotate.studies.plan import only_seeds
from gannotate.studies.reading import find_studies, read_study
from gannotate.studies.study import names
from gannotate.wording import counted

DOCS = Path(__file__).parents[1] / "docs"
PLOTS = DOCS / "images" / "studies"

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
    found = list(studies(folders))
    if not found:
        raise SystemExit(f"no studies in {', '.join(map(str, folders))}: give an --out of gannotate study run")
    shutil.rmtree(PLOTS, ignore_errors=True)
    PLOTS.mkdir(parents=True)
    claims = all_claims([read_study(folder) for folder, _ in found])
    claimed, sections = as_markdown(claims).splitlines(), [section(folder, study) for folder, study in found]
    lines = [HEAD.format(size=size_of([study for _, study in found]))]
    lines += [f"- {link(claimed[0])}", *contents([study for _, study in found], sections), ""]
    lines += [*claimed, "", "## Study by study", "", *sections]
    write_text(DOCS / "study-results.md", "\n".join(lines).rstrip() + "\n")


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

    Quick forms are left out.
    """
    order = {name: place for place, name in enumerate(names())}
    known = [(folder, json.loads((folder / "study.json").read_text())) for folder in find_studies(folders)]
    largest: dict[str, tuple[Path, dict[str, Any]]] = {}
    for folder, study in known:
        if study["study"] not in order or study["quick"]:
            continue
        before = largest.get(folder.name)
        if before is None or lack_of(study) < lack_of(before[1]):
            largest[folder.name] = folder, study
    own = largest.values()
    yield from sorted(own, key=lambda one: (order[one[1]["study"]], one[0].name))


def lack_of(study: dict[str, Any]) -> tuple[int, int, int]:
    """How far a study is from all that it could be: rows that are missing, what is reduced but the seeds, seeds."""
    missing = sum(row["status"] != "done" for row in study["rows"])
    return missing, sum(not only_seeds(lack) for lack in study["reduced"]), -len(study["seeds"])


def section(folder: Path, study: dict[str, Any]) -> str:
    """A study's own table.md, one level lower, with its plots beside this page and no path of the machine it ran on."""
    text = re.sub(r"^#", "##", (folder / "table.md").read_text(), flags=re.MULTILINE)
    for plot in study["plots"]:
        name = f"{folder.name}{plot['svg'].removeprefix('plot')}"
        shutil.copyfile(folder / plot["svg"], PLOTS / name)
        text = text.replace(f"]({plot['svg']})", f"](images/studies/{name})")
    return re.sub(r" --(out|data|generator) \S+", "", text)


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
