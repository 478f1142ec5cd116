"""A linear head without gradient steps: linear discriminant analysis (Fisher 1936; Hastie et al. 2009, section 4.3).

What a linear head needs to know of a picture are sums: pixels, feature sums and feature products of each class. Sums of
pictures add up, so one pass over the annotated pictures serves the fit, every leave-one-out fit and every subset of
taps.

    logit_k(x) = mu_k' S^-1 x - mu_k' S^-1 mu_k / 2 + prior * log(share_k)        S: pooled within-class covariance
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.labels import IGNORE

SHRINKAGE = 0.4
"""Part of the covariance of one picture that is replaced by its diagonal: the pixels of few pictures are much alike and
say little of how features vary. Found on X-rays and cells: 0.01 costs 13 points of mIoU with one picture, 4 with 5."""

PRIOR = 0.5
"""How much the classes' shares count: 1 is best for pixel accuracy, 0 forgets them; mean IoU lies between."""


@dataclass(frozen=True)
class Moments:
    """Sums over labelled pixels. pixels (k,), sums (k, c), products (c, c): sum of x x' over all classes."""

    pixels: Float[Tensor, " k"]
    sums: Float[Tensor, "k c"]
    products: Float[Tensor, "c c"]

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.pixels + other.pixels, self.sums + other.sums, self.products + other.products)

    def __sub__(self, other: Moments) -> Moments:
        return Moments(self.pixels - other.pixels, self.sums - other.sums, self.products - other.products)

    def of_channels(self, channels: Int[Tensor, " d"]) -> Moments:
        """The moments of some of the channels."""
        return Moments(self.pixels, self.sums[:, channels], self.products[channels][:, channels])


@dataclass(frozen=True)
class LinearHead:
    """logits = features @ weight' + bias; weight (k, c), bias (k,); a class that was never seen has bias -inf."""

    weight: Float[Tensor, "k c"]
    bias: Float[Tensor, " k"]

    def __call__(self, features: Float[Tensor, "p c"]) -> Float[Tensor, "p k"]:
        return features @ self.weight.t() + self.bias


def moments(
    features: Float[Tensor, "p c"],
    labels: Int[Tensor, " p"],
    classes: int,
    weights: Float[Tensor, " p"] | None = None,
) -> Moments:
    """The sums over one picture's pixels; those labelled 255 are left out.

    `weights`: how many pixels each row stands for, when the rows are a sample; 1 when not given.
    """
    known = labels != IGNORE
    features, labels = features[known].float(), labels[known].long()
    weight = torch.ones(len(labels)) if weights is None else weights[known].float()
    one_hot = torch.nn.functional.one_hot(labels, classes).to(features) * weight[:, None].to(features)
    products = (features * weight[:, None].to(features)).t() @ features
    return Moments(one_hot.sum(dim=0).double(), (one_hot.t() @ features).double(), products.double())


def total(parts: Sequence[Moments]) -> Moments:
    """The sum of several pictures' moments."""
    summed = parts[0]
    for part in parts[1:]:
        summed = summed + part
    return summed


def shrinkage_of(pictures: int) -> float:
    """Shrinkage for the moments of so many pictures: falls with the square root of their number."""
    return SHRINKAGE / math.sqrt(max(pictures, 1))


def discriminant(found: Moments, shrinkage: float = SHRINKAGE, prior: float = PRIOR) -> LinearHead:
    """The head that linear discriminant analysis reads off the moments, solved in float64.

    Raises:
        UsageError: fewer than two classes are labelled, so there is nothing to tell apart.
    """
    seen = found.pixels > 0.5  # sums of weights: a class taken away again by leaving a picture out may keep a rounding
    if int(seen.sum()) < 2:
        raise UsageError(f"{int(seen.sum())} class is labelled in these pictures; label at least 2 to tell apart")
    pixels, sums = found.pixels[seen], found.sums[seen]
    means = sums / pixels[:, None]
    count = pixels.sum()
    # in place: with 5,504 channels (config-f at 512 px) each copy takes 240 MB
    within = torch.addmm(found.products, means.t(), sums, alpha=-1).div_(count)
    channels = len(within)
    level = within.diagonal().clamp(min=0)
    # every channel keeps its own scale: taps differ in theirs by orders of magnitude
    scale = (level + 1e-4 * level.mean() + 1e-12).sqrt()
    correlation = within.div_(scale[:, None]).div_(scale).mul_(1 - shrinkage)
    correlation.diagonal().add_(shrinkage)
    scaled = torch.linalg.solve(correlation, (means / scale).t()).t()
    weight_seen = scaled / scale
    bias_seen = -(weight_seen * means).sum(dim=1) / 2 + prior * (pixels / count).log()
    classes = len(found.pixels)
    weight = torch.zeros(classes, channels)
    bias = torch.full((classes,), -np.inf)
    weight[seen], bias[seen] = weight_seen.float(), bias_seen.float()
    return LinearHead(weight, bias)
