"""How long the demonstration's two segmenters have to train, measured on renders that are not its test.

    python bench/demo_plateau.py [--steps 100 200 300 600] [--shots 5] [--draws 2] [--project gannotate-demo]

Prints a line of JSON for each training: its steps, and mean IoU on 200 renders from seed 3,000,000. The supervised
segmenter learns from `shots` exactly labelled renders; with --project, the demonstration's own segmenter learns from
that project's dataset too. DemoConfig's steps are where more bring less than half a point. About 0.2 s a step on two
idle cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from gannotate.data.labelled import LabelledSet
from gannotate.data.portraits import CLASSES
from gannotate.data.shards import read_dataset
from gannotate.demo.stages import network_of, render_set, supervised_seeds, training_of
from gannotate.labels import Mirror, make_classes
from gannotate.project import Project
from gannotate.segmenters.evaluate import evaluate
from gannotate.segmenters.predict import Segmenter
from gannotate.segmenters.supervised import train_segmenter

CHECK_FIRST_SEED, SIZE = 3_000_000, 64


def main() -> None:
    """Trains and scores one segmenter after the other."""
    flags = parse()
    check = render_set(range(CHECK_FIRST_SEED, CHECK_FIRST_SEED + flags.checks), SIZE)
    for draw in range(flags.draws):
        labelled = render_set(supervised_seeds(draw, flags.shots), SIZE)
        for steps in flags.steps:
            report("supervised", train(labelled, check, steps, draw), steps, draw)
    if flags.project is not None:
        data = read_dataset(Project.open(flags.project).latest("datasets"), len(CLASSES))
        for steps in flags.steps:
            report("segmenter", train(data, check, steps, 0), steps, 0)


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 200, 300, 600])
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--draws", type=int, default=2, help="seeds 0 to DRAWS - 1")
    parser.add_argument("--checks", type=int, default=200, help="renders to score on")
    parser.add_argument("--project", type=Path, help="a finished demonstration")
    return parser.parse_args()


def train(data: LabelledSet, check: LabelledSet, steps: int, seed: int) -> dict[str, float]:
    """mIoU on `check` of a segmenter that learned from `data` as in the demonstration, and the seconds it took."""
    network, how = network_of(make_classes(CLASSES), SIZE), training_of(steps, Mirror("yes"), seed)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        for _ in train_segmenter(data, network, how, folder):
            pass
        seconds = time.monotonic() - begin
        return {"miou": evaluate(Segmenter.load(folder), check)["miou"], "seconds": seconds}


def report(name: str, found: dict[str, float], steps: int, seed: int) -> None:
    """One line."""
    row = {"segmenter": name, "seed": seed, "steps": steps, "miou": round(found["miou"], 4)}
    sys.stdout.write(json.dumps(row | {"seconds": round(found["seconds"], 1)}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
