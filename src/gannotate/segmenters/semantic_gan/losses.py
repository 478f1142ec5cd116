"""The encoder's losses: labels by cross-entropy and Dice, pictures by pixels and a perceptual distance."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.inversion.losses import PictureLoss, distances
from gannotate.labels import IGNORE
from gannotate.segmenters.semantic_gan.generator import TEMPERATURE
from gannotate.training import distributed
from gannotate.training.losses import shared_cross_entropy
from gannotate.training.shares import Share

DICE_TEMPERATURE = 0.3
"""Codes are divided by this before the sigmoid of the Dice loss (the authors' code)."""


def label_loss(
    codes: Float[Tensor, "n k h w"], label_maps: Int[Tensor, "n h w"], share: Share | None = None
) -> Float[Tensor, ""]:
    """Cross-entropy of the codes as logits plus Dice loss, over the pixels that are labelled.

    Of several processes each gives what its pictures add to it; `share` is as in `shared_cross_entropy`.
    """
    dice = distributed.once(dice_loss(codes, label_maps)) * (1.0 if share is None else share.fraction)
    return shared_cross_entropy(codes / TEMPERATURE, label_maps, share=share) + dice


def dice_loss(codes: Float[Tensor, "n k h w"], label_maps: Int[Tensor, "n h w"]) -> Float[Tensor, ""]:
    """1 - mean over the classes but the background of 2 sum(p t) / (sum(p^2) + sum(t^2)) (Milletari et al. 2016).

    p is a class's sigmoid, t its one-hot label; sums run over all labelled pixels of the batch, of all processes.
    """
    classes = codes.shape[1]
    known = (label_maps != IGNORE).unsqueeze(1)
    p = torch.sigmoid(codes / DICE_TEMPERATURE) * known
    t = F.one_hot(label_maps.clamp(max=classes - 1), classes).permute(0, 3, 1, 2) * known
    over = (0, 2, 3)
    common, all_of = distributed.totals([(p * t).sum(over), p.square().sum(over) + t.sum(over)])
    return 1 - (2 * common / all_of.clamp_min(1e-6))[1:].mean()


def picture_losses(
    drawn: Float[Tensor, "n c h w"],
    given: Float[Tensor, "n c h w"],
    loss: PictureLoss,
    pixel_weight: float,
    perceptual_weight: float,
) -> Float[Tensor, " n"]:
    """How far each drawn picture is from the one given: mean squared error and perceptual distance, weighted."""
    with torch.no_grad():
        target = loss.features(given)
    pixels = (drawn - given).square().mean(dim=(1, 2, 3))
    return pixel_weight * pixels + perceptual_weight * distances(loss.features(drawn), target)
