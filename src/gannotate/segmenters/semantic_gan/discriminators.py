"""D_m: looks at pictures and labels together, at several scales and patch by patch (Li et al. 2021, section 3.1).

A small convolutional network for each scale (Isola et al. 2017; Wang et al. 2018, "pix2pixHD"), each with spectral and
instance normalisation, tells real pairs from drawn ones at every place. Its hinge loss and the matching of its
activations teach the label branch; the picture that it sees is never moved by it. The other discriminator, D_r, is
StyleGAN2's own (see `generators.adversarial.discriminator`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2
SMALLEST_PX = 8
"""A scale with a smaller side is left out: no patch is left in it."""

Activations = list[Tensor]
"""What the layers of one scale make of a batch, (n, channels, height, width) each; the last are the logits."""


class PatchDiscriminator(nn.Module):
    """(n, channels, s, s) -> activations of its five layers; the last holds one logit a patch."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        wide = (width, width * 2, width * 4, width * 8)
        self.layers = nn.ModuleList([nn.Conv2d(channels, wide[0], 4, stride=2, padding=2)])
        for inputs, outputs, stride in ((wide[0], wide[1], 2), (wide[1], wide[2], 2), (wide[2], wide[3], 1)):
            # instance normalisation takes the bias away again
            self.layers.append(spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=stride, padding=2, bias=False)))
        self.layers.append(nn.Conv2d(wide[3], 1, 4, padding=2))

    def forward(self, x: Float[Tensor, "n c s s"]) -> Activations:
        found: Activations = []
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if 0 < index < last:
                x = F.instance_norm(x)
            if index < last:
                x = F.leaky_relu(x, SLOPE)
            found.append(x)
        return found


class PairDiscriminator(nn.Module):
    """Pictures and label codes, (n, image_channels + classes, size, size) -> activations at each scale, large first."""

    def __init__(self, channels: int, size: int, width: int = 32, scales: int = 3) -> None:
        super().__init__()
        fitting = [scale for scale in range(scales) if size // 2**scale >= SMALLEST_PX]
        self.scales = nn.ModuleList(PatchDiscriminator(channels, width) for _ in fitting)

    def forward(self, x: Float[Tensor, "n c s s"]) -> list[Activations]:
        found = []
        for index, discriminator in enumerate(self.scales):
            if index:
                x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            found.append(discriminator(x))
        return found


def hinge_loss(real: Sequence[Activations], fake: Sequence[Activations]) -> Float[Tensor, ""]:
    """Discriminator's: (mean max(0, 1 - D(real)) + mean max(0, 1 + D(fake))) / 2, averaged over the scales."""
    parts = [
        (F.relu(1 - seen[-1]).mean() + F.relu(1 + drawn[-1]).mean()) / 2 for seen, drawn in zip(real, fake, strict=True)
    ]
    return torch.stack(parts).mean()


def deceit_loss(fake: Sequence[Activations]) -> Float[Tensor, ""]:
    """Generator's: -mean D(fake), averaged over the scales."""
    return -torch.stack([drawn[-1].mean() for drawn in fake]).mean()


def matching_loss(real: Sequence[Activations], fake: Sequence[Activations]) -> Float[Tensor, ""]:
    """Mean absolute difference of the activations before the logits, summed over layers and averaged over scales.

    Real and drawn pairs of a batch are compared in order although they show different things, as the authors' code
    does; no gradient goes to the real ones.
    """
    parts = [
        torch.stack([F.l1_loss(b, a.detach()) for a, b in zip(seen[:-1], drawn[:-1], strict=True)]).sum()
        for seen, drawn in zip(real, fake, strict=True)
    ]
    return torch.stack(parts).mean()


def patch_logits(activations: Sequence[Activations]) -> Float[Tensor, " n"]:
    """One number a pair for the gradient penalty: the mean logit of each scale, summed."""
    return torch.stack([scale[-1].mean(dim=(1, 2, 3)) for scale in activations]).sum(dim=0)
