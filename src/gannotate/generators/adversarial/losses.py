"""The losses of StyleGAN2's training as functions of tensors (Karras et al. 2020, sections 3 and 4)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def discriminator_loss(real_logits: Float[Tensor, " n"], fake_logits: Float[Tensor, " m"]) -> Float[Tensor, ""]:
    """Logistic loss (Goodfellow et al. 2014): softplus(-D(x)) + softplus(D(G(z)))."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def generator_loss(fake_logits: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Non-saturating loss: softplus(-D(G(z)))."""
    return F.softplus(-fake_logits).mean()


def r1_penalty(pictures: Float[Tensor, "n c h w"], logits: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Mean squared gradient norm of the logits at real pictures (Mescheder et al. 2018); multiply by gamma / 2."""
    (gradient,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def path_lengths(
    pictures: Float[Tensor, "n c h w"], w: Float[Tensor, "n styles d"], direction: Float[Tensor, "n c h w"]
) -> Float[Tensor, " n"]:
    """|J_w^T y| for a random picture y ~ N(0, 1) (StyleGAN2, equation 4), y scaled by 1 / sqrt(h w)."""
    scale = 1 / math.sqrt(pictures.shape[2] * pictures.shape[3])
    (gradient,) = torch.autograd.grad((pictures * direction).sum() * scale, w, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()
