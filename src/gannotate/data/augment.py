"""Augmentation of pictures together with their labels (RepurposeGAN, Tritrong et al. 2021, section 3.3).

Flip, quarter turns, scale, rotation and translation of a picture are one affine map, so each picture is sampled once
and loses sharpness once. What comes from outside is mirrored into the picture and is IGNORE in its labels, never
class 0. Random numbers come from torch's global generator, which the training loop seeds before each step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.labels import IGNORE, Mirror


@dataclass(frozen=True, kw_only=True)
class Warp:
    """How strongly pictures are moved; each number is drawn uniformly (the scale: its logarithm)."""

    scale_low: float = 0.8
    """Smallest scale; 0.5 draws things at half their size."""
    scale_high: float = 1.25
    """Largest scale."""
    rotation_deg: float = 10.0
    """Largest rotation to either side, in degrees."""
    translation: float = 0.1
    """Largest shift along each axis, as a part of the picture's side."""

    def __post_init__(self) -> None:
        if not 0 < self.scale_low <= self.scale_high:
            raise UsageError(
                f"scales from {self.scale_low} to {self.scale_high} were given; give two positive numbers, the "
                "smaller first, e.g. 0.8 and 1.25"
            )
        if self.rotation_deg < 0 or self.translation < 0:
            raise UsageError(
                f"rotation {self.rotation_deg} and translation {self.translation} were given; give 0 or more for each"
            )


ALIGNED = Warp()
"""For narrow domains whose pictures are framed alike."""

REPURPOSE = Warp(scale_low=0.5, scale_high=2.0, rotation_deg=10.0, translation=0.5)
"""The paper's: scale 0.5-2, rotation 10 degrees, translation up to half the picture."""

STILL = Warp(scale_low=1.0, scale_high=1.0, rotation_deg=0.0, translation=0.0)
"""No movement; flips and turns are asked for apart."""

WARPS = {"aligned": ALIGNED, "repurpose": REPURPOSE, "none": STILL}
"""The strengths by name."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Everything that may happen to a picture in training."""

    warp: Warp = ALIGNED
    """Scale, rotation and translation."""
    mirror: Mirror = field(default_factory=Mirror)
    """What a left-right flip means here; it happens to half of the pictures unless the rule is `no`."""
    turn90: bool = False
    """Turn by 0, 90, 180 or 270 degrees, each as often."""
    photometric: bool = False
    """Change brightness, contrast, colour saturation and gamma, and add a little noise."""


def augment(
    pictures: Float[Tensor, "n c s s"],
    label_maps: Int[Tensor, "n s s"],
    soft: Float[Tensor, "n k s s"] | None,
    how: Augmentation,
) -> tuple[Float[Tensor, "n c s s"], Int[Tensor, "n s s"], Float[Tensor, "n k s s"] | None]:
    """Moves square pictures in [-1, 1] with their label maps (nearest) and class probabilities (bilinear).

    Pixels whose label would come from outside the picture become IGNORE in the label map; their probabilities are
    those of the mirrored picture and do not count.
    """
    count = pictures.shape[0]
    flipped = _coins(count) if how.mirror.rule != "no" else torch.zeros(count, dtype=torch.bool)
    theta = affine_maps(how.warp, flipped, _quarter_turns(count) if how.turn90 else torch.zeros(count))
    flipped = flipped.to(pictures.device)
    stacked = pictures if soft is None else torch.cat([pictures, soft.to(pictures)], 1)
    warped, label_maps = warp_together(stacked, label_maps, theta.to(pictures))
    pictures, moved = warped.split([pictures.shape[1], warped.shape[1] - pictures.shape[1]], 1)
    label_maps = swap_label_maps(label_maps, flipped, how.mirror)
    soft = None if soft is None else swap_soft(moved, flipped, how.mirror)
    if how.photometric:
        pictures = change_colours(pictures)
    return pictures, label_maps, soft


