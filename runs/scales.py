#!/usr/bin/env python
"""Several things, unaligned, at several scales in one picture: how segmenters hold on scenes with exact label maps.

    python runs/scales.py NAME=SEGMENTER... [--labelled ZIP] [--count 60] [--seed 0] [--out scales.json]

SEGMENTER is a segmenter's folder. Scenes are composed (`gannotate.data.composed`) of portraits that are rendered at the
size that they have there, or with --labelled of cut-outs from images/ and masks/, e.g. cells: 2 to 4 things in 160 px.
Each network sees them in overlapping tiles of its own size, so a thing at scale 1 is as large as those that it learned
on. One row a scale (all things of a scene have it), and `mixed` with scales from 0.5 to 2 in each scene.

mIoU over all pixels of all scenes of a row; absent classes are left out. A json of all cells. A minute a segmenter.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from gannotate.data.composed import LabelledThings, Portraits, Scene, SceneConfig, Things, compose
from gannotate.data.labelled import read_labelled
from gannotate.errors import GannotateError
from gannotate.files import write_json
from gannotate.metrics.confusion import confusion, scores
from gannotate.segmenters.predict import Segmenter
from gannotate.segmenters.tiling import View

SCALES = (0.5, 0.71, 1.0, 1.41, 2.0)
FIRST_PERSON = 2_000_000
"""Seeds of the persons in scenes; those of runs/portraits.sh lie below."""


def main() -> None:
    """Scores every segmenter on every row of scenes."""
    flags = parse()
    segmenters = {name: Segmenter.load(folder) for name, folder in flags.segmenters}
    first = next(iter(segmenters.values())).config
    things: Things = Portraits(FIRST_PERSON)
    if flags.labelled is not None:
        things = LabelledThings(read_labelled(flags.labelled, first.classes, first.size, first.image_channels))
    base = SceneConfig(size=flags.size, unit=first.size)
    rows = {f"{scale:g}": replace(base, scale_low=scale, scale_high=scale) for scale in SCALES} | {"mixed": base}
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in segmenters}
    for row, config in rows.items():
        scenes = [compose(flags.seed + index, things, config) for index in range(flags.count)]
        for name, segmenter in segmenters.items():
            found[name][row] = score(segmenter, scenes)
            print(f"scale {row:>5}  {name:<20} {found[name][row]['miou']:.3f}", file=sys.stderr, flush=True)
    about = {"scenes": flags.count, "size_px": flags.size, "seed": flags.seed, "labelled": str(flags.labelled or "")}
    write_json(flags.out, {**about, "segmenters": {name: str(path) for name, path in flags.segmenters}, "found": found})
    print(table(found, list(rows)))


def score(segmenter: Segmenter, scenes: list[Scene]) -> dict[str, float]:
    """mIoU with and without the background."""
    side = segmenter.config.size
    view = View(tile_px=side, overlap=0.5)
    predicted = segmenter.predict([scene.picture for scene in scenes], view=view)
    truth = np.stack([scene.label_map for scene in scenes])
    figures = scores(confusion(truth, np.stack(predicted), segmenter.config.classes))
    return {"miou": figures.miou, "fg_miou": figures.fg_miou or 0.0}


def table(found: dict[str, dict[str, dict[str, float]]], rows: list[str]) -> str:
    """Markdown: a row a scale, a column a segmenter."""
    lines = ["| scale | " + " | ".join(found) + " |", "|---|" + "---:|" * len(found)]
    for row in rows:
        lines.append(f"| {row} | " + " | ".join(f"{cells[row]['miou']:.3f}" for cells in found.values()) + " |")
    return "\n".join(lines)


def named(word: str) -> tuple[str, Path]:
    """NAME=FOLDER as a pair."""
    name, equals, folder = word.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{word!r} names no segmenter; give NAME=FOLDER")
    return name, Path(folder)


def parse() -> argparse.Namespace:
    """The flags; each segmenter as (name, folder)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("segmenters", nargs="+", type=named)
    parser.add_argument("--labelled", type=Path)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("scales.json"))
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main()
    except GannotateError as error:
        sys.exit(f"scales: {error}")
