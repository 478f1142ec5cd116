"""Saving and loading generators: a folder with config.json, model.safetensors and card.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_bytes, write_json
from gannotate.generators.base import Generator
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config

FORMAT_VERSION = 1


def build_generator(config: dict[str, Any]) -> Generator:
    """A generator with random weights from the dict that `config_dict()` gave."""
    settings = dict(config)
    architecture = settings.pop("architecture", None)
    if architecture != StyleGAN2.architecture:
        raise GannotateError(f"generator architecture {architecture!r} is not known here; known is 'stylegan2'")
    try:
        return StyleGAN2(StyleGAN2Config(**settings))
    except TypeError as error:
        raise GannotateError(f"the generator's config.json does not fit ({error})") from error


def save_generator(folder: str | Path, generator: StyleGAN2, half: bool = False, **extra: Any) -> None:
    """Writes config.json and model.safetensors; `half` stores float16. `extra` goes to config.json under 'about'.

    Half precision rounds weights to 11 bits: pictures change by less than one grey level.
    """
    folder = Path(folder)
    tensors = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in generator.state_dict().items()
    }
    write_bytes(folder / "model.safetensors", save(tensors))
    config = {"format_version": FORMAT_VERSION, "generator": generator.config_dict(), "about": extra}
    write_json(folder / "config.json", config)


def read_config(folder: str | Path) -> dict[str, Any]:
    """The folder's config.json.

    Raises:
        UsageError: not a generator folder. GannotateError: written by a newer version.
    """
    path = Path(folder) / "config.json"
    try:
        config = json.loads(path.read_text())
        version = int(config["format_version"])
    except FileNotFoundError as error:
        raise UsageError(
            f"{folder} is not a generator (no config.json); make one with `gannotate train-generator`"
        ) from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise GannotateError(f"{path} is damaged ({error}); train or copy the generator again") from error
    if version > FORMAT_VERSION:
        raise GannotateError(
            f"{folder} was written by a newer gannotate (format {version}, this one reads up to {FORMAT_VERSION}); "
            "upgrade gannotate"
        )
    return config


def load_generator(folder: str | Path, device: str | torch.device = "cpu") -> Generator:
    """The generator in `folder`, in float32 and evaluation mode, its parameters frozen.

    Raises:
        UsageError: not a generator folder. GannotateError: damaged, or of a newer version.
    """
    config = read_config(folder)
    generator = build_generator(config["generator"])
    path = Path(folder) / "model.safetensors"
    try:
        tensors = load_file(path)
        generator.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise GannotateError(f"{path} is damaged or does not fit its config.json ({reason})") from error
    return generator.eval().requires_grad_(False).to(device)
