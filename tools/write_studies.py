"""Writes docs/study-results.md, a page a study beside it, and their plots from the folders of studies.

    python tools/write_studies.py [FOLDER...]

Each FOLDER is an `--out` of `gannotate study run` (runs/studies.sh fills one). What a study found is kept in
docs/study-results/NAME-DOMAIN/ (study.json and small pictures), so that the pages need no folder of an earlier day: of
a study that is kept and in a FOLDER, or in several, the largest counts. The first page has the studies and the table
of claims, docs/study-results/NAME.md each domain as its own table.md says it, and docs/results.md begins with the
claims. No figure in them is typed by hand; run again to refresh them.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path, PureWindowsPath
from typing import Any

import write_results

from gannotate.files import write_bytes, write_json, write_text
from gannotate.studies.claims import all_claims
from gannotate.studies.claims_table import as_markdown
from gannotate.studies.current import as_declared
from gannotate.studies.curve_plot import draw_curve
from gannotate.studies.curves import curves_as_json
from gannotate.studies.pictures import ShownPicture, picture_bytes
from gannotate.studies.plan import only_seeds
from gannotate.studies.plot import draw
from gannotate.studies.reading import Ended, find_studies, read_study
from gannotate.studies.study import names
from gannotate.studies.words import as_command
from gannotate.studies.writing import STUDY, page_of
from gannotate.wording import counted

DOCS = Path(__file__).parents[1] / "docs"
PLOTS = DOCS / "images" / "studies"
KEPT = DOCS / "study-results"

FOLDERS = ("--out", "--data", "--generator", "--known")
"""Flags of `study run` that say where things are, and not what is done."""

MOST_KEPT_BYTES = 300_000
"""A picture that a study's commands drew is kept when it is smaller."""

PICTURES = "../images/studies"
"""The plots, from the page of a study."""

RECOVERED = "The figures of this section are those of an earlier state of this page, to three decimals."
"""Of studies whose own files were lost with the machine that they ran on."""

MEANS = "Of {} it told means alone; each stands for all the figures that it is of."

BACK = "[All studies](../study-results.md)"

HEAD = """# What the studies found

The studies that ship, run by `runs/studies.sh` at 64 px.
{size}
Trends, not records: a difference of a point or two means nothing on one seed. Where a page says `fit_most 300`,
gradient matching and MAML stop at a fifth of their steps, long before they are done, and a verdict may fall either way
by that. On X-rays and blood cells the study `real-label-methods` was done both ways: in 300 steps gradient matching
beat MAML of one step by far, with all of theirs one seed cannot tell the two apart. [Studies](studies.md) says how to
run one and what its parts are.
"""


def main(folders: list[Path]) -> None:
    """All pages."""
    keep([*([KEPT] if KEPT.is_dir() else []), *folders])
    ended = studies([KEPT])
    shutil.rmtree(PLOTS, ignore_errors=True)
    PLOTS.mkdir(parents=True)
    for page in KEPT.glob("*.md"):
        page.unlink()
    by_study: dict[str, list[Ended]] = {}
    for one in ended:
        by_study.setdefault(one.name, []).append(one)
    for name, own in by_study.items():
        write_text(DOCS / page_place(name), "\n".join([BACK, "", *study_page(own)]).rstrip() + "\n")
    lines = [HEAD.format(size=size_of([dict(one.content) for one in ended])), *contents(by_study), ""]
    lines += as_markdown(all_claims(ended), {name: page_place(name) for name in by_study}).splitlines()
    write_text(DOCS / "study-results.md", "\n".join(lines).rstrip() + "\n")
    write_results.main([f"claims={KEPT}"], DOCS / "results.md")


def page_place(study: str) -> str:
    """Where a study's page is, from the first page."""
    return f"{KEPT.name}/{study}.md"


def study_page(own: list[Ended]) -> Iterator[str]:
    """A study on each of its domains."""
    yield f"# {own[0].frame.title}"
    for one in own:
        yield from ("", section(one).rstrip())


def keep(folders: list[Path]) -> None:
    """Keeps what the studies found, each where it is largest, without what is true of one machine only: its paths."""
    for one in studies(folders):
        own = KEPT / one.frame.called
        if one.folder.resolve() != own.resolve():
            shutil.rmtree(own, ignore_errors=True)  # with pictures of before
            own.mkdir(parents=True)
            pictures = [asdict(kept_picture(one, picture, own)) for picture in one.pictures]
            write_json(own / STUDY, without_paths({**one.content, "pictures": pictures}))


def kept_picture(ended: Ended, picture: ShownPicture, own: Path) -> ShownPicture:
    """Keeps a picture of a study's folder, unless it is too large; the same with what became of it."""
    data = picture_bytes(ended.folder, picture)
    if data is None or len(data) >= MOST_KEPT_BYTES:
        why = picture.missing or ("it was not kept" if data is None else "it is too large to be kept")
        return replace(picture, file="", missing=why)
    write_bytes(own / picture.file, data)
    return picture


