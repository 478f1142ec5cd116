"""A picture's latents at once, by a small network: where the projector's optimisation may begin.

It learns from the generator's own pictures, of which every latent is known, and from real ones where given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.errors import GannotateError, UsageError
from gannotate.generators.base import Generator
from gannotate.inversion.latents import LatentStatistics
from gannotate.synthesis import fingerprint
from gannotate.training.model_folder import ModelKind
from gannotate.training.shares import whole_mean

ENCODER = ModelKind("latent-encoder", "invert --encoder")

LAST_PX = 4
"""Side of the activations that the latents are read off."""

GROUPS = 8
"""Of the group normalisation: no picture knows of the others in its batch."""


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Shape of an encoder."""

    size: int
    """Side of the pictures in pixels, the generator's."""
    image_channels: int
    """1 for grey, 3 for RGB."""
    styles: int
    """Style vectors of a picture in w+."""
    w_dim: int
    """Length of a style vector."""
    width: int = 32
    """Channels at half the picture's size; each halving doubles them, up to eight times as many."""


class EncoderBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; halves the size. (n, inputs, h, w) -> (n, outputs, h / 2, w / 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm0, self.norm1 = nn.GroupNorm(GROUPS, inputs), nn.GroupNorm(GROUPS, outputs)
        self.conv0 = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.conv1 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o h2 w2"]:
        y = self.conv1(F.relu(self.norm1(self.conv0(F.relu(self.norm0(x))))))
        return y + self.skip(F.avg_pool2d(x, 2))


class Encoder(nn.Module):
    """Pictures in [-1, 1] to w+: the average latent, plus one offset for all styles, plus one for each style.

    The offsets by style start at zero (Tov et al. 2021, "Designing an Encoder for StyleGAN Image Manipulation",
    section 4.1): what one style vector can say is learned first.
    """

    average: Tensor
    deviation: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv2d(config.image_channels, config.width, 4, stride=2, padding=1)
        halvings = int(math.log2(config.size // 2 // LAST_PX))
        widths = [config.width * min(2**step, 8) for step in range(halvings + 1)]
        self.blocks = nn.Sequential(*(EncoderBlock(a, b) for a, b in pairwise(widths)))
        self.norm = nn.GroupNorm(GROUPS, widths[-1])
        inputs = widths[-1] * LAST_PX**2
        self.shared = nn.Linear(inputs, config.w_dim)
        self.each = nn.Linear(inputs, config.styles * config.w_dim)
        nn.init.zeros_(self.each.weight)
        nn.init.zeros_(self.each.bias)
        self.register_buffer("average", torch.zeros(config.w_dim))
        self.register_buffer("deviation", torch.ones(config.w_dim))

    def forward(self, picture: Float[Tensor, "n c h w"]) -> Float[Tensor, "n styles w"]:
        x = F.relu(self.norm(self.blocks(self.stem(picture)))).flatten(1)
        offset = self.shared(x)[:, None] + self.each(x).unflatten(1, (self.config.styles, self.config.w_dim))
        return self.average + self.deviation * offset

    def check_fits(self, generator: Generator) -> None:
        """Checks that it gives latents of `generator`'s shape.

        Raises:
            UsageError: it was trained on another kind of generator.
        """
        wanted, config = shape_of(generator), self.config
        for name in ("size", "image_channels", "styles", "w_dim"):
            if getattr(wanted, name) != getattr(config, name):
                raise UsageError(
                    f"the encoder was trained on another generator ({name} {getattr(config, name)}, this one has "
                    f"{getattr(wanted, name)}); give a new folder to --encoder, and one for this generator is trained"
                )


def shape_of(generator: Generator, width: int = EncoderConfig.width) -> EncoderConfig:
    """The shape of an encoder for `generator`."""
    return EncoderConfig(
        size=generator.size,
        image_channels=generator.image_channels,
        styles=generator.style_count,
        w_dim=generator.w_dim,
        width=width,
    )


def make_encoder(generator: Generator, statistics: LatentStatistics, width: int = EncoderConfig.width) -> Encoder:
    """A new encoder for `generator`, with random weights from the global torch generator.

    Raises:
        UsageError: pictures smaller than 8 px, or a width that the groups of channels do not divide.
    """
    if width < GROUPS or width % GROUPS:
        raise UsageError(f"the encoder's width is {width}; use a multiple of {GROUPS}, e.g. 32")
    encoder = Encoder(shape_of(generator, width)).to(statistics.average.device)
    encoder.average.copy_(statistics.average)
    # the root mean square over the directions: a generator may not use some of them
    encoder.deviation.fill_(statistics.deviation / generator.w_dim**0.5)
    return encoder


def save_encoder(folder: str | Path, encoder: Encoder, **about: Any) -> None:
    """Writes config.json and model.safetensors; `about` (json-able) goes to config.json under 'about'."""
    ENCODER.save(folder, encoder, asdict(encoder.config), about)


def load_encoder(folder: str | Path, device: str | torch.device = "cpu") -> Encoder:
    """The encoder in `folder`, in evaluation mode, its parameters frozen.

    Raises:
        UsageError: not an encoder folder. GannotateError: damaged, or of a newer version.
    """
    try:
        encoder = Encoder(EncoderConfig(**ENCODER.read_config(folder)[ENCODER.name]))
    except (TypeError, ValueError) as error:
        raise GannotateError(f"the encoder's config.json does not fit ({error}); train it again") from error
    ENCODER.load_weights(folder, encoder)
    return encoder.eval().requires_grad_(False).to(device)


def load_encoder_of(folder: str | Path, generator: Generator) -> Encoder:
    """The encoder in `folder` (see `load_encoder`), on `generator`'s device, if it was trained on that.

    Raises:
        UsageError: not an encoder folder, or one of another generator. GannotateError: damaged, or of a newer version.
    """
    encoder = load_encoder(folder, next(generator.parameters()).device)
    encoder.check_fits(generator)
    if ENCODER.read_config(folder)["about"].get("generator", "") not in ("", fingerprint(generator)):
        raise UsageError(
            f"the encoder in {folder} was trained on another generator of the same shape; give a new folder to "
            "--encoder, and one for this generator is trained"
        )
    return encoder


def tap_distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> Float[Tensor, ""]:
    """Mean squared difference of activations, each tap by the mean square of `b`, averaged over the taps.

    In a training by several processes the mean square is that of all.
    """
    parts = [F.mse_loss(x, y) / whole_mean(y.square().mean()).clamp_min(1e-8) for x, y in zip(a, b, strict=True)]
    return torch.stack(parts).mean()