def affine_maps(warp: Warp, flipped: Bool[Tensor, " n"], quarter_turns: Float[Tensor, " n"]) -> Float[Tensor, "n 2 3"]:
    """Random maps from places in the new picture to places in the old one, both in [-1, 1] (x right, y down).

    The new picture is the old one flipped, turned, scaled, then shifted: new = scale * R * flip * old + shift.
    """
    count = len(flipped)
    scale = torch.exp(_uniform(count, math.log(warp.scale_low), math.log(warp.scale_high)))
    degrees = _uniform(count, -warp.rotation_deg, warp.rotation_deg) + 90 * quarter_turns
    shift = _uniform(2 * count, -warp.translation, warp.translation).view(count, 2, 1) * 2
    angle = torch.deg2rad(degrees)
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    # the inverse: R^-1 / scale, then the flip (its own inverse) on x
    sign = torch.where(flipped, -1.0, 1.0)
    inverse = torch.stack([sign * cosine, sign * sine, -sine, cosine], 1).view(count, 2, 2)
    return torch.cat([inverse, -inverse @ shift], 2)


def warp_together(
    pictures: Float[Tensor, "n c s s"], label_maps: Int[Tensor, "n s s"], theta: Float[Tensor, "n 2 3"]
) -> tuple[Float[Tensor, "n c s s"], Int[Tensor, "n s s"]]:
    """Samples pictures (bilinear, mirrored outside) and label maps (nearest, IGNORE outside) at `theta`'s places."""
    grid = F.affine_grid(theta, [len(pictures), 1, *pictures.shape[-2:]], align_corners=False)
    warped = F.grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    # zero padding means "outside", so ids move up by one; floats hold 0-256 exactly
    shifted = (label_maps + 1).unsqueeze(1).to(pictures.dtype)
    moved = F.grid_sample(shifted, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    moved = moved.squeeze(1).round().long() - 1
    return warped, torch.where(moved < 0, IGNORE, moved)


def swap_label_maps(
    label_maps: Int[Tensor, "n h w"], flipped: Bool[Tensor, " n"], mirror: Mirror
) -> Int[Tensor, "n h w"]:
    """Exchanges the paired classes in the label maps of flipped pictures."""
    table = torch.arange(256, device=label_maps.device)
    for first, second in mirror.pairs:
        table[first], table[second] = second, first
    return torch.where(flipped.view(-1, 1, 1), table[label_maps], label_maps) if mirror.pairs else label_maps


def swap_soft(soft: Float[Tensor, "n k h w"], flipped: Bool[Tensor, " n"], mirror: Mirror) -> Float[Tensor, "n k h w"]:
    """Exchanges the probabilities of the paired classes in flipped pictures."""
    order = list(range(soft.shape[1]))
    for first, second in mirror.pairs:
        order[first], order[second] = second, first
    return torch.where(flipped.view(-1, 1, 1, 1), soft[:, order], soft) if mirror.pairs else soft


def change_colours(pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Random gamma, contrast, brightness, saturation (RGB) and noise, apart for each picture; stays in [-1, 1]."""
    shape = (len(pictures), 1, 1, 1)

    def draw(low: float, high: float) -> Tensor:
        return _uniform(len(pictures), low, high).view(shape).to(pictures)

    changed = ((pictures.clamp(-1, 1) + 1) / 2) ** torch.exp(draw(-0.3, 0.3)) * 2 - 1
    changed = changed * torch.exp(draw(-0.25, 0.25)) + draw(-0.2, 0.2)
    if pictures.shape[1] == 3:
        grey = changed.mean(1, keepdim=True)
        changed = grey + (changed - grey) * torch.exp(draw(-0.4, 0.4))
    noise = torch.randn(pictures.shape).to(pictures) * draw(0.0, 0.06)
    return (changed + noise).clamp(-1, 1)


def _uniform(count: int, low: float, high: float) -> Float[Tensor, " n"]:
    return torch.rand(count) * (high - low) + low


def _coins(count: int) -> Bool[Tensor, " n"]:
    return torch.rand(count) < 0.5


def _quarter_turns(count: int) -> Float[Tensor, " n"]:
    return torch.randint(4, (count,)).float()
