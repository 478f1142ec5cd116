"""Losses of whatever learns labels: decoders and segmenters."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gannotate.labels import IGNORE
from gannotate.training import distributed
from gannotate.training.shares import Share


def masked_cross_entropy(
    logits: Float[Tensor, "n k ..."],
    label_maps: Int[Tensor, "n ..."],
    soft: Float[Tensor, "n k ..."] | None = None,
    smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Mean cross-entropy over the labels that are not IGNORE; 0 when there are none.

    Against the class ids, or where given against the probabilities `soft`: -sum_k soft_k log softmax(logits)_k.
    `smoothing` is the part of a target that is spread evenly over all classes.
    """
    return masked_cross_entropy_and_count(logits, label_maps, soft, smoothing)[0]


def masked_cross_entropy_and_count(
    logits: Float[Tensor, "n k ..."],
    label_maps: Int[Tensor, "n ..."],
    soft: Float[Tensor, "n k ..."] | None = None,
    smoothing: float = 0.0,
) -> tuple[Float[Tensor, ""], Int[Tensor, ""]]:
    """`masked_cross_entropy`, and the number of labels that it is the mean over."""
    total, count = _sum_and_count(logits, label_maps, soft, smoothing)
    return total / count.clamp(min=1), count


def shared_cross_entropy(
    logits: Float[Tensor, "n k ..."],
    label_maps: Int[Tensor, "n ..."],
    soft: Float[Tensor, "n k ..."] | None = None,
    share: Share | None = None,
) -> Float[Tensor, ""]:
    """What this process's pictures add to `masked_cross_entropy` of all processes' together.

    Of a batch that is gone through in passes `share` is this one, whose mean counts by its pictures.
    """
    total, count = _sum_and_count(logits, label_maps, soft, 0.0)
    return total / distributed.total(count).clamp(min=1) * _fraction(share)


def shared_mean(values: Float[Tensor, ...], where: Bool[Tensor, ...], share: Share | None = None) -> Float[Tensor, ""]:
    """What this process adds to the mean of all processes' `values` over the places `where`; 0 when there are none.

    `share` is as in `shared_cross_entropy`.
    """
    return (values * where).sum() / distributed.total(where.sum()).clamp(min=1) * _fraction(share)


def _fraction(share: Share | None) -> float:
    return 1.0 if share is None else share.fraction


def _sum_and_count(
    logits: Float[Tensor, "n k ..."],
    label_maps: Int[Tensor, "n ..."],
    soft: Float[Tensor, "n k ..."] | None,
    smoothing: float,
) -> tuple[Float[Tensor, ""], Int[Tensor, ""]]:
    known = label_maps != IGNORE
    if soft is None:
        total = F.cross_entropy(logits, label_maps, ignore_index=IGNORE, reduction="sum", label_smoothing=smoothing)
    else:
        total = (F.cross_entropy(logits, soft, reduction="none", label_smoothing=smoothing) * known).sum()
    return total, known.sum()
