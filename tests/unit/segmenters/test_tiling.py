"""Tiles cover everything, and their answers together are the picture's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gannotate.data.labelled import LabelledSet
from gannotate.errors import UsageError
from gannotate.segmenters.build import SegmenterConfig, build_network
from gannotate.segmenters.predict import Segmenter
from gannotate.segmenters.tiling import View, fade, tile_starts, tiled

Squares = Callable[..., LabelledSet]


@given(length=st.integers(1, 400), tile=st.integers(8, 100), overlap=st.floats(0, 0.9))
def test_tiles_cover_a_side_and_share_enough(length: int, tile: int, overlap: float) -> None:
    starts = tile_starts(length, tile, overlap)
    assert starts[0] == 0
    assert starts[-1] == max(0, length - tile)
    for before, after in itertools.pairwise(starts):
        assert 0 < after - before <= max(1, tile * (1 - overlap)) + 1  # rounded to whole pixels
        assert after <= before + tile


@given(
    height=st.integers(5, 70), width=st.integers(5, 70), tile=st.integers(8, 40), overlap=st.sampled_from([0.0, 0.3])
)
def test_answers_that_agree_come_out_unchanged(height: int, width: int, tile: int, overlap: float) -> None:
    """A network that answers each pixel by its own grey value sees no seams."""
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 1)).astype(np.uint8)

    def answers(tiles: list[np.ndarray]) -> Iterator[np.ndarray]:
        for one in tiles:
            assert one.shape == (tile, tile, 1)
            grey = one[..., 0].astype(np.float32) / 255
            yield np.stack([grey, 1 - grey])

    found = tiled(picture, View(tile_px=tile, overlap=overlap), answers)
    grey = picture[..., 0].astype(np.float32) / 255
    np.testing.assert_allclose(found, np.stack([grey, 1 - grey]), atol=1e-5)


def test_the_middle_of_a_tile_counts_most() -> None:
    weights = fade(9)
    assert weights[4, 4] == 1
    assert 0 < weights[0, 0] < weights[0, 4] < weights[4, 4]
    np.testing.assert_allclose(weights, weights.T)


def test_a_tiled_picture_is_seen_at_its_own_size(tiny: SegmenterConfig, squares: Squares) -> None:
    """Tiles of the network's size: what the network says of that part, where only one tile lies."""
    torch.manual_seed(0)
    segmenter = Segmenter(build_network(tiny), tiny)
    left, right = squares(2).pictures
    picture = np.concatenate([left, right], axis=1)
    view = View(tile_px=tiny.size, overlap=0.0)
    (whole,) = segmenter.predict([picture], True, view)[1]
    alone = segmenter.predict(np.stack([left, right]), True)[1]
    np.testing.assert_allclose(whole, np.concatenate(list(alone), axis=2), atol=1e-5)


def test_a_picture_of_one_tile_is_shown_whole(tiny: SegmenterConfig, squares: Squares) -> None:
    torch.manual_seed(0)
    segmenter = Segmenter(build_network(tiny), tiny)
    pictures = squares(2).pictures[:, :12]
    tiles = segmenter.predict(pictures, True, View(tile_px=tiny.size))[1]
    np.testing.assert_allclose(tiles, segmenter.predict(pictures, True)[1], atol=1e-5)


class SaysItsSize(nn.Module):
    """Its logit is the logarithm of the side that it sees: probabilities tell at which scales it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        side = torch.full_like(x, x.shape[-1]).log()
        return torch.cat([side, torch.zeros_like(x)], 1)  # probability side / (side + 1)


def test_several_scales_are_averaged() -> None:
    config = SegmenterConfig(classes=2, image_channels=1, size=16, depth=3)
    segmenter, pictures = Segmenter(SaysItsSize(), config), np.zeros((1, 20, 30, 1), np.uint8)
    for scales, sides in (((1.0,), [16]), ((0.5, 1.0, 2.0), [8, 16, 32]), ((0.1, 1.3), [8, 24])):
        probabilities = segmenter.predict(pictures, True, View(scales=scales))[1]
        expected = np.mean([side / (side + 1) for side in sides])
        np.testing.assert_allclose(probabilities[0, 0], expected, rtol=1e-5)
    tiles = segmenter.predict(pictures, True, View(tile_px=10, scales=(0.5, 2.0)))[1]
    np.testing.assert_allclose(tiles[0, 0], np.mean([8 / 9, 32 / 33]), rtol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"tile_px": 4}, "tiles of 4 px were asked for; give at least 8"),
        ({"overlap": 1.0}, "the overlap is 1.0; give a part"),
        ({"scales": ()}, "give one or more from 0.1 to 10"),
        ({"scales": (1.0, 0.0)}, "give one or more from 0.1 to 10"),
    ],
)
def test_views_that_cannot_be_are_refused(wrong: dict, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        View(**wrong)
