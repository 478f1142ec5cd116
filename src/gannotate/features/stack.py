"""The papers' features: every tap upsampled to picture size and stacked. For tests and benchmarks only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gannotate.features.interpolation import Interpolation, check_interpolation, resize, route
from gannotate.generators.base import Tap


def stack(
    taps: Mapping[str, Float[Tensor, "n k h w"]],
    read: Sequence[Tap],
    size: int,
    interpolation: Interpolation = "bilinear",
) -> Float[Tensor, "n channels size size"]:
    """All features of every pixel: 5.8 GB for one 512 px picture of StyleGAN2.

    In a pyramid each tap passes the larger resolutions in `read` on its way.
    """
    check_interpolation(interpolation)
    sides = [(tap.height, tap.width) for tap in read]
    maps = []
    for tap, side in zip(read, sides, strict=True):
        x = taps[tap.name]
        for step in route(side, sides, size, interpolation)[1:]:
            x = resize(x, step, interpolation)
        maps.append(x)
    return torch.cat(maps, dim=1)
