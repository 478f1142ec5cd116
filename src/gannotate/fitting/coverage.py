"""Which pictures to learn from when only a few may be labelled: those that cover the others best.

Pictures are compared by what the generator itself says of them (pooled taps), so no label is looked at, and a person
can ask for the pictures before labelling any.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float

from gannotate.generators.base import DrawOptions, Generator, draw

COARSEST_PX, FINEST_PX = 8, 32
"""Taps of these sides are compared: they say which parts are where, and little of colour and noise."""

POOLED_SIDE = 4


def embed(generator: Generator, seeds: Sequence[int], options: DrawOptions) -> Float[np.ndarray, "n d"]:
    """One row a picture: its middle taps pooled to 4x4, every value standardised over the pictures."""
    names = [tap.name for tap in generator.taps if COARSEST_PX <= tap.height <= FINEST_PX]
    rows = []
    for _, drawing in draw(generator, seeds, options, names):
        pooled = [F.adaptive_avg_pool2d(drawing.taps[name][0].float(), POOLED_SIDE).flatten() for name in names]
        rows.append(np.concatenate([part.cpu().numpy() for part in pooled]))
    features = np.stack(rows)
    return (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)


def cover(features: Float[np.ndarray, "n d"], count: int) -> list[int]:
    """Rows chosen one by one, each the one that lowers the mean distance of all rows to their nearest chosen row most.

    The first is the most central picture (the medoid); a longer answer begins with the shorter ones. Greedy choice is
    within 1 - 1/e of the best for this measure (facility location; Nemhauser et al. 1978).
    """
    squares = (features**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * features @ features.T, 0))
    nearest = np.full(len(features), distances.max())
    chosen: list[int] = []
    for _ in range(count):
        cost = np.minimum(nearest[:, None], distances).mean(axis=0)
        cost[chosen] = np.inf
        best = int(cost.argmin())
        chosen.append(best)
        nearest = np.minimum(nearest, distances[:, best])
    return chosen
