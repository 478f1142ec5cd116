"""A variational autoencoder (Kingma and Welling 2014): pictures to latents and back, by plain convolutions.

It stands for generative models that are no GANs (RepurposeGAN, Tritrong et al. 2021, supplement): its decoder has as
many channels at each resolution as a small StyleGAN2, so that what differs is how it learned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.errors import GannotateError, UsageError
from gannotate.generators.base import Tap
from gannotate.training.model_folder import ModelKind
from gannotate.training.shares import whole_mean

VAE_FOLDER = ModelKind("vae", "pretrain --method vae")

LAST_PX = 4
"""Side of the coarsest activations."""

GROUPS = 8
"""Of the group normalisation: no picture knows of the others in its batch."""

SLOPE = 0.2
"""Of the leaky ReLUs, StyleGAN2's."""

LEAST_DEVIATION = 1 / 255
"""Of a value around its mean: half a grey level. Pictures are bytes, so nothing can be known better."""

MOST_LOG_VARIANCE = 10.0
"""Of a latent, either way: beyond it nothing changes but overflows."""


@dataclass(frozen=True, kw_only=True)
class VAEConfig:
    """Shape of a variational autoencoder."""

    size: int
    """Side of the pictures in px: a power of two from 8 on."""
    image_channels: int
    """1 for grey, 3 for RGB."""
    latents: int = 128
    """Numbers that a picture becomes."""
    channel_base: int = 1024
    """Channels at a resolution: this number divided by its side, but no more than `channel_max`."""
    channel_max: int = 128
    """Most channels."""

    def __post_init__(self) -> None:
        if self.size < 2 * LAST_PX or self.size & (self.size - 1):
            raise UsageError(f"a VAE of {self.size} px was asked for; its size is a power of two from {2 * LAST_PX} on")
        if self.image_channels not in (1, 3):
            raise UsageError(f"image_channels is {self.image_channels}; use 1 (grey) or 3 (RGB)")
        if self.latents < 1:
            raise UsageError(f"{self.latents} latents were asked for; use 1 or more, e.g. 128")
        if self.channels_at(self.size) % GROUPS or self.channel_max % GROUPS:
            raise UsageError(
                f"channel_base {self.channel_base} and channel_max {self.channel_max} give numbers of channels that do "
                f"not divide by {GROUPS}; use e.g. 1024 and 128"
            )

    @property
    def sides(self) -> tuple[int, ...]:
        """Sides of the activations in px, coarse to fine."""
        return tuple(LAST_PX << step for step in range((self.size // LAST_PX).bit_length()))

    def channels_at(self, side: int) -> int:
        """Channels of the activations of `side` px."""
        return max(GROUPS, min(self.channel_max, self.channel_base // side))


class Posterior(NamedTuple):
    """What a picture's latents may be: a normal distribution for each."""

    mean: Float[Tensor, "n z"]
    log_variance: Float[Tensor, "n z"]

    def sample(self) -> Float[Tensor, "n z"]:
        """Latents drawn with torch's global generator, through which gradients reach both parameters."""
        return self.mean + torch.randn_like(self.mean) * (0.5 * self.log_variance).exp()

    def divergence(self) -> Float[Tensor, " n"]:
        """Kullback-Leibler divergence from the standard normal prior in nats (appendix B of the paper)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance).sum(dim=1)


class VAE(nn.Module):
    """Encoder and decoder.

    Attributes:
        taps: activations of the decoder that can be read, coarse to fine: two a resolution, one at the coarsest.
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        coarse = config.channels_at(LAST_PX)
        fine_to_coarse = config.sides[::-1]
        self.stem = nn.Conv2d(config.image_channels, config.channels_at(config.size), 3, padding=1)
        self.down = nn.ModuleList(
            nn.ModuleList(
                [_layer(config.channels_at(2 * side), config.channels_at(side), stride=2), _own(config, side)]
            )
            for side in fine_to_coarse[1:]
        )
        self.to_posterior = nn.Linear(coarse * LAST_PX**2, 2 * config.latents)
        self.from_latents = nn.Linear(config.latents, coarse * LAST_PX**2)
        self.first = _own(config, LAST_PX)
        self.up = nn.ModuleList(
            nn.ModuleList([_layer(config.channels_at(side // 2), config.channels_at(side)), _own(config, side)])
            for side in config.sides[1:]
        )
        self.to_picture = nn.Conv2d(config.channels_at(config.size), config.image_channels, 3, padding=1)
        named = [(f"b{LAST_PX}.conv1", LAST_PX)]
        named += [(f"b{side}.conv{place}", side) for side in config.sides[1:] for place in (0, 1)]
        self.taps = tuple(Tap(name, config.channels_at(side), side, side) for name, side in named)

    def encode(self, pictures: Float[Tensor, "n c h w"]) -> Posterior:
        """What the latents of pictures in [-1, 1] may be."""
        x = self.stem(pictures)
        for layers in self.down:
            for layer in layers:  # pyright: ignore[reportGeneralTypeIssues]
                x = layer(x)
        mean, log_variance = self.to_posterior(x.flatten(1)).chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(-MOST_LOG_VARIANCE, MOST_LOG_VARIANCE))

    def decode(
        self, latents: Float[Tensor, "n z"], taps: Sequence[str] = ()
    ) -> tuple[Float[Tensor, "n c h w"], dict[str, Float[Tensor, "n k h w"]]]:
        """The picture that latents stand for, in about [-1, 1], and the activations called `taps`."""
        coarse = self.config.channels_at(LAST_PX)
        x = self.first(self.from_latents(latents).view(-1, coarse, LAST_PX, LAST_PX))
        drawn = [x]
        for conv0, conv1 in self.up:  # pyright: ignore[reportGeneralTypeIssues]
            drawn.append(conv0(F.interpolate(drawn[-1], scale_factor=2, mode="nearest")))
            drawn.append(conv1(drawn[-1]))
        named = {tap.name: x for tap, x in zip(self.taps, drawn, strict=True)}
        return self.to_picture(drawn[-1]), {name: named[name] for name in taps}

    @property
    def config_dict(self) -> dict[str, Any]:
        """What `VAEConfig` takes, json-able."""
        return asdict(self.config)


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, group normalisation, leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.GroupNorm(GROUPS, outputs), nn.LeakyReLU(SLOPE)
    )


def _own(config: VAEConfig, side: int) -> nn.Sequential:
    return _layer(config.channels_at(side), config.channels_at(side))


def negative_elbo(vae: VAE, pictures: Float[Tensor, "n c h w"], beta: float = 1.0) -> dict[str, Float[Tensor, ""]]:
    """The parts of the negative evidence lower bound (equation 3) for latents drawn once, means over the pictures.

    {"loss": what is made small, "nll": of the pictures' values given the latents, "kl": of the latents}, all in nats a
    value (pixel and channel), so that numbers do not depend on the size. `beta` is the weight of kl in loss (Higgins et
    al. 2017); 1 is the bound itself. Values are normal around what the decoder draws, all with the deviation that
    suits the batch best (Rybkin, Daniilidis, Levine 2021, "Simple and Effective VAE Training with Calibrated
    Decoders", equation 5), "deviation": a fixed one would be one more number to find for each kind of pictures. It is
    that of all processes' pictures; where a batch is gone through in passes, that of a pass.
    """
    posterior = vae.encode(pictures)
    mean, _ = vae.decode(posterior.sample())
    error = whole_mean((pictures - mean).square().mean())
    variance = error.clamp(min=LEAST_DEVIATION**2)
    nll = 0.5 * (error / variance + (2 * math.pi * variance).log())
    kl = posterior.divergence().mean() / pictures[0].numel()
    return {"loss": nll + beta * kl, "nll": nll, "kl": kl, "deviation": variance.detach().sqrt()}


def save_vae(folder: str | Path, vae: VAE, **about: Any) -> None:
    """Writes config.json and model.safetensors; `about` (json-able) goes to config.json under 'about'."""
    VAE_FOLDER.save(folder, vae, vae.config_dict, about)


def load_vae(folder: str | Path, device: str | torch.device = "cpu") -> VAE:
    """The VAE in `folder`, in evaluation mode, its parameters frozen.

    Raises:
        UsageError: not such a folder. GannotateError: damaged, or of a newer version.
    """
    kept = VAE_FOLDER.read_config(folder)["vae"]
    try:
        vae = VAE(VAEConfig(**kept))
    except (TypeError, UsageError) as error:
        raise GannotateError(f"{folder}/config.json does not fit ({error}); train the VAE again") from error
    VAE_FOLDER.load_weights(folder, vae)
    return vae.eval().requires_grad_(False).to(device)
