"""Where a generator's latents lie: their average and spread, and how typical a given one is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.generators.base import Generator
from gannotate.generators.ops import LEAKY_SLOPE

SAMPLES, SAMPLES_SEED = 10_000, 123
"""Latents that the statistics are taken over, as StyleGAN2's projector draws them."""

AT_ONCE = 1000

FLOOR = 1e-4
"""Smallest variance of a direction that counts, as a part of the mean variance: others are flat."""


@dataclass(frozen=True)
class LatentStatistics:
    """Of the style vectors w of random latents.

    average (w,): their mean. deviation: root of their mean squared distance from it, a scalar (Karras et al. 2020,
    appendix D). centre (w,), whitening (w, w): of `w` before the mapping's last leaky ReLU, see `typicality`.
    """

    average: Float[Tensor, " w"]
    deviation: float
    centre: Float[Tensor, " w"]
    whitening: Float[Tensor, "w w"]

    def typicality(self, w: Float[Tensor, "n styles w"]) -> Float[Tensor, " n"]:
        """Mean squared coordinate in the space P_N (Zhu et al. 2020, "Improved StyleGAN Embedding: Where are the Good
        Latents?", section 3), averaged over the styles: about 1 for a drawn latent, larger the stranger it is.
        """
        return ((_before_activation(w) - self.centre) @ self.whitening).square().mean(dim=(1, 2))


@torch.inference_mode(False)  # who asks may be drawing, and these are differentiated with
@torch.no_grad()
def latent_statistics(generator: Generator, samples: int = SAMPLES) -> LatentStatistics:
    """Statistics over `samples` latents z ~ N(0, 1) of one fixed seed, on the generator's device.

    Raises:
        UsageError: a class-conditional generator.
    """
    if generator.label_dim:
        raise UsageError(
            f"this generator draws {generator.label_dim} classes; pictures can be inverted only into a generator "
            "without classes"
        )
    rng, like = np.random.RandomState(SAMPLES_SEED), next(generator.parameters())
    z = torch.from_numpy(rng.randn(samples, generator.z_dim)).to(like)
    w = torch.cat([generator.map(some)[:, 0] for some in z.split(AT_ONCE)])
    average = w.mean(dim=0)
    deviation = float((w - average).square().sum().div(samples).sqrt())
    before = _before_activation(w).double()
    centre = before.mean(dim=0)
    variance, directions = torch.linalg.eigh((before - centre).t() @ (before - centre) / samples)
    # a direction in which drawn latents do not differ would make every other latent infinitely strange
    variance = variance.clamp_min(float(FLOOR * variance.mean()) + 1e-12)
    return LatentStatistics(average, deviation, centre.to(like), (directions / variance.sqrt()).to(like))


def mix_styles(
    first: Float[Tensor, "n styles w"], second: Float[Tensor, "n styles w"], part: float
) -> Float[Tensor, "n styles w"]:
    """Of a `part` of the pictures the styles of `second` from a random one on, all others of `first`.

    So w+ is learned too, in which styles differ. Random numbers come from torch's global generator.
    """
    count, styles = first.shape[:2]
    change = torch.randint(1, styles, (count, 1)) if styles > 1 else torch.ones(count, 1)
    change = torch.where(torch.rand(count, 1) < part, change, styles)
    keep = (torch.arange(styles)[None] < change)[:, :, None].to(first.device)
    return torch.where(keep, first, second)


def _before_activation(w: Tensor) -> Tensor:
    """The inverse of the mapping network's last leaky ReLU (its gain is left to the whitening)."""
    return F.leaky_relu(w, 1 / LEAKY_SLOPE)
