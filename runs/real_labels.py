#!/usr/bin/env python
"""The tables and figures of runs/real_labels.sh, from its cells alone.

    python runs/real_labels.py OUT [--pictures 8]

Writes OUT/real-labels.md (per domain: test mIoU of the segmenter and held-out mIoU of the decoder for each method and
number of labels, mean over seeds, smallest to largest; seconds of a fit) and OUT/DOMAIN-N.png: generated pictures and
what each method's decoder says of them, one row a method, for the first seed.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gannotate.files import write_text
from gannotate.labels import ClassInfo
from gannotate.project import Project
from gannotate.viz import contact_sheet, overlay

TITLES = {
    "xray": "Chest X-rays",
    "wbc": "White blood cells",
    "portraits": "Portraits",
    "flat": "Portraits from flat ones",
}
METHODS = {
    "supervised": "supervised, the real labels alone",
    "pseudo-labels": "pseudo-labels",
    "inversion": "inversion labels",
    "maml1": "MAML, one step",
    "maml2": "MAML, two steps",
    "maml1-warm": "MAML, one step, started from pseudo-labels",
    "gradient-matching": "**gradient matching**",
    "gradient-matching-warm": "gradient matching, started from pseudo-labels",
    "gradient-matching-inverted": "gradient matching, started from inversion labels",
    "pseudo-labels-mixed": "pseudo-labels, and the real labels in each batch",
    "gradient-matching-mixed": "gradient matching, and the real labels in each batch",
    "gradient-matching-warm-mixed": "gradient matching, started from pseudo-labels, and the real labels in each batch",
    "gradient-matching-inverted-mixed": "gradient matching, started from inversion, and the real labels in each batch",
    "generated": "supervised, as many generated pictures (upper line)",
}
CELL = re.compile(r"(?P<domain>\w+)-(?P<method>[\w-]+)-(?P<shots>\d+)-seed(?P<seed>\d+)-(?P<kind>\w+)\.json")
FIRST_PICTURE = 20_000_000
"""Seed of the first picture in the figures: none of the pool, none of the datasets."""

Cells = dict[tuple[str, str, int], dict[str, dict[int, dict[str, Any]]]]
"""(domain, method, labels) -> kind of cell -> seed -> its json."""


def main() -> None:
    """Reads the cells, writes the page and the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=int, default=8, help="pictures a row of a figure")
    flags = parser.parse_args()
    found = read_cells(flags.out / "cells")
    domains = [domain for domain in TITLES if any(key[0] == domain for key in found)]
    text = "\n".join(line for domain in domains for line in section(found, domain))
    write_text(flags.out / "real-labels.md", text + "\n")
    print(text)
    for domain in domains:
        for shots in sorted({key[2] for key in found if key[0] == domain}):
            figure(flags.out, found, domain, shots, flags.pictures)


def read_cells(folder: Path) -> Cells:
    """Every cell that is there."""
    found: Cells = defaultdict(lambda: defaultdict(dict))
    for path in sorted(folder.glob("*.json")):
        match = CELL.fullmatch(path.name)
        if match:
            key = (match["domain"], match["method"], int(match["shots"]))
            found[key][match["kind"]][int(match["seed"])] = json.loads(path.read_text())
    return found


def section(found: Cells, domain: str) -> list[str]:
    """One domain's table."""
    columns = sorted({key[2] for key in found if key[0] == domain})
    heads = [f"{shots} labels" for shots in columns]
    lines = [f"## {TITLES[domain]}", "", "Test mIoU of the segmenter / mIoU of the decoder on the annotated pool.", ""]
    lines += [f"| | {' | '.join(heads)} | fit s |", "|---|" + "---|" * (len(columns) + 1)]
    for method, title in METHODS.items():
        rows = [found.get((domain, method, shots), {}) for shots in columns]
        if not any(rows):
            continue
        values = [f"{spread(row.get('evaluate', {}))} / {spread(row.get('decoder', {}))}" for row in rows]
        seconds = [one["seconds"] for row in rows for one in row.get("fit", {}).values() if "seconds" in one]
        fit_s = f"{statistics.median(seconds):.0f}" if seconds else "-"
        lines.append(f"| {title} | {' | '.join(values)} | {fit_s} |")
    return [*lines, ""]


def spread(cells: dict[int, dict[str, Any]]) -> str:
    """Mean mIoU over seeds, and smallest to largest where there are several."""
    values = [cell["miou"] for cell in cells.values()]
    if not values:
        return "-"
    mean = f"{statistics.fmean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f}-{max(values):.3f}, {len(values)} seeds)"


def figure(out: Path, found: Cells, domain: str, shots: int, count: int) -> None:
    """Generated pictures in the first row, below them what each method's decoder says; methods from top to bottom as in
    the table."""
    from gannotate.decoders.build import load_decoder
    from gannotate.generators.base import DrawOptions
    from gannotate.generators.build import load_generator
    from gannotate.synthesis import annotate_seeds

    project = Project.open(out / domain / "project")
    generator = load_generator(project.generator_folder)
    options = DrawOptions(**project.config.draw.model_dump())
    rows: list[list[np.ndarray]] = []
    for method in METHODS:
        fits = found.get((domain, method, shots), {}).get("fit", {})
        if not fits:
            continue
        decoder = load_decoder(project.folder / "decoders" / Path(fits[min(fits)]["decoder"]).name)
        seeds = range(FIRST_PICTURE, FIRST_PICTURE + count)
        drawn = list(annotate_seeds(generator, decoder, seeds, options))
        if not rows:
            rows.append([shown(one.picture, None, project.classes) for one in drawn])
        rows.append([shown(one.picture, one.label_map, project.classes) for one in drawn])
    if rows:
        Image.fromarray(contact_sheet([one for row in rows for one in row], count)).save(out / f"{domain}-{shots}.png")


def shown(picture: np.ndarray, label_map: np.ndarray | None, classes: tuple[ClassInfo, ...]) -> np.ndarray:
    """A picture, plain or under its labels, twice as large."""
    nothing = np.zeros(picture.shape[:2], np.uint8)
    plain_or_labelled = overlay(picture, nothing if label_map is None else label_map, classes)
    return plain_or_labelled.repeat(2, axis=0).repeat(2, axis=1)


if __name__ == "__main__":
    main()
