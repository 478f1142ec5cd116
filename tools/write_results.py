"""Writes sections of docs/results.md from the json of runs, and leaves the others as they are.

    python tools/write_results.py demo=demo.json xray=OUT decoders-xray=CELLS ...
    python tools/write_results.py claims=docs/study-results

`python tools/write_studies.py` writes the section of the claims, too, from the studies' kept figures.
Each OUT (xray, wbc, portraits) is a folder that runs/few_labels.sh filled, each CELLS one of runs/decoders.sh. A
comment in the page names each section. No figure in it is typed by hand; run again to refresh it.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from result_bench import bench
from result_cells import TITLES, cells, spread
from result_claims import claims
from result_faults import faults
from result_fuzz import fuzzed
from result_real import inversion, real_labels
from result_studies import costs, decoders, filters, methods, scales

from gannotate.files import write_text

DOCS = Path(__file__).parents[1] / "docs"

NOTES = {
    "wbc": "The test's pictures come from another source than the unlabelled ones. Supervised networks train with "
    "photometric changes, those on generated labels without, which was chosen on the annotator's labels. ",
}
TARGETS = {"xray": {1: 0.87, 5: 0.89}, "wbc": {1: 0.75, 5: 0.83}}


def shots_of(folder: Path) -> list[int]:
    names = {path.name.split("-")[0] for path in (folder / "cells").glob("shots*-evaluate.json")}
    return sorted(int(name.removeprefix("shots")) for name in names)


def domain(name: str, folder: Path) -> list[str]:
    """The section of one domain: what it is measured on, the table, per class, times."""
    annotator = cells(folder, "annotator-evaluate.json")[0]
    any_run = cells(folder, "shots*-evaluate.json")[0]
    lines = [
        f"## {TITLES.get(name, name)}",
        "",
        f"64 px, {any_run['pictures']} test pictures that nothing was picked on. mIoU over "
        f"{len(any_run['per_class'])} classes, background included, ignore not counted; mean over seeds "
        "(smallest-largest). The labels of generated pictures are simulated by a "
        f"{annotator['network']} trained on {annotator['labels']} real labels, whose own mIoU on the test pictures "
        f"is {annotator['miou']:.3f}: no segmenter taught by it can be expected to pass that by much. The shots are "
        "those that cover a random half of the pool best; the real labels are drawn at random. "
        f"Batches of 16 for every segmenter. {NOTES.get(name, '')}Made by `{_command(name, folder)}`.",
        "",
        "| labelled pictures | " + " | ".join(str(s) for s in shots_of(folder)) + " |",
        "|---|" + "---|" * len(shots_of(folder)),
    ]
    lines += _rows(name, folder)
    lines += ["", *_per_class(folder), "", *_times(folder), ""]
    return lines


def _command(name: str, folder: Path) -> str:
    """What makes the cells again, but for SEEDS."""
    run, annotator = cells(folder, "shots*-train.json")[0], cells(folder, "annotator-train.json")[0]
    steps = cells(folder, "supervised*-train.json")[0]["steps"]
    own = "" if run["steps"] == steps else f"SEGMENTER_STEPS={run['steps']} "
    return f"COUNT={run['pictures']} STEPS={steps} {own}ANNOTATOR_STEPS={annotator['steps']} runs/{name}.sh"


def _rows(name: str, folder: Path) -> list[str]:
    rows: dict[str, list[str]] = {}
    for shots in shots_of(folder):
        supervised = cells(folder, f"supervised{shots}-seed*-evaluate.json")
        runs = cells(folder, f"shots{shots}-seed*-evaluate.json")
        decoders = cells(folder, f"shots{shots}-seed*-decoder.json")
        table = {
            "floor: majority label map, real labels": [r["floors"]["majority"]["miou"] for r in supervised],
            "floor: per-pixel net, real labels": [r["floors"]["pixels"]["miou"] for r in supervised],
            "supervised U-Net, real labels": [r["miou"] for r in supervised],
            "decoder, held-out generated pictures": [r["miou"] for r in decoders],
            "**segmenter, generated labels**": [r["miou"] for r in runs],
        }
        for row, values in table.items():
            rows.setdefault(row, []).append(spread(values) if values else "-")
        if name in TARGETS:
            rows.setdefault("asked for", []).append(f"{TARGETS[name][shots]:.2f}" if shots in TARGETS[name] else "-")
        rows.setdefault("seeds", []).append(str(len(runs)))
    return [f"| {row} | " + " | ".join(values) + " |" for row, values in rows.items()]


def _per_class(folder: Path) -> list[str]:
    columns = {}
    for shots in shots_of(folder):
        columns[f"segmenter, {shots}"] = cells(folder, f"shots{shots}-seed*-evaluate.json")
        columns[f"supervised, {shots}"] = cells(folder, f"supervised{shots}-seed*-evaluate.json")
    columns = {title: runs for title, runs in columns.items() if runs}
    names = list(next(iter(columns.values()))[0]["per_class"])
    lines = ["| IoU, mean over seeds | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for name in names:
        values = [[r["per_class"][name] for r in runs if r["per_class"][name] is not None] for runs in columns.values()]
        lines.append(f"| {name} | " + " | ".join(f"{statistics.fmean(v):.3f}" if v else "-" for v in values) + " |")
    return lines


def _times(folder: Path) -> list[str]:
    generator = json.loads((folder / "project" / "generator" / "config.json").read_text())["about"]
    stages = {}
    for stage in ("fit", "synthesize", "train", "evaluate"):
        stages[stage] = [r["seconds"] for r in cells(folder, f"shots*-{stage}.json") if "seconds" in r]
    times = ", ".join(f"{stage} {statistics.median(v):.0f} s" for stage, v in stages.items() if v)
    quality = generator["figures"]
    return [
        f"Generator: {generator['kimg']:.0f} kimg on {generator['pictures_seen']} unlabelled pictures, "
        f"KID {quality['kid']:.3f}, precision {quality['precision']:.2f}, recall {quality['recall']:.2f} "
        f"(space `{generator['gauge_space']}`). "
        f"Median wall time a cell, on a machine shared with other jobs: {times}."
    ]


def demo(path: Path) -> list[str]:
    """The section of the embedded demo."""
    result = json.loads(path.read_text())
    miou, seconds = result["miou"], result["seconds"]
    names = {
        "floor_majority": "floor: majority label map",
        "floor_pixels": "floor: per-pixel net",
        "supervised": "supervised U-Net, the same number of exact labels",
        "decoder": "decoder, held-out pool pictures",
        "segmenter": "**segmenter, generated labels**",
    }
    lines = [
        "## `gannotate demo`",
        "",
        f"{result['shots']} shots, {result['test_pictures']} fresh portraits, 64 px, 11 classes; one seed. The shots "
        "are picked to cover the pool and labelled by a simulated annotator; the supervised network has arbitrary "
        "renders with exact labels, the same architecture and augmentation. "
        f"{sum(seconds.values()):.0f} s in all, {result['peak_rss_mb']:.0f} MB at most.",
        "",
        "| | mIoU |",
        "|---|---|",
    ]
    lines += [f"| {title} | {miou[key]:.3f} |" for key, title in names.items()]
    return [*lines, "", "Seconds: " + ", ".join(f"{stage} {value:.0f}" for stage, value in seconds.items()) + ".", ""]


SECTIONS = {
    "demo": demo,
    "filter": filters,
    "costs": costs,
    "methods": methods,
    "real": real_labels,
    "inversion": inversion,
    "claims": claims,
    "bench": bench,
    "faults": faults,
    "fuzz": fuzzed,
}


NAMES = (*TITLES, *SECTIONS, "scales")
"""Sections, besides decoders and light of a domain."""

TOP = 2
"""Level of the sections' headings."""

