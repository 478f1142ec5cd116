"""Pillow's picture resizing as tensor operations, so that it can be part of an exported network.

A segmenter sees pictures at its own size, brought there by Pillow (`gannotate.data.labelled.resize_picture`): the mean
over whole blocks where both sides are multiples, Lanczos otherwise. The ONNX operator Resize knows neither. Both are
separable and linear: out = rows @ picture @ columns, with weights that follow from the two lengths alone; Pillow
rounds to whole grey values after each of the two.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

LANCZOS_LOBES = 3

FIXED_POINT = 2.0**22
"""Pillow's weights are whole multiples of one part of this; it decides how means that end in one half are rounded."""


def resize_like_pillow(pictures: UInt8[Tensor, "n h w c"], size: int) -> Float[Tensor, "n c s s"]:
    """Pictures of any one height and width at size x size px, whole values 0-255, as `resize_picture` gives them.

    Pillow sums whole numbers and this float32, so that a sum within a hair of one half may round the other way.
    """

    def resized(pictures: Tensor) -> Tensor:
        height, width = _positions(pictures, 1), _positions(pictures, 2)
        whole = (_count(height) % size == 0) & (_count(width) % size == 0)
        x = pictures.permute(0, 3, 1, 2).float()
        x = _rounded(x @ _weights(width, size, whole).T)
        return _rounded(_weights(height, size, whole) @ x).contiguous()

    def as_they_are(pictures: Tensor) -> Tensor:
        # what is resized to its own size; only this tells the exporter that the sides are known here
        return F.interpolate(pictures.permute(0, 3, 1, 2).float(), (size, size)).contiguous()

    if not torch.compiler.is_exporting():
        return resized(pictures)
    own = (_count(_positions(pictures, 1)) == size) & (_count(_positions(pictures, 2)) == size)
    # the file decides at every call: the weights and products are a twentieth of a small network's time
    return torch.cond(own, as_they_are, resized, (pictures,))


def _positions(pictures: Tensor, axis: int) -> Float[Tensor, " l"]:
    return torch.arange(pictures.shape[axis], device=pictures.device, dtype=torch.float32)


def _count(positions: Float[Tensor, " l"]) -> Float[Tensor, ""]:
    # the length as a tensor: a picture's side is not a number yet where this is traced for export
    return positions[-1] + 1


def _weights(positions: Float[Tensor, " l"], size: int, whole: Tensor) -> Float[Tensor, "s l"]:
    """What each of `size` pixels takes of each of l, as libImaging/Resample.c computes it."""
    scale = _count(positions) / size
    stretch = scale.clamp(min=1.0)  # shrinking widens the filter; growing leaves it
    centres = (torch.arange(size, device=positions.device, dtype=torch.float32)[:, None] + 0.5) * scale
    reach = (positions + 0.5 - centres) / stretch
    box = ((reach > -0.5) & (reach <= 0.5)).float()
    # pixels whose middle lies outside of the support do not count, though their edge may be inside
    inside = (positions >= _whole(centres - LANCZOS_LOBES * stretch)) & (
        positions < _whole(centres + LANCZOS_LOBES * stretch)
    )
    lanczos = _sinc(reach) * _sinc(reach / LANCZOS_LOBES) * (inside & (reach.abs() < LANCZOS_LOBES))
    chosen = torch.where(whole, box, lanczos)
    return (chosen / chosen.sum(1, keepdim=True) * FIXED_POINT).round() / FIXED_POINT


def _whole(edges: Tensor) -> Tensor:
    return (edges + 0.5).clamp(min=0.0).floor()


def _sinc(x: Tensor) -> Tensor:
    at_zero = x == 0
    angle = math.pi * torch.where(at_zero, 1.0, x)
    return torch.where(at_zero, 1.0, angle.sin() / angle)


def _rounded(x: Tensor) -> Tensor:
    return (x + 0.5).floor().clamp(0.0, 255.0)
