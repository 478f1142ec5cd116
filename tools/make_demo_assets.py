"""Makes what `gannotate demo` ships: the portraits generator in half precision and simulated annotations of its pool.

    python tools/make_demo_assets.py GENERATOR --work DIR

GENERATOR is a folder of `gannotate train-generator` on rendered portraits (`gannotate render portraits -n 20000`, seeds
0 to 19999). An annotator (a segmenter trained on exactly labelled renders that the generator never saw) labels the pool
pictures in place of a person; every annotation says so: which network, how many labels it saw, its own mIoU on other
renders. Written to src/gannotate/assets/portraits (or --out):

    generator/              config.json, model.safetensors and discriminator.safetensors (float16), card.md, log.csv
    pool.jsonl              seeds of the annotated pictures, and how they are drawn
    annotations/            SEED.png (palette label maps) and annotations.jsonl

About 10 minutes on two cores; the work folder (a project) may be deleted afterwards, and a stopped run goes on.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gannotate.data.writing import encode_picture
from gannotate.demo.stages import TEST_FIRST_SEED, portrait_classes, render_set
from gannotate.files import write_bytes
from gannotate.fitting.simulate import about_segmenter, simulate
from gannotate.generators.base import DrawOptions, draw, to_uint8
from gannotate.generators.build import load_generator, read_config, save_generator
from gannotate.generators.card import write_card
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.labels import Mirror
from gannotate.project import PoolPicture, Project, digest
from gannotate.project_config import DrawEntry, GeneratorEntry, MirrorEntry, ProjectConfig
from gannotate.record import now, recorded
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.evaluate import evaluate
from gannotate.segmenters.predict import Segmenter
from gannotate.segmenters.scored import write_scores
from gannotate.segmenters.supervised import SegmenterTraining, train_segmenter
from gannotate.training.loop import Progress

TRAIN_FIRST_SEED, CHECK_FIRST_SEED = 100_000, 200_000
"""Renders that the annotator learns from and is checked on; the demonstration's test starts at 1,000,000."""

BESIDE = ("log.csv", "discriminator.safetensors")
"""What comes with a generator: how it was trained, and what inversion compares pictures with."""


def main() -> None:
    """Reads the flags and makes everything."""
    flags = parse()
    assert TRAIN_FIRST_SEED + flags.labels <= CHECK_FIRST_SEED
    assert CHECK_FIRST_SEED + flags.checks <= TEST_FIRST_SEED
    ship_generator(flags.generator, flags.out / "generator")
    project = make_project(flags.out / "generator", flags.work, flags.pool, DrawOptions(psi=flags.psi))
    segmenter = project.folder / "segmenters" / "0001-annotator"
    train_annotator(segmenter, project, flags.labels, flags.steps, flags.seed)
    about = check_annotator(segmenter, project.config.size, flags.checks)
    seeds = [picture.seed for picture in project.pool()]
    for _ in simulate(project, Segmenter.load(segmenter), seeds, about):
        pass
    ship_annotations(project, flags.out)
    say(f"{len(seeds)} annotations in {flags.out}, simulated by {about['network']}, its own mIoU {about['miou']:.3f}")


def parse() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("generator", type=Path, help="folder of the trained portraits generator")
    parser.add_argument("--work", type=Path, required=True, help="folder to work in")
    parser.add_argument("--out", type=Path, default=Path("src/gannotate/assets/portraits"))
    parser.add_argument("--labels", type=int, default=2000, help="exactly labelled renders for the annotator")
    parser.add_argument("--steps", type=int, default=1500, help="optimisation steps of the annotator")
    parser.add_argument("--checks", type=int, default=300, help="renders that the annotator is checked on")
    parser.add_argument("--pool", type=int, default=40, help="pool pictures to annotate, seeds from 0")
    parser.add_argument("--psi", type=float, default=1.0, help="truncation of the demonstration's pictures")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def ship_generator(source: Path, folder: Path) -> None:
    """Writes the generator in half precision with its card; the annotations are of what this one draws."""
    generator = load_generator(source)
    assert isinstance(generator, StyleGAN2)
    save_generator(folder, generator, half=True, **read_config(source)["about"])
    write_card(folder)
    for name in BESIDE:
        if (source / name).exists():
            write_bytes(folder / name, (source / name).read_bytes())


def make_project(generator: Path, folder: Path, pool: int, options: DrawOptions) -> Project:
    """A project with `pool` pictures, or the one that is in `folder` already."""
    if (folder / "project.yaml").exists():
        return Project.open(folder)
    network = load_generator(generator)
    entry = GeneratorEntry(
        source=str(generator), architecture="stylegan2", sha256=digest(generator / "model.safetensors")
    )
    config = ProjectConfig(
        name="portraits",
        created=now(),
        size=network.size,
        image_channels=3,
        classes=portrait_classes(),
        mirror=MirrorEntry(rule="yes"),
        draw=DrawEntry(psi=options.psi, cutoff=options.cutoff, noise=options.noise),
        generator=entry,
    )
    project = Project.create(folder, config, generator)
    drawn = draw(network, range(pool), options)
    kept = config.draw.model_dump()
    project.add_to_pool(
        [(PoolPicture(seed, kept), encode_picture(to_uint8(drawing.picture)[0])) for seed, drawing in drawn]
    )
    return project


def train_annotator(folder: Path, project: Project, labels: int, steps: int, seed: int) -> None:
    """Trains the network that plays the annotator."""
    data = render_set(range(TRAIN_FIRST_SEED, TRAIN_FIRST_SEED + labels), project.config.size)
    network = SegmenterConfig.of_classes(project.classes, image_channels=3, size=project.config.size)
    # generated pictures differ a little from renders in colour and sharpness: photometric changes bridge that
    how = SegmenterTraining(steps=steps, mirror=Mirror("yes"), photometric=True, seed=seed)
    with recorded(folder, "train", {"labels": labels, "steps": steps}, seed) as record:
        record.about = {"label_source": "exactly labelled renders", "labels": labels}
        follow(train_segmenter(data, network, how, folder, source="exactly labelled renders"))


def check_annotator(folder: Path, size: int, checks: int) -> dict[str, Any]:
    """Scores the annotator on other renders, and returns what its annotations tell about it."""
    test = render_set(range(CHECK_FIRST_SEED, CHECK_FIRST_SEED + checks), size)
    result = evaluate(Segmenter.load(folder), test)
    result["miou"] = round(result["miou"], 4)
    write_scores(folder, {"test": f"{checks} other renders", **result})
    return about_segmenter(folder) | {"segmenter": "tools/make_demo_assets.py"}


def ship_annotations(project: Project, out: Path) -> None:
    """Copies the annotations and the pool's list."""
    for path in sorted((project.folder / "annotations").iterdir()):
        write_bytes(out / "annotations" / path.name, path.read_bytes())
    write_bytes(out / "pool.jsonl", (project.folder / "pool" / "pool.jsonl").read_bytes())


def follow(progress: Iterator[Progress]) -> None:
    """Says how far a training is, every half a minute."""
    said = time.monotonic()
    for step in progress:
        if time.monotonic() - said > 30:
            said = time.monotonic()
            say(f"annotator: {step.done}/{step.steps}, loss {step.metrics['loss']:.3f}, {step.eta_s:.0f} s left")


def say(text: str) -> None:
    """A line on stderr."""
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