HEAD = """# Results

Written by `tools/write_results.py` from the runs' json. Two shared CPU cores, no GPU.
"""


def main(arguments: list[str], page: Path) -> None:
    """Writes the sections that the arguments name: NAME=PATH."""
    before = page.read_text() if page.exists() else ""
    known = sections_of(before)
    if before.strip() and not known:
        raise SystemExit(f"{page} names no sections (<!-- xray -->); put it away to begin a new one")
    for argument in arguments:
        name, _, path = argument.partition("=")
        if not path or not _is_section(name):
            raise SystemExit(
                f"{argument!r} is no NAME=PATH of a section; names are {', '.join([*NAMES, 'decoders-xray'])}"
            )
        known[name] = "\n".join(section(name, path)).strip()
    known = {name: known[name] for name in ("claims", *known) if name in known}  # what the papers claim comes first
    texts = [f"<!-- {name} -->\n{text}\n" for name, text in known.items()]
    contents = [f"- [{heading}](#{place})" for level, heading, place in headings("\n".join(texts)) if level == TOP]
    write_text(page, "\n".join([HEAD, *contents, "", *texts]))


def headings(page: str) -> Iterator[tuple[int, str, str]]:
    """Level, text and name in links of every heading; of one name the later are numbered, as GitHub has it."""
    found: list[str] = []
    for marks, heading in re.findall(r"^(#+) (.+)$", re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S), re.M):
        place = anchor(heading)
        yield len(marks), heading, f"{place}-{found.count(place)}" if place in found else place
        found.append(place)


def anchor(heading: str) -> str:
    """What a heading is called in a link, as GitHub names it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def sections_of(page: str) -> dict[str, str]:
    """The page's sections by their names, in their order."""
    parts = re.split(r"^<!-- (.+) -->$", page, flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def _is_section(name: str) -> bool:
    kind, _, of = name.partition("-")
    return name in NAMES or (kind in ("decoders", "light") and of in TITLES)


def section(name: str, path: str) -> list[str]:
    """The lines of one section."""
    kind, _, of = name.partition("-")
    if kind == "decoders":
        return decoders(of, Path(path))
    if kind == "light":
        return decoders(of, Path(path), "The light decoder's width and order of layers")
    if name == "scales":  # a comma between the runs of several domains
        return scales([Path(one) for one in path.split(",")])
    return SECTIONS[name](Path(path)) if name in SECTIONS else domain(name, Path(path))


if __name__ == "__main__":
    main(sys.argv[1:], DOCS / "results.md")
