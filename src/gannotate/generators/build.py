"""Saving and loading generators of every architecture: a folder with config.json, model.safetensors and card.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from gannotate.errors import GannotateError
from gannotate.generators.base import Generator
from gannotate.generators.stylegan1 import StyleGAN1, StyleGAN1Config
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.generators.stylegan3 import StyleGAN3, StyleGAN3Config
from gannotate.training.model_folder import ModelKind

GENERATOR = ModelKind("generator", "train-generator")

ARCHITECTURES: dict[str, tuple[type[Any], type[Generator]]] = {
    StyleGAN1.architecture: (StyleGAN1Config, StyleGAN1),
    StyleGAN2.architecture: (StyleGAN2Config, StyleGAN2),
    StyleGAN3.architecture: (StyleGAN3Config, StyleGAN3),
}
"""The configuration and the network of each architecture that config.json may name."""


def build_generator(config: dict[str, Any]) -> Generator:
    """A generator with random weights from the dict that `config_dict()` gave.

    Raises:
        GannotateError: an architecture or a setting that is not known here. UsageError: a setting out of range.
    """
    settings = dict(config)
    architecture = settings.pop("architecture", None)
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise GannotateError(f"generator architecture {architecture!r} is not known here; known are {known}")
    config_class, network_class = ARCHITECTURES[architecture]
    try:
        return network_class(config_class(**settings))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise GannotateError(f"the generator's config.json does not fit ({error})") from error


def save_generator(folder: str | Path, generator: Generator, half: bool = False, **about: Any) -> None:
    """Writes config.json and model.safetensors; `half` stores float16. `about` goes to config.json under 'about'.

    Half precision rounds weights to 11 bits: pictures change by less than one grey level.
    """
    GENERATOR.save(folder, generator, generator.config_dict(), about, half)


def read_config(folder: str | Path) -> dict[str, Any]:
    """The folder's config.json: {"format_version", "generator", "about"}.

    Raises:
        UsageError: not a generator folder. GannotateError: damaged, or written by a newer version.
    """
    return GENERATOR.read_config(folder)


def load_generator(folder: str | Path, device: str | torch.device = "cpu") -> Generator:
    """The generator in `folder`, in float32 and evaluation mode, its parameters frozen.

    Raises:
        UsageError: not a generator folder. GannotateError: damaged, or of a newer version.
    """
    config = read_config(folder)["generator"]
    GENERATOR.check_size(folder, lambda: build_generator(config))
    generator = build_generator(config)
    GENERATOR.load_weights(folder, generator)
    return generator.eval().requires_grad_(False).to(device)
