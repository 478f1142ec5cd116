"""Snapshots of a generator in training: a picture grid, the gauge's figures, and the best generator so far."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gannotate.data.writing import encode_picture
from gannotate.files import write_bytes
from gannotate.generators.adversarial.discriminator import save_discriminator
from gannotate.generators.adversarial.trainer import AdversarialTrainer
from gannotate.generators.base import draw, to_uint8
from gannotate.generators.build import save_generator
from gannotate.generators.card import write_card
from gannotate.generators.quality import FIRST_SEED
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.seeding import numpy_stream
from gannotate.viz import contact_sheet

Gauge = Callable[[np.ndarray], dict[str, float]]
"""Pictures drawn, uint8 (n, h, w, c), to figures; `kid` among them, lower is better."""

GRID_SEEDS = range(64)

COLLAPSE_AFTER_KIMG = 5.0
COLLAPSE = 0.1
"""Drawn pictures that differ among each other by less than this part of what real ones do have collapsed."""


def pictures_of_seeds(generator: StyleGAN2, seeds: range) -> np.ndarray:
    """uint8 (n, size, size, channels), drawn with full variety and the checkpoint's noise."""
    return np.concatenate([to_uint8(drawing.picture) for _, drawing in draw(generator, seeds)])


def write_grid(path: Path, pictures: np.ndarray, columns: int = 8) -> None:
    """Writes pictures uint8 (n, h, w, c) side by side as PNG, atomically."""
    write_bytes(path, encode_picture(contact_sheet(list(pictures), columns, gap_px=0)))


def spread(pictures: np.ndarray) -> float:
    """How much pictures differ: per-pixel standard deviation over the pictures, averaged (grey levels)."""
    return float(pictures.astype(np.float32).std(axis=0).mean())


class SnapshotHook:
    """Every `every` steps: a grid, the figures, and the generator in `folder` when it is the best so far.

    Its discriminator is kept beside it (discriminator.safetensors).
    """

    def __init__(
        self,
        trainer: AdversarialTrainer,
        folder: Path,
        every: int,
        gauge: Gauge | None,
        gauge_pictures: int = 1000,
        about: dict[str, Any] | None = None,
    ) -> None:
        self.trainer, self.folder, self.every = trainer, folder, every
        self.gauge, self.gauge_pictures, self.about = gauge, gauge_pictures, about or {}
        sample = numpy_stream("spread").permutation(len(trainer.pictures))[:500]
        self.real_spread = spread(trainer.pictures[np.sort(sample)])

    def __call__(self, done: int) -> dict[str, float]:
        """Returns the gauge's figures and `best` (1 when this snapshot was kept); `stop` when it collapsed."""
        kimg = done * self.trainer.config.batch / 1000
        average = self.trainer.average
        write_grid(self.folder / "snapshots" / f"kimg{kimg:07.1f}.png", pictures_of_seeds(average, GRID_SEEDS))
        first = FIRST_SEED
        drawn = pictures_of_seeds(average, range(first, first + self.gauge_pictures))
        figures: dict[str, float] = {"kimg": kimg, "spread": spread(drawn) / max(self.real_spread, 1e-6)}
        if figures["spread"] < COLLAPSE and kimg > COLLAPSE_AFTER_KIMG:
            return figures | {"collapsed": 1.0, "stop": 1.0}
        if self.gauge is not None:
            figures |= self.gauge(drawn)
        best = self.trainer.best_kid is None or figures.get("kid", 0.0) <= self.trainer.best_kid
        if best:
            self.trainer.best_kid = figures.get("kid")
            # the discriminator knows what matters in these pictures: inversion compares with its features
            save_discriminator(self.folder, self.trainer.discriminator)
            save_generator(self.folder, average, **self.about, kimg=kimg, figures=dict(figures))
            write_card(self.folder)
            write_grid(self.folder / "best.png", pictures_of_seeds(average, GRID_SEEDS))
        return figures | {"best": float(best)}
