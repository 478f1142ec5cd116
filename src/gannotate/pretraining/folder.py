"""A pre-trained encoder on disk: config.json, model.safetensors, card.md. `train --init DIR` starts from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from gannotate.errors import UsageError
from gannotate.files import write_text
from gannotate.seeding import stream_seed
from gannotate.segmenters.build import SegmenterConfig, build_network, read_segmenter_config
from gannotate.training.model_folder import ModelKind
from gannotate.training.resuming import check_place, holds_training

ENCODER = ModelKind("encoder", "pretrain")

KINDS = ("encoder", "segmenter", "vae")
"""What a pre-training leaves, by the key in config.json."""

NAMED = ("architecture", "encoder", "depth", "decoder_width", "image_channels", "size")
"""What of a segmentation network says which encoder it has: the parts of `SegmenterConfig` that are kept with it."""


class _Named(nn.Module):
    """Holds an encoder under the name that it has in a segmentation network."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder


def check_new_pretraining(folder: str | Path) -> None:
    """Checks that a pre-training can begin, or go on, in `folder`.

    Raises:
        UsageError: it holds something else, e.g. a generator, which would be replaced.
    """
    check_place(folder, "pretrain", begun=holds_training(folder, *KINDS))


def encoder_part(network: nn.Module, config: SegmenterConfig) -> nn.Module:
    """The encoder of a segmentation network.

    Raises:
        UsageError: the network has none apart from the rest.
    """
    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise UsageError(
            f"{config.architecture} has no encoder apart from the rest, so none can be pre-trained; use --architecture "
            "unet, unet-mobile, lraspp, deeplabv3plus, deeplabv3 or hrnet"
        )
    return encoder


def save_encoder(folder: str | Path, network: nn.Module, config: SegmenterConfig, **about: Any) -> None:
    """Writes the encoder of `network`, its tensors named as in the network; `about` is json-able."""
    kept = {name: getattr(config, name) for name in NAMED}
    ENCODER.save(folder, _Named(encoder_part(network, config)), kept, about)


def load_encoder(folder: str | Path) -> tuple[nn.Module, SegmenterConfig]:
    """The encoder in `folder` in evaluation mode, frozen, and the network that it is part of.

    A segmenter's folder (of `pretrain --distill`) gives its encoder too.

    Raises:
        UsageError: neither kind of folder. GannotateError: damaged, or of a newer version.
    """
    if (Path(folder) / "config.json").exists() and _is_encoder(folder):
        kept = ENCODER.read_config(folder)["encoder"]
    else:
        kept = {name: value for name, value in read_segmenter_config(folder)["segmenter"].items() if name in NAMED}
    config = SegmenterConfig(classes=2, weights=str(folder), **kept)
    return encoder_part(build_network(config), config).eval().requires_grad_(False), config


def start_encoder(config: SegmenterConfig, seed: int) -> nn.Module:
    """The encoder that a pre-training of `config` with `seed` started from, frozen."""
    with torch.random.fork_rng():
        torch.manual_seed(stream_seed(seed, "pretraining"))
        network = build_network(config)
    return encoder_part(network, config).eval().requires_grad_(False)


def _is_encoder(folder: str | Path) -> bool:
    try:
        ENCODER.read_config(folder)
    except UsageError:
        return False
    return True


def write_card(folder: str | Path, config: SegmenterConfig, about: dict[str, Any]) -> None:
    """Writes `folder`/card.md: what learned what from which generator, how far it came, how to go on."""
    settings, trained, losses = about["settings"], about["trained"], about["losses"]
    taught = f", and the labels of {about['decoder']}" if about.get("decoder") else ""
    lines = [
        f"# Pre-trained encoder, {config.size} px, {'grey' if config.image_channels == 1 else 'RGB'}",
        "",
        f"- Encoder: {config.encoder}, depth {config.depth}, of {config.architecture}; started from {config.weights}",
        f"- Learned by LayerMatch (Galeev et al. 2020) to predict the activations of {about['generator']}{taught}",
        f"- Taps: {', '.join(about['taps'])}",
        f"- {trained['steps']} steps of {settings['batch']} pictures in {trained['seconds']:.0f} s, seeds from "
        f"{settings['first_seed']}; weights of the losses: match 1, reconstruction {settings['reconstruction']}"
        + (f", labels {settings['distillation']}" if taught else ""),
        f"- Losses at the end: {', '.join(f'{name} {value:.4g}' for name, value in losses.items())}",
        "",
        "The matching loss is in units of each channel's variance: 1 is what predicting its mean gives."
        if settings["standardise"]
        else "The matching loss is in the activations' own units.",
        "",
        f"Start a segmentation network from it: `gannotate train PROJECT --labelled DIR --architecture "
        f"{config.architecture} --init THIS_FOLDER`.",
        "",
    ]
    write_text(Path(folder) / "card.md", "\n".join(lines))
