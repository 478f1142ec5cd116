"""What stands in for the real things, in the faults' world and in tests/cli: a generator, labels, a study; all tiny."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from gannotate.generators.build import save_generator
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config

SIZE = 16
CLASSES = ("background", "left", "right")

STUDY = """
title: Renders
paper: {of: Nobody, where: nowhere}
claim: Twice as many are more.
seeds: 1
axes: {many: {title: pictures, values: [2, 4]}, size: [16]}
settings: {style: natural}
steps:
  drawn: render portraits -n {many} --size {size} --style {style} --seed {seed} --workers 1 --out {here}/pictures
measures:
  pictures: {from: "{drawn.pictures}", format: count}
tables:
  - {rows: [many], measures: [pictures]}
plots:
  - {x: many, measure: pictures}
"""
"""Renders a few pictures, and counts them."""


def make_generator(folder: Path) -> None:
    """Writes a generator with random weights that draws grey pictures of SIZE px."""
    torch.manual_seed(0)
    config = StyleGAN2Config(
        size=SIZE, image_channels=1, z_dim=8, w_dim=8, mapping_layers=2, channel_base=128, channel_max=16
    )
    save_generator(folder, StyleGAN2(config))


def label(picture: np.ndarray) -> np.ndarray:
    """The truth of a grey picture uint8 (h, w): 0 below its median, else 1 left and 2 right."""
    halves = np.ones_like(picture)
    halves[:, picture.shape[1] // 2 :] = 2
    return np.where(picture < np.median(picture), 0, halves).astype(np.uint8)
