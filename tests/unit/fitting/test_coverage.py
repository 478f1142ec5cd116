"""Picking pictures that cover the others."""

import numpy as np
import torch

from gannotate.fitting.coverage import cover, embed
from gannotate.generators.base import DrawOptions
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config


def test_one_is_the_medoid_and_more_are_one_a_cluster():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0], [10, 0], [0, 10]])
    sizes = (12, 6, 5)
    points = np.concatenate([c + 0.1 * rng.normal(size=(n, 2)) for c, n in zip(centres, sizes, strict=True)])
    group = np.repeat(np.arange(3), sizes)
    assert group[cover(points, 1)[0]] == 0
    assert set(group[cover(points, 3)]) == {0, 1, 2}


def test_choices_are_nested_distinct_and_no_worse_than_random():
    points = np.random.default_rng(1).normal(size=(40, 5))
    longest = cover(points, 40)
    assert sorted(longest) == list(range(40))
    assert cover(points, 7) == longest[:7]

    def cost(chosen):
        return np.linalg.norm(points[:, None] - points[None, chosen], axis=2).min(axis=1).mean()

    draws = [cost(np.random.default_rng(seed).permutation(40)[:7]) for seed in range(50)]
    assert cost(longest[:7]) <= min(draws)


def test_embedding_is_a_standardised_row_a_picture():
    torch.manual_seed(0)
    generator = StyleGAN2(
        StyleGAN2Config(size=16, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16)
    )
    rows = embed(generator, range(6), DrawOptions())
    assert rows.shape == (6, 4 * 4 * (16 + 16 + 8 + 8))
    assert np.allclose(rows.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(embed(generator, [2, 1], DrawOptions()).shape, (2, rows.shape[1]))
