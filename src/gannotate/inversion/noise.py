"""Noise maps that are optimised but must stay noise (Karras et al. 2020, appendix D).

Every picture has its own maps, (n, 1, height, width) for each layer, and nothing here mixes pictures.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gannotate.generators.base import Generator
from gannotate.seeding import torch_stream

SMALLEST_PX = 8
"""Maps are halved until a side is no longer than this."""


def start_noise(generator: Generator, count: int, seed: int) -> list[Float[Tensor, "n 1 h w"]]:
    """N(0, 1) maps of `count` pictures, the same for each: a result must not depend on a picture's place."""
    stream, like = torch_stream(seed, "inversion", "noise"), next(generator.parameters())
    maps = [torch.randn(1, 1, height, width, generator=stream) for height, width in generator.noise_shapes]
    return [single.to(like).repeat(count, 1, 1, 1) for single in maps]


def autocorrelation(maps: Sequence[Float[Tensor, "n 1 h w"]]) -> Float[Tensor, " n"]:
    """What is left of structure in each picture's maps; 0 in expectation would be white noise.

    For every map, and for that map halved again and again while both sides are longer than 8 px: the squared mean
    product of each pixel with its left and with its upper neighbour (around the border).
    """
    total = torch.zeros(len(maps[0]), dtype=maps[0].dtype, device=maps[0].device)
    for x in maps:
        while True:
            for axis in (2, 3):
                total = total + (x * x.roll(1, dims=axis)).mean(dim=(1, 2, 3)).square()
            if min(x.shape[-2:]) <= SMALLEST_PX:
                break
            x = F.avg_pool2d(x, 2)
    return total


@torch.no_grad()
def renormalise(maps: Sequence[Float[Tensor, "n 1 h w"]]) -> None:
    """Sets each map of each picture to mean 0 and mean square 1, in place."""
    for x in maps:
        x -= x.mean(dim=(1, 2, 3), keepdim=True)
        x *= x.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()