def without_paths(part: Any) -> Any:
    """A part of study.json with the last names alone of paths that lead out of the folder of studies."""
    if isinstance(part, dict):
        return {name: (shortened if name == "command" else without_paths)(one) for name, one in part.items()}
    if isinstance(part, list):
        return [without_paths(one) for one in part]
    if isinstance(part, str):  # of an error
        return re.sub(r"(?<![\w.:/~-])(?:~|\.\.)?/(?:[^\s/'\"`]+/)*(?=[^\s/])", "", part)
    return part


def shortened(command: str) -> str:
    """A command without the flags of `study run` for folders, and with the last names of such paths."""
    words, folders = iter(shlex.split(command)), FOLDERS if command.startswith("gannotate study run ") else ()
    kept: list[str] = []
    for word in words:
        flag, equals, value = word.rpartition("=") if word.startswith("--") else ("", "", word)
        if word in folders:
            next(words, None)
        if word in folders or flag in folders:
            continue
        leads_out = value.startswith(("/", "~")) or ".." in Path(value).parts or "\\" in value
        kept.append(f"{flag}{equals}{PureWindowsPath(value).name if leads_out else value}")
    return as_command(kept)


def size_of(known: list[dict[str, Any]]) -> str:
    """How many are as large as they ask to be, and what the others lack."""
    sized = [one for one in known if all(only_seeds(lack) for lack in one["reduced"])]
    own = [one for one in sized if not one["reduced"] and not missing(one)]
    return (
        f"Of {counted(len(known), 'study', 'studies')} (on a domain each) {len(own)} are as large as they ask to be, "
        f"{len(sized) - len(own)} but for the number of seeds or commands that were not run; what is fewer in the "
        "others (steps, pictures, values of the axes) their pages say."
    )


def contents(by_study: Mapping[str, list[Ended]]) -> Iterator[str]:
    """A row a study: its page, and how large it is on each domain, as a link to that."""
    yield from ("| study | what is asked | how it was done |", "|---|---|---|")
    for name, own in by_study.items():
        page = page_place(name)
        done = [
            f"[{one.frame.domain}]({page}#{write_results.anchor(one.frame.domain)}): {done_as(one.content)}"
            for one in own
        ]
        yield f"| [`{name}`]({page}) | {own[0].frame.title} | {'; '.join(done)} |"


def done_as(study: Mapping[str, Any]) -> str:
    """How large a study is, in a few words."""
    size = "own size" if all(only_seeds(lack) for lack in study["reduced"]) else "reduced"
    lacks = f", {lacking} of {len(study['cells'])} commands not run" if (lacking := missing(study)) else ""
    return f"{size}, {counted(len(study['seeds']), 'seed')}{lacks}"


def missing(study: Mapping[str, Any]) -> int:
    """How many of its commands failed or were not run."""
    return sum(one["status"] != "done" for one in study.get("cells", {}).values())


def studies(folders: list[Path]) -> list[Ended]:
    """The studies in the folders, in the library's order; of one in several folders the largest.

    Of equally large ones the last. Quick forms are left out, and those that do not ship.
    """
    order = {name: place for place, name in enumerate(names())}
    largest: dict[str, Ended] = {}
    for one in map(as_declared, map(read_study, find_studies(folders))):
        if one.name not in order or one.frame.quick:
            continue
        before = largest.get(one.frame.called)
        if before is None or lack_of(one.content) <= lack_of(before.content):
            largest[one.frame.called] = one
    return sorted(largest.values(), key=lambda one: (order[one.name], one.frame.called))


def lack_of(study: Mapping[str, Any]) -> tuple[bool, int, int]:
    """How far a study is from all that it could be.

    Whether it has hardly begun (most rows are missing), what is reduced but the seeds, and rows that are done.
    """
    done = sum(row["status"] == "done" for row in study["rows"])
    reduced = sum(not only_seeds(lack) for lack in study["reduced"])
    return done < len(study["rows"]) / 2, reduced, -done


def section(ended: Ended) -> str:
    """A study on one domain as its own table.md says it, with its plots and pictures beside the pages."""
    _, _, told = page_of(ended.frame, ended.points, ended.findings, ended.content).partition("\n")
    text = f"## {ended.frame.domain}\n{told}"
    for plot, kept in zip(ended.frame.plots, ended.content["plots"], strict=True):
        name = f"{ended.frame.called}{kept['svg'].removeprefix('plot')}"
        write_bytes(PLOTS / name, draw(ended.frame, plot, ended.points)["svg"])
        text = text.replace(f"]({kept['svg']})", f"]({PICTURES}/{name})")
    for drawn, kept in zip(ended.curves, curves_as_json(ended.curves), strict=True):
        name = f"{ended.frame.called}-{kept['svg']}"
        write_bytes(PLOTS / name, draw_curve(ended.frame, drawn)["svg"])
        text = text.replace(f"]({kept['svg']})", f"]({PICTURES}/{name})")
    for picture in ended.pictures:
        name = f"{ended.frame.called}-{picture.file}"
        if (data := picture_bytes(ended.folder, picture)) is not None:
            write_bytes(PLOTS / name, data)
            text = text.replace(f"]({picture.file})", f"]({PICTURES}/{name})")
    recovered = ended.content.get("recovered")
    if not recovered:
        return text
    means = [ended.frame.measures[name].title or name for name in recovered["means"]]
    return f"{text}\n{' '.join([RECOVERED, *([MEANS.format(', '.join(means))] if means else [])])}\n"


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
