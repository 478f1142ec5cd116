#!/usr/bin/env python
"""Regions that are no part: one of two look-alikes, a rare class, and shapes that mean nothing.

    python runs/regions.py PROJECT [--out regions.json] [--shots 1 5 11] [--seeds 0 1 2] [--decoders light cnn linear]

PROJECT is the one of runs/portraits.sh: its generator draws 600 portraits, its annotator (the first segmenter, trained
on all real labels) says where the parts are, and from these each region is made by a rule:

- left eye: the eye pixels on the picture's left of the middle between both eyes (Teaching GAN labelled one of two front
  teeth: a region that looks like another one);
- glasses: as the annotator sees them, on the pictures that have them (8 % of all renders);
- shape 0-2: a random star in the frame of eyes and mouth, so that it moves and turns with the face and means nothing
  (RepurposeGAN, figure 7).

IoU of the region on at most 100 other pictures that have it; a json of all cells. About 10 minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from gannotate.decoders.build import decoder_class, load_decoder
from gannotate.fitting.config import scheduled
from gannotate.fitting.coverage import cover, embed
from gannotate.fitting.fit import fit
from gannotate.fitting.shot import Shot
from gannotate.generators.base import DrawOptions, Generator, draw, to_uint8
from gannotate.generators.build import load_generator
from gannotate.project import Project
from gannotate.seeding import numpy_stream
from gannotate.segmenters.predict import Segmenter
from gannotate.synthesis import annotate_seeds

FIRST_SEED, PICTURES, TESTED = 50_000, 600, 100
FEWEST_PX, FEWEST_TESTED = 12, 10
Rule = Callable[[np.ndarray], np.ndarray | None]
"""Label map of all parts -> where the region is; None where the picture does not show it."""


def main() -> None:
    """Fits and scores every cell."""
    flags = parse()
    project = Project.open(flags.project)
    generator = load_generator(project.generator_folder)
    names = [item.name for item in project.classes]
    annotator = Segmenter.load(project.find("segmenters", flags.annotator))
    seeds = range(FIRST_SEED, FIRST_SEED + PICTURES)
    pictures = np.concatenate([to_uint8(drawing.picture) for _, drawing in draw(generator, seeds)])
    parts = annotator.predict(pictures)
    rows = []
    for region, rule in rules(names, generator.size).items():
        maps = {
            seed: found for seed, label_map in zip(seeds, parts, strict=True) if (found := rule(label_map)) is not None
        }
        for kind in flags.decoders:
            for shots in [count for count in flags.shots if len(maps) >= count + FEWEST_TESTED]:
                for seed in flags.seeds:
                    rows.append(cell(generator, maps, region, kind, shots, seed))
                    sys.stderr.write(json.dumps(rows[-1]) + "\n")
        sys.stderr.write(f"{region}: on {len(maps)} of {PICTURES} pictures\n")
    flags.out.write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--annotator", default="0001-unet-supervised")
    parser.add_argument("--out", type=Path, default=Path("regions.json"))
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5, 11])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--decoders", nargs="+", default=["light", "cnn", "linear"])
    return parser.parse_args()


def rules(names: list[str], size: int) -> dict[str, Rule]:
    """Every region by name."""
    eyes, mouth, glasses = (names.index(name) for name in ("eyes", "mouth", "glasses"))

    def left_eye(parts: np.ndarray) -> np.ndarray | None:
        frame = face_frame(parts, eyes, mouth)
        if frame is None:
            return None
        middle = (frame[0] + frame[1]) / 2
        along = frame[1] - frame[0]
        y, x = np.mgrid[: parts.shape[0], : parts.shape[1]]
        left = (x - middle[0]) * along[0] + (y - middle[1]) * along[1] < 0
        return region if (region := (parts == eyes) & left).sum() >= FEWEST_PX else None

    def with_glasses(parts: np.ndarray) -> np.ndarray | None:
        return parts == glasses if (parts == glasses).sum() >= 3 * FEWEST_PX else None

    def star(index: int) -> Rule:
        random = numpy_stream("star", index)
        angles = np.arange(10) * math.tau / 10
        radii = random.uniform(0.25, 0.9, 10)
        corners = np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1) + random.uniform(-0.4, 0.4, 2)

        def rule(parts: np.ndarray) -> np.ndarray | None:
            frame = face_frame(parts, eyes, mouth)
            if frame is None:
                return None
            centre = frame.mean(axis=0)
            across, down = (frame[1] - frame[0]) / 2, frame[2] - (frame[0] + frame[1]) / 2
            points = centre + corners[:, :1] * across + corners[:, 1:] * down / 1.2
            drawn = Image.new("1", parts.shape[::-1])
            ImageDraw.Draw(drawn).polygon([tuple(point) for point in points.tolist()], fill=1)
            region = np.array(drawn)
            return region if region.sum() >= FEWEST_PX * size / 64 else None

        return rule

    return {"left eye": left_eye, "glasses": with_glasses, **{f"shape {k}": star(k) for k in range(3)}}


def face_frame(parts: np.ndarray, eyes: int, mouth: int) -> np.ndarray | None:
    """Centres (x, y) of left eye, right eye and mouth, (3, 2); None where one of them is not seen."""
    y, x = np.nonzero(parts == eyes)
    my, mx = np.nonzero(parts == mouth)
    if len(x) < 2 * FEWEST_PX or len(mx) < FEWEST_PX:
        return None
    left = x < (x.min() + x.max()) / 2
    if min(left.sum(), (~left).sum()) < FEWEST_PX / 2 or np.ptp(x) < 8:
        return None
    return np.array([[x[left].mean(), y[left].mean()], [x[~left].mean(), y[~left].mean()], [mx.mean(), my.mean()]])


def cell(
    generator: Generator, maps: dict[int, np.ndarray], region: str, kind: str, shots: int, seed: int
) -> dict[str, object]:
    """Fits one decoder and scores it on pictures that it did not see."""
    order = numpy_stream(seed, "regions", region).permutation(sorted(maps)).tolist()
    offered, tested = (
        order[: max(2 * shots, 40) if len(order) > 80 else 2 * shots],
        order[-min(TESTED, len(order) // 2) :],
    )
    offered = sorted(one for one in offered if one not in tested)
    chosen = [offered[index] for index in cover(embed(generator, offered, DrawOptions()), shots)]
    annotated = [Shot(one, maps[one].astype(np.uint8)) for one in chosen]
    config = scheduled(decoder_class(kind).config_class(), "ours", shots, generator.size, seed=seed)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for _ in fit(generator, annotated, 2, config, DrawOptions(), folder):
            pass
        seconds, decoder = time.monotonic() - begin, load_decoder(folder)
    found = {one.seed: one.label_map == 1 for one in annotate_seeds(generator, decoder, sorted(tested))}
    both = sum(int((found[one] & maps[one]).sum()) for one in tested)
    either = sum(int((found[one] | maps[one]).sum()) for one in tested)
    return {
        "region": region, "decoder": kind, "shots": shots, "seed": seed, "iou": round(both / either, 4),
        "tested": len(tested), "with_region": len(maps), "fit_s": round(seconds, 1),
    }  # fmt: skip


def table(rows: list[dict[str, object]]) -> str:
    """Mean IoU over seeds, markdown."""
    shots = sorted({int(str(row["shots"])) for row in rows})
    lines = [
        "| region | decoder | " + " | ".join(f"{n} labelled" for n in shots) + " |",
        "|---|---|" + "---|" * len(shots),
    ]
    for region, kind in dict.fromkeys((row["region"], row["decoder"]) for row in rows):
        means = []
        for count in shots:
            ious = [
                float(str(row["iou"])) for row in rows
                if (row["region"], row["decoder"], row["shots"]) == (region, kind, count)
            ]  # fmt: skip
            means.append(f"{statistics.fmean(ious):.3f} ({min(ious):.3f}-{max(ious):.3f})")
        lines.append(f"| {region} | {kind} | " + " | ".join(means) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
