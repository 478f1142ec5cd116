"""Saving and loading decoders: a folder with config.json and model.safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from gannotate.decoders.base import Decoder
from gannotate.decoders.light import LightConfig, LightDecoder
from gannotate.errors import GannotateError
from gannotate.generators.base import Tap
from gannotate.training.model_folder import ModelKind

DECODER = ModelKind("decoder", "fit")


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
    DECODER.save(folder, decoder, decoder.config_dict(), about)


def read_decoder_config(folder: str | Path) -> dict[str, Any]:
    """The folder's config.json: {"format_version", "decoder", "about"}.

    Raises:
        UsageError: not a decoder folder. GannotateError: damaged, or written by a newer version.
    """
    return DECODER.read_config(folder)


def load_decoder(folder: str | Path, device: str | torch.device = "cpu") -> Decoder:
    """The decoder in `folder`, in evaluation mode, its parameters frozen.

    Raises:
        UsageError: not a decoder folder. GannotateError: damaged, or of a newer version.
    """
    decoder = build_decoder(read_decoder_config(folder)["decoder"])
    DECODER.load_weights(folder, decoder)
    return decoder.eval().requires_grad_(False).to(device)
