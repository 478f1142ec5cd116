"""Losses of whatever learns labels: decoders and segmenters."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.labels import IGNORE


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
    known = label_maps != IGNORE
    if soft is None:
        total = F.cross_entropy(logits, label_maps, ignore_index=IGNORE, reduction="sum", label_smoothing=smoothing)
    else:
        total = (F.cross_entropy(logits, soft, reduction="none", label_smoothing=smoothing) * known).sum()
    count = known.sum()
    return total / count.clamp(min=1), count
