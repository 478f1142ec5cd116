"""Opening whatever labels pictures: a segmentation network, or a model of another kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from gannotate.segmenters.build import read_segmenter_config
from gannotate.segmenters.predict import Predictor, Segmenter
from gannotate.segmenters.semantic_gan.build import SEMANTIC_GAN, is_semantic_gan
from gannotate.segmenters.semantic_gan.inference import InvertingSegmenter


def load_predictor(folder: str | Path, device: str | torch.device = "cpu") -> Predictor:
    """The model in `folder`, by what its config.json says that it is.

    Raises:
        UsageError: no such folder. GannotateError: damaged, or of a newer version.
    """
    if is_semantic_gan(folder):
        return InvertingSegmenter.load(folder, device)
    return Segmenter.load(folder, device)


def describe(folder: str | Path) -> tuple[str, dict[str, Any]]:
    """The model in `folder` in a few words, and what its config.json tells about its training.

    Raises:
        UsageError: no such folder. GannotateError: damaged, or of a newer version.
    """
    if is_semantic_gan(folder):
        return SEMANTIC_GAN.name, SEMANTIC_GAN.read_config(folder)["about"]
    config = read_segmenter_config(folder)
    return f"{config['segmenter']['architecture']} {config['segmenter']['encoder']}", config["about"]
