"""Which picture to label next: those that cover the pool, or those that the model is least sure of and knows least.

Galeev et al.'s annotator and all its peers offer pictures by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

Order = Literal["diverse", "uncertain", "random"]
"""diverse: those that cover the others best; uncertain: where the model is unsure and far from what is labelled;
random: one seed after the other, which is as good as by chance."""


def distances(features: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n n"]:
    """Euclidean distance of every row to every other."""
    squares = (features**2).sum(axis=1)
    return np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * features @ features.T, 0))


def diverse(apart: Float[np.ndarray, "n n"], taken: Sequence[int], count: int) -> list[int]:
    """`count` rows, each the one that lowers the mean distance of all rows to their nearest taken row most.

    Like `fitting.coverage.cover`, but going on from the rows in `taken` (pictures that are labelled already).
    """
    nearest = apart[:, list(taken)].min(axis=1) if taken else np.full(len(apart), apart.max(initial=0))
    blocked, chosen = set(taken), []
    for _ in range(min(count, len(apart) - len(blocked))):
        cost = np.minimum(nearest[:, None], apart).mean(axis=0)
        cost[sorted(blocked)] = np.inf
        best = int(cost.argmin())
        chosen.append(best)
        blocked.add(best)
        nearest = np.minimum(nearest, apart[:, best])
    return chosen


def uncertain(
    apart: Float[np.ndarray, "n n"], unsure: Float[np.ndarray, " n"], taken: Sequence[int], count: int
) -> list[int]:
    """`count` rows by how unsure the model is of them, times their distance to the nearest taken row.

    The distance keeps it from choosing near copies of one hard picture.
    """
    nearest = apart[:, list(taken)].min(axis=1) if taken else np.ones(len(apart))
    blocked, chosen = set(taken), []
    for _ in range(min(count, len(apart) - len(blocked))):
        worth = unsure * nearest
        worth[sorted(blocked)] = -np.inf
        best = int(worth.argmax())
        chosen.append(best)
        blocked.add(best)
        nearest = np.minimum(nearest, apart[:, best]) if taken or len(chosen) > 1 else apart[:, best]
    return chosen
