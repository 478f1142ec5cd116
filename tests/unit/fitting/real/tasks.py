"""Tiny tasks with real labels: the tiny generator's own pictures stand for real ones, bright pixels for a class."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gannotate.data.augment import STILL, Augmentation
from gannotate.data.labelled import LabelledSet
from gannotate.fitting.alternation import AlternatingTrainer
from gannotate.fitting.gradient_matching import Matching, MatchingConfig
from gannotate.fitting.real_task import RealTask
from gannotate.fitting.shot import Shot
from gannotate.generators.base import Generator, draw, to_uint8
from gannotate.labels import make_classes
from gannotate.seeding import stream_seed

CLASSES = make_classes(["background", "bright"])

TINY: dict[str, Any] = {"segmenter": "unet-classic", "segmenter_width": 8, "batch": 2, "generated": 2, "augment": False}
"""A segmenter and batches that take a few milliseconds a step."""


def changed(base: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Settings with some in place of the base's."""
    return base | settings


def bright(picture: np.ndarray, threshold: float) -> np.ndarray:
    """Class 1 where a picture, uint8 (h, w, c), is brighter than a grey level."""
    return (picture.mean(axis=2) > threshold).astype(np.uint8)


def bright_task(generator: Generator, count: int = 6, held_out: int = 0, size: int = 0) -> RealTask:
    """Labelled pictures of seeds from 1000 upwards, half of their pixels bright, and held-out ones from 0 upwards."""
    generator = generator.requires_grad_(False)
    pictures = np.concatenate([to_uint8(drawing.picture) for _, drawing in draw(generator, range(1000, 1000 + count))])
    if size:
        pictures = pictures.repeat(size // generator.size, axis=1).repeat(size // generator.size, axis=2)
    middle = float(np.median(pictures.mean(axis=3)))
    names = tuple(f"images/{index}.png" for index in range(count))
    labelled = LabelledSet(names, pictures, np.stack([bright(one, middle) for one in pictures]))
    drawn = draw(generator, range(held_out))
    shots = [Shot(seed, bright(to_uint8(drawing.picture)[0], middle)) for seed, drawing in drawn]
    return RealTask(
        generator=generator,
        labelled=labelled,
        classes=CLASSES,
        augmentation=Augmentation(warp=STILL),
        held_out=tuple(shots),
    )


def alternating(task: RealTask, **settings: Any) -> AlternatingTrainer:
    """A trainer that matches gradients."""
    config = MatchingConfig(**(TINY | settings))
    return AlternatingTrainer(task, config, Matching(config))


def take_steps(trainer: AlternatingTrainer, steps: int) -> list[dict[str, float]]:
    """What the loop does: the metrics of each step."""
    found = []
    for index in range(steps):
        torch.manual_seed(stream_seed(0, "step", index))
        found.append(trainer.step(index))
    return found
