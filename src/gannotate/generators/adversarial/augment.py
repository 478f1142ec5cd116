"""Adaptive discriminator augmentation (Karras et al. 2020b): the same random changes for real and drawn pictures.

Every change of geometry is one matrix and every change of colour another, so a picture is warped once however many
changes it gets. The probability p says how often each change happens; the controller moves it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from kornia.geometry.transform import warp_affine
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Which changes may happen, and how strong they are (the paper's defaults for the pipe `bgc`)."""

    flip: bool = False
    """Left-right flips."""
    turn90: bool = False
    """Quarter turns."""
    translate: float = 0.125
    """Whole-pixel shifts up to this part of the side."""
    scale_std: float = 0.2
    """Isotropic and anisotropic scaling: standard deviation of log2 of the factor; 0 turns them off."""
    rotate: bool = True
    """Rotation by any angle."""
    fraction_std: float = 0.125
    """Sub-pixel shifts: standard deviation as part of the side; 0 turns them off."""
    brightness_std: float = 0.2
    """Brightness shift: standard deviation on the [-1, 1] scale."""
    contrast_std: float = 0.5
    """Contrast: standard deviation of log2 of the factor."""
    saturation_std: float = 1.0
    """Saturation (RGB only): standard deviation of log2 of the factor."""
    hue: bool = True
    """Hue rotation by any angle (RGB only)."""


MILD = AugmentConfig(scale_std=0.0, rotate=False, fraction_std=0.0, contrast_std=0.25, saturation_std=0.5, hue=False)
"""Shifts and mild colour: what `--aug fixed` uses, always on, as in differentiable augmentation (Zhao et al. 2020)."""


def augment(picture: Float[Tensor, "n c h w"], p: float, config: AugmentConfig) -> Float[Tensor, "n c h w"]:
    """Changes each picture at random (global torch generator), each kind with probability `p`; differentiable once."""
    if p <= 0:
        return picture
    n, channels, side, _ = picture.shape
    geometry = _geometry(n, side, p, config)
    if geometry is not None:
        matrix = geometry[:, :2].to(picture)
        picture = warp_affine(picture, matrix, (side, side), padding_mode="reflection", align_corners=True)
    colour = _colour(n, channels, p, config)
    if colour is not None:
        weight, shift = colour[0].to(picture), colour[1].to(picture)
        if channels == 1:
            picture = picture * weight[:, :, :, None] + shift[:, :, None, None]
        else:
            picture = torch.einsum("noc,nchw->nohw", weight, picture) + shift[:, :, None, None]
    return picture


def _happens(n: int, p: float) -> Tensor:
    return torch.rand(n) < p


def _eye(n: int, size: int = 3) -> Tensor:
    return torch.eye(size).repeat(n, 1, 1)


def _geometry(n: int, side: int, p: float, config: AugmentConfig) -> Tensor | None:
    """Pixel-coordinate matrices (n, 3, 3) around the picture's centre; None when nothing is turned on."""
    parts: list[Tensor] = []
    if config.flip:
        parts.append(_scaling(torch.where(_happens(n, p) & (torch.rand(n) < 0.5), -1.0, 1.0), torch.ones(n)))
    if config.turn90:
        turns = torch.where(_happens(n, p), torch.randint(0, 4, (n,)), 0)
        parts.append(_rotation(turns * (math.pi / 2)))
    if config.translate:
        reach = config.translate * side
        shift = ((torch.rand(n, 2) * 2 - 1) * reach).round()
        parts.append(_translation(torch.where(_happens(n, p)[:, None], shift, 0.0)))
    if config.scale_std:
        factor = torch.where(_happens(n, p), torch.exp2(torch.randn(n) * config.scale_std), 1.0)
        parts.append(_scaling(factor, factor))
    # two rotations around the anisotropic scaling, each rarer, so that p is the chance of any (paper, appendix B)
    p_rotate = 1 - math.sqrt(max(0.0, 1 - p))
    if config.rotate:
        parts.append(_rotation(torch.where(_happens(n, p_rotate), (torch.rand(n) * 2 - 1) * math.pi, 0.0)))
    if config.scale_std:
        factor = torch.where(_happens(n, p), torch.exp2(torch.randn(n) * config.scale_std), 1.0)
        parts.append(_scaling(factor, 1 / factor))
    if config.rotate:
        parts.append(_rotation(torch.where(_happens(n, p_rotate), (torch.rand(n) * 2 - 1) * math.pi, 0.0)))
    if config.fraction_std:
        shift = torch.randn(n, 2) * (config.fraction_std * side)
        parts.append(_translation(torch.where(_happens(n, p)[:, None], shift, 0.0)))
    if not parts:
        return None
    matrix = _eye(n)
    for part in parts:
        matrix = part @ matrix
    centre = _translation(torch.full((n, 2), (side - 1) / 2))
    return centre @ matrix @ torch.linalg.inv(centre)


