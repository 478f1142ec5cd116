"""Which seeds to add to a pool."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gannotate.annotate.choosing import choose_seeds
from gannotate.annotate.order import distances
from gannotate.annotate.store import Store
from gannotate.errors import UsageError
from gannotate.fitting.coverage import embed
from gannotate.generators.base import DrawOptions
from gannotate.generators.stylegan2 import StyleGAN2

CANDIDATES = range(4, 40)  # 4 and 5 are in the pool already


def reach(tiny: StyleGAN2, chosen: list[int]) -> float:
    """Mean distance of pool and candidates to the nearest picture of the pool or of `chosen`."""
    seeds = list(range(40))
    apart = distances(embed(tiny, seeds, DrawOptions()))
    return float(apart[:, [*range(6), *chosen]].min(axis=1).mean())


def test_diverse_covers_better_than_the_first_seeds(store: Store, tiny: StyleGAN2):
    chosen = choose_seeds(store.project, tiny, CANDIDATES, 5, "diverse")
    assert len(set(chosen)) == 5
    assert chosen == sorted(chosen)
    assert set(chosen) <= set(range(6, 40))
    assert reach(tiny, chosen) < reach(tiny, [6, 7, 8, 9, 10])


def test_random_takes_the_first_and_looks_at_nothing(store: Store, tiny: StyleGAN2):
    assert choose_seeds(store.project, tiny, CANDIDATES, 3, "random") == [4, 5, 6]


def test_uncertain_needs_labels_and_then_chooses_new_pictures(
    store: Store, tiny: StyleGAN2, truth: Callable[[int], np.ndarray]
):
    with pytest.raises(UsageError, match="or use --order diverse"):
        choose_seeds(store.project, tiny, CANDIDATES, 3, "uncertain")
    store.save(0, truth(0), 0)
    chosen = choose_seeds(store.project, tiny, CANDIDATES, 3, "uncertain")
    assert len(set(chosen)) == 3
    assert set(chosen) <= set(range(6, 40))
    assert choose_seeds(store.project, tiny, CANDIDATES, 3, "uncertain") == chosen
