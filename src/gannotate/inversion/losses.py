"""How far a drawn picture is from a real one: vectors whose squared distance inversion makes small.

With VGG16's weights from a file of the user it is LPIPS, as in StyleGAN2's projector. Without, it is the pixels at
several scales and, where the generator's discriminator was kept, what that sees in the pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gannotate.generators.adversarial.discriminator import Discriminator, load_discriminator
from gannotate.metrics.perceptual import PerceptualSpace

SMALLEST_PX = 4
"""Side of the coarsest scale that pixels are compared at."""

DISCRIMINATOR_WEIGHT = 0.1
"""Of the discriminator's squared distance beside that of the pixels."""


class PictureLoss(Protocol):
    """Pictures to vectors that may be differentiated; `name` stands beside every distance measured with them."""

    @property
    def name(self) -> str: ...

    def features(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """One row a picture in [-1, 1]; a row depends on its own picture alone."""
        ...


def distances(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Squared distance of each row of `a` to its row of `b`."""
    return (a - b).square().sum(dim=1)


class OfflineLoss:
    """Mean squared error of the pixels at every scale down to 4 px, summed; plus the discriminator's, where given.

    The discriminator's activations after its stem and each block have unit length over the channels and count evenly,
    as LPIPS without weights does (Zhang et al. 2018, equation 1).
    """

    def __init__(self, discriminator: Discriminator | None = None) -> None:
        self.discriminator = discriminator
        self.name = "pixels" if discriminator is None else "pixels+discriminator"

    def features(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        parts = [_even(scale) for scale in pyramid(pictures)]
        if self.discriminator is not None:
            for x in self.discriminator.activations(pictures):
                unit = x / (x.norm(dim=1, keepdim=True) + 1e-8)
                places = x.shape[-2] * x.shape[-1]
                parts.append((unit * (DISCRIMINATOR_WEIGHT / places) ** 0.5).flatten(1))
        return torch.cat(parts, dim=1)


class PerceptualLoss(PerceptualSpace):
    """LPIPS with VGG16 from weights in files of the user (see PerceptualSpace), as a loss."""

    def features(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        return self.vectors(pictures)


def make_loss(
    generator_folder: str | Path,
    image_channels: int,
    perceptual: Sequence[Path] = (),
    device: str | torch.device = "cpu",
) -> PictureLoss:
    """LPIPS from the files `perceptual`, or without files pixels and the discriminator beside the generator.

    Raises:
        GannotateError: the files hold something else, or the kept discriminator is damaged.
    """
    if perceptual:
        return PerceptualLoss(perceptual, image_channels, device)
    return OfflineLoss(load_discriminator(generator_folder, device))


def pyramid(pictures: Float[Tensor, "n c h w"]) -> list[Tensor]:
    """The pictures, their halves, quarters, ... down to 4 px."""
    scales = [pictures]
    while scales[-1].shape[-1] >= 2 * SMALLEST_PX:
        scales.append(F.avg_pool2d(scales[-1], 2))
    return scales


def _even(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    """Rows whose squared distance is the mean squared error."""
    return x.flatten(1) / (x[0].numel() ** 0.5)
