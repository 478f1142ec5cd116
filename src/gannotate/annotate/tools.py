"""The similarity wand: what the generator's own features call alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gannotate.decoders.base import last_of_each_resolution
from gannotate.errors import UsageError
from gannotate.features.interpolation import resize
from gannotate.features.sampling import Pixels, sample_pixels
from gannotate.generators.base import Tap

COARSEST_PX = 16
"""Smaller taps say where in the picture a pixel is rather than what: without them the wand follows parts better (0.35
against 0.31 IoU with the part around one click, portraits)."""


def wand_taps(taps: Sequence[Tap]) -> tuple[Tap, ...]:
    """The taps that the wand compares: the last one of each resolution from 16 px on (all, when none is so large)."""
    last = last_of_each_resolution(tuple(taps))
    return tuple(tap for tap in last if tap.height >= COARSEST_PX) or last


@torch.inference_mode()
def similarity(
    drawn: Mapping[str, Float[Tensor, "1 k h w"]],
    read: Sequence[Tap],
    size: int,
    x: int,
    y: int,
) -> UInt8[Tensor, "size size"]:
    """How like pixel (x, y) every pixel is: 255 the same, 0 nothing in common or opposite.

    The mean, over the taps, of the cosine between the clicked pixel's feature vector and every other's. Each channel is
    standardised over the picture first, and the cosines are computed at each tap's own resolution and then upsampled:
    with unit vectors that equals comparing the upsampled maps, at a fraction of the cost (see projection.py).

    Raises:
        UsageError: (x, y) lies outside of the picture.
    """
    if not (0 <= x < size and 0 <= y < size):
        raise UsageError(f"the point ({x}, {y}) lies outside of the picture; give 0 to {size - 1} for both")
    place = Pixels(*(torch.tensor([value]) for value in (0, y, x)))
    total = torch.zeros(size, size)
    for tap in read:
        units = unit_vectors(drawn[tap.name])
        clicked = sample_pixels({tap.name: units}, [tap], place, size)[0]
        clicked = clicked / clicked.norm().clamp(min=1e-6)
        cosines = torch.einsum("k,khw->hw", clicked, units[0])
        total += resize(cosines[None, None], (size, size), "bilinear")[0, 0].cpu()
    alike = (total / len(read)).clamp(0, 1)
    alike = alike / alike[y, x].clamp(min=1e-6)  # the clicked pixel itself, blurred by the upsampling, is the measure
    return (alike.clamp(0, 1) * 255).round().to(torch.uint8)


def unit_vectors(tap: Float[Tensor, "1 k h w"]) -> Float[Tensor, "1 k h w"]:
    """The tap with channels standardised over the picture and every pixel's vector brought to length 1."""
    features = tap.float()
    centred = features - features.mean(dim=(2, 3), keepdim=True)
    scaled = centred / (features.std(dim=(2, 3), keepdim=True) + 1e-6)
    return scaled / scaled.norm(dim=1, keepdim=True).clamp(min=1e-6)
