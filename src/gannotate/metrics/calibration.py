"""How far class probabilities can be believed: expected calibration error, reliability bins, temperature.

All take pixels in a row: probabilities or logits (p, k) and label ids (p,), 255 = left out. `weights` (p,) are how
many pixels each one stands for, where some classes were sampled more densely than others; alike when not given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.labels import IGNORE

BINS = 15
"""Bins of confidence, as in Guo et al. 2017."""

LOWEST_T, HIGHEST_T = 0.05, 20.0


@dataclass(frozen=True)
class Reliability:
    """Pixels by their confidence (the largest probability), in bins of equal width from 0 to 1.

    count (bins,): pixels. confidence, accuracy (bins,): means over the bin's pixels, nan for an empty bin.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def ece(self) -> float:
        """Expected calibration error (Guo et al. 2017, equation 5): mean |accuracy - confidence| over the pixels."""
        gap = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float((gap * self.count).sum() / self.count.sum())

    def as_dict(self) -> dict[str, object]:
        """Ready for json; None for an empty bin."""
        rows = {"confidence": self.confidence, "accuracy": self.accuracy}
        plain = {name: [None if np.isnan(x) else round(float(x), 5) for x in row] for name, row in rows.items()}
        return {"ece": round(self.ece, 5), "count": self.count.astype(int).tolist(), **plain}


class ReliabilityCounter:
    """Adds up pixels picture by picture, so that no set of probabilities has to be in memory at once."""

    def __init__(self, bins: int = BINS) -> None:
        self.bins = bins
        self._sums = np.zeros((3, bins))

    def add(self, probabilities: np.ndarray, label_map: np.ndarray) -> None:
        """Counts one picture: class probabilities (k, h, w) and its label map (h, w), 255 left out."""
        known = label_map != IGNORE
        confidence = probabilities.max(axis=0)[known].astype(np.float64)
        right = probabilities.argmax(axis=0)[known] == label_map[known]
        place = np.clip((confidence * self.bins).astype(int), 0, self.bins - 1)
        for row, weights in enumerate((None, confidence, right)):
            self._sums[row] += np.bincount(place, weights=weights, minlength=self.bins)

    def result(self) -> Reliability:
        """What was counted.

        Raises:
            UsageError: nothing was.
        """
        count = self._sums[0]
        if not count.sum():
            raise UsageError("no labelled pixels were given; a calibration needs some")
        with np.errstate(invalid="ignore"):
            return Reliability(count, self._sums[1] / count, self._sums[2] / count)


def negative_log_likelihood(
    logits: Float[Tensor, "p k"],
    labels: Int[Tensor, " p"],
    temperature: float = 1.0,
    weights: Float[Tensor, " p"] | None = None,
) -> float:
    """Mean -log softmax(logits / temperature)[label] over the labelled pixels, or over what these stand for."""
    logits, labels = logits.float() / temperature, labels.long()
    if weights is None:
        return float(F.cross_entropy(logits, labels, ignore_index=IGNORE))
    each = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none")
    return float((weights * each).sum() / weights[labels != IGNORE].sum())


def fit_temperature(
    logits: Float[Tensor, "p k"], labels: Int[Tensor, " p"], weights: Float[Tensor, " p"] | None = None
) -> float:
    """The temperature T > 0 that makes softmax(logits / T) most likely on these labels (Guo et al. 2017, section 4.2).

    The likelihood has one peak in 1 / T (it is concave), so a golden-section search in log T finds it to 0.1 %. It is
    kept within 0.05 to 20: labels that are all right, or random, would drive it to 0 or infinity.

    Raises:
        UsageError: nothing is labelled, or all that is stands for no pixel.
    """
    known = labels != IGNORE if weights is None else (labels != IGNORE) & (weights > 0)
    if not bool(known.any()):
        raise UsageError("no labelled pixels were given; a temperature needs some")
    logits, labels, weights = logits[known], labels[known], None if weights is None else weights[known]
    low, high, golden = np.log(LOWEST_T), np.log(HIGHEST_T), (np.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = _nll(logits, labels, left, weights), _nll(logits, labels, right, weights)
    while high - low > 1e-3:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = _nll(logits, labels, left, weights)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = _nll(logits, labels, right, weights)
    return float(np.exp((low + high) / 2))


@torch.no_grad()
def _nll(logits: Tensor, labels: Tensor, log_t: float, weights: Tensor | None) -> float:
    return negative_log_likelihood(logits, labels, float(np.exp(log_t)), weights)
