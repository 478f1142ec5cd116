"""Which decoders there are, and saving and loading them: a folder with config.json and model.safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from gannotate.decoders.base import Decoder, DecoderConfig
from gannotate.decoders.cnn import CNNDecoder
from gannotate.decoders.ensemble import EnsembleDecoder
from gannotate.decoders.fpn import FPNDecoder
from gannotate.decoders.light import LightDecoder
from gannotate.decoders.linear import LinearDecoder
from gannotate.decoders.mlp import MLPDecoder
from gannotate.errors import GannotateError, UsageError, nearest
from gannotate.features.source import Tapped
from gannotate.generators.base import Tap
from gannotate.parsing import DAMAGED
from gannotate.training.model_folder import ModelKind

DECODER = ModelKind("decoder", "fit")

SOURCE = "source"
"""Folder in a decoder's where the network lies whose features it reads."""

DECODERS: dict[str, type[Decoder]] = {
    kind.architecture: kind
    for kind in (LightDecoder, CNNDecoder, MLPDecoder, EnsembleDecoder, FPNDecoder, LinearDecoder)
}
"""Every kind of decoder by its name."""


def decoder_class(name: str) -> type[Decoder]:
    """The kind of decoder called `name`.

    Raises:
        UsageError: no such kind; names the nearest.
    """
    if name not in DECODERS:
        names = list(DECODERS)
        raise UsageError(f"decoder {name!r} is not known; use {', '.join(names)}{nearest(name, names)}")
    return DECODERS[name]


def decoder_config(name: str, settings: Mapping[str, Any]) -> DecoderConfig:
    """The configuration of the decoder called `name`; lists, as JSON and YAML have them, become tuples.

    Raises:
        UsageError: no such decoder, or a setting that it does not have or cannot use.
    """
    kind = decoder_class(name).config_class
    known = [field.name for field in fields(kind)]
    for key in settings:
        if key not in known:
            raise UsageError(f"decoder {name} has no setting {key!r}; it has {', '.join(known)}{nearest(key, known)}")
        if isinstance(getattr(kind(), key), tuple) and not isinstance(settings[key], list | tuple):
            raise UsageError(f"setting {key} of decoder {name} is a list; give e.g. {key}=[128, 32]")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()})


def make_decoder(name: str, generator: Tapped, classes: int, config: DecoderConfig | None = None) -> Decoder:
    """A new decoder of the kind `name` for `generator`, with random weights from the global torch generator.

    Raises:
        UsageError: no such kind, a configuration of another kind, or a tap that the generator lacks.
    """
    kind = decoder_class(name)
    if config is not None and not isinstance(config, kind.config_class):
        raise UsageError(
            f"a {type(config).__name__} was given for decoder {name}; it takes a {kind.config_class.__name__}"
        )
    return kind.of_generator(generator, classes, config)


def build_decoder(config: dict[str, Any]) -> Decoder:
    """A decoder with random weights from the dict that `config_dict()` gave.

    Raises:
        GannotateError: unknown architecture, or a dict that does not fit.
    """
    name = config.get("architecture")
    if not isinstance(name, str) or name not in DECODERS:
        known = ", ".join(DECODERS)
        raise GannotateError(
            f"decoder architecture {name!r} is not known here; known are {known}{nearest(str(name), list(DECODERS))}"
        )
    try:
        taps = tuple(Tap(**tap) for tap in config["taps"])
        settings = decoder_config(name, config["config"])
        decoder = DECODERS[name](taps, int(config["classes"]), int(config["size"]), settings)
        decoder.temperature = float(config.get("temperature", 1.0))
        decoder.of_features = config.get("of_features") is True
    except (UsageError, *DAMAGED) as error:
        raise GannotateError(f"the decoder's config.json does not fit ({error})") from error
    return decoder


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
    config = read_decoder_config(folder)["decoder"]
    DECODER.check_size(folder, lambda: build_decoder(config))
    decoder = build_decoder(config)
    DECODER.load_weights(folder, decoder)
    decoder.of_features |= reads_source(folder)  # those of older versions do not say it themselves
    return decoder.eval().requires_grad_(False).to(device)


def reads_source(folder: str | Path) -> bool:
    """Whether the decoder in `folder` reads a source that is kept beside it, and not its project's generator."""
    return (Path(folder) / SOURCE / "config.json").exists()
