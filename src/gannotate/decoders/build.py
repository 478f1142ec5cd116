"""Saving and loading decoders: a folder with config.json and model.safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from gannotate.decoders.base import Decoder
from gannotate.decoders.light import LightConfig, LightDecoder
from gannotate.errors import GannotateError, UsageError
from gannotate.files import write_bytes, write_json
from gannotate.generators.base import Tap

FORMAT_VERSION = 1


def build_decoder(config: dict[str, Any]) -> Decoder:
    """A decoder with random weights from the dict that `config_dict()` gave.

    Raises:
        GannotateError: unknown architecture, or a dict that does not fit.
    """
    if config.get("architecture") != LightDecoder.architecture:
        raise GannotateError(f"decoder architecture {config.get('architecture')!r} is not known here; known is 'light'")
    try:
        taps = tuple(Tap(**tap) for tap in config["taps"])
        settings = dict(config["config"])
        settings["taps"] = tuple(settings["taps"])
        return LightDecoder(taps, int(config["classes"]), int(config["size"]), LightConfig(**settings))
    except (TypeError, KeyError, ValueError) as error:
        raise GannotateError(f"the decoder's config.json does not fit ({error})") from error


def save_decoder(folder: str | Path, decoder: Decoder, **about: Any) -> None:
    """Writes config.json and model.safetensors; `about` (json-able) goes to config.json under 'about'."""
    folder = Path(folder)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in decoder.state_dict().items()}
    write_bytes(folder / "model.safetensors", save(tensors))
    write_json(
        folder / "config.json",
        {"format_version": FORMAT_VERSION, "decoder": decoder.config_dict(), "about": about},
    )


def read_decoder_config(folder: str | Path) -> dict[str, Any]:
    """The folder's config.json: {"format_version", "decoder", "about"}.

    Raises:
        UsageError: not a decoder folder. GannotateError: damaged, or written by a newer version.
    """
    path = Path(folder) / "config.json"
    try:
        config = json.loads(path.read_text())
        version = int(config["format_version"])
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{folder} is not a decoder (no config.json); make one with `gannotate fit`") from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise GannotateError(f"{path} is damaged ({error}); fit or copy the decoder again") from error
    if version > FORMAT_VERSION:
        raise GannotateError(
            f"{folder} was written by a newer gannotate (format {version}, this one reads up to {FORMAT_VERSION}); "
            "upgrade gannotate"
        )
    if not isinstance(config.get("decoder"), dict):
        raise UsageError(f"{folder} is not a decoder (its config.json has no 'decoder'); make one with `gannotate fit`")
    return config


def load_decoder(folder: str | Path, device: str | torch.device = "cpu") -> Decoder:
    """The decoder in `folder`, in evaluation mode, its parameters frozen.

    Raises:
        UsageError: not a decoder folder. GannotateError: damaged, or of a newer version.
    """
    decoder = build_decoder(read_decoder_config(folder)["decoder"])
    path = Path(folder) / "model.safetensors"
    try:
        decoder.load_state_dict(load_file(path))
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise GannotateError(f"{path} is damaged or does not fit its config.json ({reason})") from error
    return decoder.eval().requires_grad_(False).to(device)
