"""How unsure class probabilities are: of one pixel, of an ensemble's members against each other, of a whole picture."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

TOP = 0.1
"""Part of a picture's pixels that speak for it: the most uncertain ones (DatasetGAN, section 3.3)."""


def entropy(probabilities: Float[Tensor, "... k h w"]) -> Float[Tensor, "... h w"]:
    """-sum_k p log p of every pixel, in nats: 0 (certain) to log k."""
    return -(probabilities * probabilities.clamp(min=1e-12).log()).sum(dim=-3)


def jensen_shannon(members: Float[Tensor, "n m k h w"]) -> Float[Tensor, "n h w"]:
    """Disagreement of m members: H(mean p) - mean H(p), in nats, 0 when all say the same (DatasetGAN, equation 2).

    Unlike the entropy it is small where every member is equally unsure.
    """
    return (entropy(members.mean(dim=1)) - entropy(members).mean(dim=1)).clamp(min=0)


def of_pictures(pixels: Float[Tensor, "n h w"], top: float = TOP) -> Float[Tensor, " n"]:
    """One number a picture: the mean over the `top` part of its pixels that are the most uncertain."""
    flat = pixels.flatten(1)
    count = max(1, round(top * flat.shape[1]))
    return flat.topk(count, dim=1).values.mean(dim=1)


def entropy_levels(probabilities: Float[np.ndarray, "k h w"]) -> UInt8[np.ndarray, "h w"]:
    """Entropy of every pixel as a grey level: 0 is certain, 255 is log k nats, where all classes are alike."""
    p = probabilities.astype(np.float32)
    nats = -(p * np.log(np.maximum(p, 1e-12))).sum(axis=0)
    return np.clip(255 * nats / np.log(len(p)), 0, 255).round().astype(np.uint8)


def level_of_picture(levels: UInt8[np.ndarray, "h w"], top: float = TOP) -> float:
    """One number a picture, 0 to 1: the mean over the `top` part of its pixels that are the most uncertain."""
    flat = np.sort(levels.ravel())
    return float(flat[-max(1, round(top * flat.size)) :].mean() / 255)