def _translation(shift: Tensor) -> Tensor:
    matrix = _eye(len(shift))
    matrix[:, :2, 2] = shift
    return matrix


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    matrix = _eye(len(x))
    matrix[:, 0, 0], matrix[:, 1, 1] = x, y
    return matrix


def _rotation(angle: Tensor) -> Tensor:
    matrix = _eye(len(angle))
    cosine, sine = torch.cos(angle), torch.sin(angle)
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1] = cosine, -sine, sine, cosine
    return matrix


def _colour(n: int, channels: int, p: float, config: AugmentConfig) -> tuple[Tensor, Tensor] | None:
    """Per-picture (weight (n, c, c), shift (n, c)); None when nothing is turned on."""
    if not (config.brightness_std or config.contrast_std or config.saturation_std or config.hue):
        return None
    brightness = torch.where(_happens(n, p), torch.randn(n) * config.brightness_std, 0.0)
    contrast = torch.where(_happens(n, p), torch.exp2(torch.randn(n) * config.contrast_std), 1.0)
    if channels == 1:
        return contrast.view(n, 1, 1), (brightness * contrast).view(n, 1)
    axis = torch.full((3,), 1 / math.sqrt(3))
    grey = torch.outer(axis, axis)  # projects on the luma axis
    weight = _eye(n)
    if config.hue:
        angle = torch.where(_happens(n, p), (torch.rand(n) * 2 - 1) * math.pi, 0.0)
        weight = _axis_rotation(axis, angle) @ weight
    if config.saturation_std:
        factor = torch.where(_happens(n, p), torch.exp2(torch.randn(n) * config.saturation_std), 1.0)
        weight = (grey + (torch.eye(3) - grey) * factor.view(n, 1, 1)) @ weight
    weight = weight * contrast.view(n, 1, 1)
    return weight, (brightness * contrast).view(n, 1).repeat(1, 3)


def _axis_rotation(axis: Tensor, angle: Tensor) -> Tensor:
    """Rodrigues' formula: (n, 3, 3) rotations around `axis`."""
    x, y, z = axis.tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    cosine, sine = torch.cos(angle).view(-1, 1, 1), torch.sin(angle).view(-1, 1, 1)
    return cosine * torch.eye(3) + sine * cross + (1 - cosine) * torch.outer(axis, axis)


@dataclass
class AdaController:
    """Moves p so that the discriminator's sign on real pictures averages `target` (paper, section 3.2).

    Every `interval` steps p changes by step * batch / (kimg * 1000), upwards when the discriminator is too sure.
    """

    target: float = 0.6
    interval: int = 4
    kimg: float = 500.0
    p: float = 0.0
    sign_sum: float = 0.0
    sign_count: int = 0

    def note(self, real_logits: Float[Tensor, " n"]) -> None:
        """Counts one batch of logits of real pictures."""
        self.note_signs(float(real_logits.sign().sum()), len(real_logits))

    def note_signs(self, signs: float, count: int) -> None:
        """Counts the sum of the signs of so many logits: those of all processes."""
        self.sign_sum += signs
        self.sign_count += count

    def update(self, index: int, batch: int) -> None:
        """Called once a step; adjusts p at the end of every interval."""
        if (index + 1) % self.interval or not self.sign_count:
            return
        direction = math.copysign(1.0, self.sign_sum / self.sign_count - self.target)
        self.p = min(1.0, max(0.0, self.p + direction * batch * self.interval / (self.kimg * 1000)))
        self.sign_sum, self.sign_count = 0.0, 0
