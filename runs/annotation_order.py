#!/usr/bin/env python
"""Does the order in which pictures are labelled pay? Labels needed for a given mIoU, by simulated strokes.

    python runs/annotation_order.py PROJECT [--annotator 0001-unet-supervised] [--out annotation_order.json]
        [--seeds 10] [--most 15] [--pool 100] [--test 50] [--strokes full scribbles] [--targets 0.5 0.55 0.6]
        [--into docs/annotator.md]
    python runs/annotation_order.py --of annotation_order.json --into docs/annotator.md     # no run, only the text

PROJECT is the one of runs/portraits.sh, or any other with an annotator: a segmenter that was trained on other labels
and stands in for the person. It labels 300 fresh pictures of the generator. For each seed, POOL of them are drawn as
the pool and TEST others as the test set. Then one picture after the other is labelled, as the annotator offers them:

- random: by chance;
- diverse: those that cover the pool best, by the generator's own features;
- uncertain: where the model so far is unsure, times the distance to what is labelled. Its first picture is the most
  central one, as the annotator's is; the model is fitted anew after each picture.

`full` labels all of a picture. `scribbles` labels dabs well inside of each part, never an edge. After each picture the
annotator's own model (linear, closed form) is fitted and scored on the test pictures, with all their pixels. Test
pictures choose nothing. What is reported: mIoU after so many labels, and labels needed for a target; each with its mean
over the seeds, its standard deviation, and how often an order was better than random with the same pool. About 5
minutes on one core at 64 px. `--into` writes all of that between the two marks of a document (see MARKS), with what was
run: figures get there in no other way.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_cdt
from torch import Tensor

from gannotate.annotate.learning import Learned, Model, learn, live_taps, refit
from gannotate.annotate.order import distances, diverse, uncertain
from gannotate.files import write_json, write_text
from gannotate.fitting.coverage import embed
from gannotate.fitting.shot import Shot
from gannotate.fitting.simulate import about_segmenter
from gannotate.generators.base import DrawOptions, draw, to_uint8
from gannotate.generators.build import load_generator
from gannotate.labels import IGNORE
from gannotate.metrics.confusion import confusion, scores
from gannotate.metrics.uncertainty import entropy, of_pictures
from gannotate.project import Project
from gannotate.record import hardware, versions
from gannotate.seeding import numpy_stream
from gannotate.segmenters.predict import Segmenter

FIRST_SEED, PICTURES, BATCH = 70_000, 300, 25
ORDERS = ("random", "diverse", "uncertain")
DAB_PX = 3
"""Side of a dab: only pixels whose square of this side lies in one part are scribbled on, as a brush would."""
MARKS = ("<!-- runs/annotation_order.py writes from here -->", "<!-- to here -->")
DABBED = 0.3
"""Part of such places that gets a dab."""


def main() -> None:
    """Runs every cell, and writes the json and the table."""
    flags = parse()
    if flags.of is not None:
        study = json.loads(flags.of.read_text())
        summary = summarise(
            study["cells"], list(dict.fromkeys(cell["strokes"] for cell in study["cells"])), flags.targets
        )
        show(study | {"summary": summary, "targets": flags.targets}, flags.into)
        return
    if flags.project is None:
        sys.exit("give a PROJECT with a segmenter that stands in for the person, or --of a json of an earlier run")
    begin = time.monotonic()
    if flags.pool + flags.test > PICTURES or flags.most > flags.pool:
        sys.exit(f"--pool and --test are {PICTURES} pictures at most, and --most no more than --pool")
    pictures = Study(flags.project, flags.annotator, PICTURES)
    cells = []
    for strokes in flags.strokes:
        for seed in range(flags.seeds):
            for order in ORDERS:
                miou, part = pictures.cell(order, strokes, seed, flags.pool, flags.test, flags.most)
                cells.append({"strokes": strokes, "seed": seed, "order": order, "labelled_part": part, "miou": miou})
            sys.stderr.write(f"{strokes}, seed {seed}: {time.monotonic() - begin:.0f} s\n")
    summary = summarise(cells, flags.strokes, flags.targets)
    about = {
        "project": "/".join(flags.project.resolve().parts[-2:]),
        "annotator": pictures.annotator,
        "pool": flags.pool,
        "test": flags.test,
        "seeds": flags.seeds,
        "most": flags.most,
        "targets": flags.targets,
        "command": command(flags),
        "protocol": "mIoU over all classes of the project, absent ones left out; all test pictures in one matrix",
        "seconds": round(time.monotonic() - begin, 1),
        "versions": versions(),
        "hardware": hardware(),
    }
    study = about | {"summary": summary, "cells": cells}
    write_json(flags.out, study)
    show(study, flags.into)


def show(study: dict[str, Any], into: Path | None) -> None:
    """Prints the tables of a study, and writes them into a document."""
    text = tables(study)
    print(text)
    if into is None:
        return
    document = into.read_text()
    if any(document.count(mark) != 1 for mark in MARKS):
        sys.exit(f"{into} needs the lines {MARKS[0]} and {MARKS[1]} once each, where the tables go")
    before, rest = document.split(MARKS[0])
    write_text(into, f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


def command(flags: argparse.Namespace) -> str:
    """What prints the figures again."""
    words = f"python runs/annotation_order.py PROJECT --annotator {flags.annotator} --seeds {flags.seeds}"
    strokes = " ".join(flags.strokes)
    return f"{words} --most {flags.most} --pool {flags.pool} --test {flags.test} --strokes {strokes}"


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("project", type=Path, nargs="?")
    parser.add_argument("--of", type=Path, help="json of an earlier run: nothing is run, its tables are shown")
    parser.add_argument("--into", type=Path, help="document that gets the tables, between its two marks")
    parser.add_argument("--annotator", default="0001-unet-supervised", help="segmenter that stands in for a person")
    parser.add_argument("--out", type=Path, default=Path("annotation_order.json"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--most", type=int, default=15, help="pictures labelled one after the other")
    parser.add_argument("--pool", type=int, default=100)
    parser.add_argument("--test", type=int, default=50)
    parser.add_argument("--strokes", nargs="+", choices=["full", "scribbles"], default=["full", "scribbles"])
    parser.add_argument("--targets", type=float, nargs="+", default=[0.5, 0.55, 0.6])
    return parser.parse_args()


class Study:
    """Pictures of a generator, each drawn and labelled once."""

    def __init__(self, folder: Path, annotator: str, pictures: int) -> None:
        project = Project.open(folder)
        labeller = Segmenter.load(project.find("segmenters", annotator))
        self.annotator = about_segmenter(project.find("segmenters", annotator)) | {"segmenter": annotator}
        self.classes = len(project.classes)
        self.generator = load_generator(project.generator_folder).eval()
        self.taps = live_taps(self.generator.taps)
        self.options = DrawOptions(**project.config.draw.model_dump())
        self.seeds = list(range(FIRST_SEED, FIRST_SEED + pictures))
        self.features = embed(self.generator, self.seeds, self.options)
        drawn = [one for _, one in draw(self.generator, self.seeds, self.options, [tap.name for tap in self.taps])]
        self.drawn = {tap.name: torch.cat([one.taps[tap.name] for one in drawn]) for tap in self.taps}
        self.maps = labeller.predict(np.concatenate([to_uint8(one.picture) for one in drawn]))
        self._learned: dict[tuple[int, str, int], Learned | None] = {}

    def cell(self, order: str, strokes: str, seed: int, pool: int, test: int, most: int) -> tuple[list[float], float]:
        """mIoU after 1, 2, ... `most` labelled pictures, and the part of their pixels that was labelled."""
        drawn = numpy_stream(seed, "order study").permutation(len(self.seeds))
        offered, tested = drawn[:pool].tolist(), drawn[pool : pool + test].tolist()
        apart = distances(self.features[offered])
        chance = numpy_stream(seed, "by chance").permutation(pool).tolist()
        taken, miou, parts, model = [], [], [], None
        for number in range(most):
            taken.append(self._next(order, apart, offered, taken, model, chance[number]))
            learned = [self._learn(offered[place], strokes, seed) for place in taken]
            parts.append(float((self._stroked(offered[taken[-1]], strokes, seed) != IGNORE).mean()))
            model = refit(number + 1, [one for one in learned if one], self.taps, self.generator.size)
            miou.append(self._score(model, tested) if model else 0.0)
        return [round(value, 5) for value in miou], round(statistics.fmean(parts), 4)

    def _next(
        self, order: str, apart: np.ndarray, offered: Sequence[int], taken: list[int], model: Model | None, chance: int
    ) -> int:
        """Place in `offered` of the picture to label next."""
        if order == "random":
            return chance
        if order == "diverse" or model is None:
            return diverse(apart, taken, 1)[0]
        doubts = [entropy(part) for part in self._probabilities(model, offered)]
        unsure = np.concatenate([of_pictures(part).numpy() for part in doubts])
        return uncertain(apart, unsure, taken, 1)[0]

    def _learn(self, picture: int, strokes: str, seed: int) -> Learned | None:
        key = (picture, strokes, seed if strokes == "scribbles" else 0)
        if key not in self._learned:
            shot = Shot(self.seeds[picture], self._stroked(picture, strokes, seed))
            self._learned[key] = learn(self.generator, shot, self.taps, self.options, self.classes)
        return self._learned[key]

    def _stroked(self, picture: int, strokes: str, seed: int) -> np.ndarray:
        return self.maps[picture] if strokes == "full" else scribbled(self.maps[picture], seed, picture)

    @torch.inference_mode()
    def _probabilities(self, model: Model, pictures: Sequence[int]) -> Iterator[Tensor]:
        """Class probabilities (n, k, h, w) of some pictures at a time."""
        for start in range(0, len(pictures), BATCH):
            some = torch.tensor(pictures[start : start + BATCH])
            yield model.decoder.member_probabilities({name: tap[some] for name, tap in self.drawn.items()})[:, 0]

    def _score(self, model: Model, pictures: Sequence[int]) -> float:
        found = [part.argmax(1).to(torch.uint8).numpy() for part in self._probabilities(model, pictures)]
        return scores(confusion(self.maps[pictures], np.concatenate(found), self.classes)).miou


def scribbled(label_map: np.ndarray, seed: int, picture: int) -> np.ndarray:
    """Dabs on some places of each part that are no nearer to its edge than the brush is wide."""
    random = numpy_stream(seed, "scribble", picture)
    found = np.full_like(label_map, IGNORE)
    reach = DAB_PX // 2
    for value in np.unique(label_map[label_map != IGNORE]):
        inside = distance_transform_cdt(np.pad(label_map == value, 1), "chessboard")[1:-1, 1:-1] > reach
        rows, columns = np.nonzero(inside)
        if not len(rows):
            continue
        chosen = random.permutation(len(rows))[: max(1, round(DABBED * len(rows) / DAB_PX**2))]
        for row, column in zip(rows[chosen], columns[chosen], strict=True):
            found[row - reach : row + reach + 1, column - reach : column + reach + 1] = value
    return found


def needed(miou: Sequence[float], target: float) -> int | None:
    """Labels after which the mIoU is at least `target` for the first time; None when it never is."""
    return next((number + 1 for number, value in enumerate(miou) if value >= target), None)


def summarise(cells: list[dict[str, Any]], strokes: Sequence[str], targets: Sequence[float]) -> list[dict[str, Any]]:
    """For each kind of strokes and order: the curve, and the labels needed, beside random with the same pool."""
    rows = []
    for kind in strokes:
        chance = {cell["seed"]: cell["miou"] for cell in cells if (cell["strokes"], cell["order"]) == (kind, "random")}
        for order in ORDERS:
            mine = {cell["seed"]: cell["miou"] for cell in cells if (cell["strokes"], cell["order"]) == (kind, order)}
            curve = np.array([mine[seed] for seed in sorted(mine)])
            better = curve - np.array([chance[seed] for seed in sorted(mine)])
            spread = curve.std(axis=0, ddof=1) if len(curve) > 1 else np.zeros(curve.shape[1])
            reached = {}
            for target in targets:
                counts = [needed(values, target) for values in mine.values()]
                known = [count for count in counts if count is not None]
                reached[f"{target:g}"] = {
                    "labels": counts,
                    "reached": len(known),
                    "median": statistics.median(count if count is not None else math.inf for count in counts),
                }
            rows.append(
                {
                    "strokes": kind,
                    "order": order,
                    "labelled_part": statistics.fmean(
                        cell["labelled_part"] for cell in cells if (cell["strokes"], cell["order"]) == (kind, order)
                    ),
                    "mean": curve.mean(axis=0).round(4).tolist(),
                    "spread": spread.round(4).tolist(),
                    "above_random": better.mean(axis=0).round(4).tolist(),
                    "seeds_above_random": (better > 0).sum(axis=0).tolist(),
                    "needed": reached,
                }
            )
    return rows


def tables(study: dict[str, Any]) -> str:
    """Markdown: what was run, mIoU after some numbers of labels, then labels needed."""
    seeds, person = study["seeds"], study["annotator"]
    shown = [count for count in (1, 2, 3, 5, 8, 10, 15) if count <= study["most"]]
    lines = [
        f"`{study['command']}`, on the project `{study['project']}`: {study['pool']} pictures in the pool, "
        f"{study['test']} test pictures of the same generator, {seeds} seeds; the person is simulated by a "
        f"{person['network']} that learned from {person['labels']} {person['label_source']} (its own "
        f"mIoU {person['miou']:.3f}). "
        f"{study['hardware']['processor']}, {study['hardware']['torch_threads']} thread, {study['seconds']:.0f} s.",
        "",
        "| strokes | order | " + " | ".join(f"{count} labelled" for count in shown) + " |",
        "|---|---|" + "---|" * len(shown),
    ]
    for row in study["summary"]:
        values = [
            f"{row['mean'][count - 1]:.3f} ± {row['spread'][count - 1]:.3f}"
            + ("" if row["order"] == "random" else f" ({row['seeds_above_random'][count - 1]} of {seeds})")
            for count in shown
        ]
        lines.append(f"| {row['strokes']} | {row['order']} | " + " | ".join(values) + " |")
    lines += ["", "mIoU ± standard deviation over the seeds; in brackets the seeds that were above random.", ""]
    lines += [
        "| strokes | order | " + " | ".join(f"labels for mIoU {target:g}" for target in study["targets"]) + " |",
        "|---|---|" + "---|" * len(study["targets"]),
    ]
    for row in study["summary"]:
        values = []
        for target in study["targets"]:
            reached = row["needed"][f"{target:g}"]
            median = reached["median"]
            count = f"{median:g}" if math.isfinite(median) else f"more than {study['most']}"
            values.append(f"{count} ({reached['reached']} of {seeds} reached it)")
        lines.append(f"| {row['strokes']} | {row['order']} | " + " | ".join(values) + " |")
    return "\n".join([*lines, "", "Median over the seeds."])


if __name__ == "__main__":
    main()
