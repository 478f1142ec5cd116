"""Scenes: their label maps are exact, whatever lies on whatever, and a seed is a scene."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.data.composed import (
    Cutout,
    LabelledThings,
    Portraits,
    Scene,
    SceneConfig,
    Things,
    compose,
    fill_in,
)
from gannotate.data.labelled import LabelledSet
from gannotate.data.portraits import render
from gannotate.errors import UsageError
from gannotate.labels import IGNORE

SMALL = SceneConfig(size=64, unit=32, fewest=1, most=4)


class Discs:
    """Discs of class 1 or 2 in their own grey on a dark ground, one pixel of each not labelled."""

    def cutout(self, rng: np.random.Generator, side: int) -> Cutout:
        rows, columns = np.indices((side, side)) - (side - 1) / 2
        label_map = np.where(rows**2 + columns**2 <= (side / 2) ** 2, rng.integers(1, 3), 0).astype(np.uint8)
        label_map[side // 2, side // 2] = IGNORE
        return Cutout(rng.integers(100, 256, (side, side, 1)).astype(np.uint8), label_map)

    def background(self, rng: np.random.Generator, side: int) -> np.ndarray:
        return rng.integers(0, 100, (side, side, 1)).astype(np.uint8)


def cells(count: int = 4, size: int = 32) -> LabelledSet:
    """Grey pictures with a bright square of class 1 in them."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(20, 40, (count, size, size, 1)).astype(np.uint8)
    label_maps = np.zeros((count, size, size), np.uint8)
    pictures[:, 8:20, 8:20], label_maps[:, 8:20, 8:20] = 200, 1
    return LabelledSet(tuple(map(str, range(count))), pictures, label_maps)


def painted(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the scene must show, pixel by pixel: its labels, its picture, and where that is known (not background)."""
    size = len(scene.label_map)
    label_map, picture = np.zeros((size, size), np.uint8), np.zeros_like(scene.picture)
    for thing in scene.things:
        for row, column in np.argwhere(thing.cutout.label_map != 0):
            y, x = thing.top + row, thing.left + column
            if 0 <= y < size and 0 <= x < size:
                label_map[y, x] = thing.cutout.label_map[row, column]
                picture[y, x] = thing.cutout.picture[row, column]
    return label_map, picture, label_map != 0


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000))
def test_label_maps_are_exact(seed: int) -> None:
    scene = compose(seed, Discs(), SMALL)
    label_map, picture, shown = painted(scene)
    assert np.array_equal(scene.label_map, label_map)
    assert np.array_equal(scene.picture[shown], picture[shown])
    assert (scene.picture[~shown] < 100).all()  # the ground, and nothing of a cut-out's own
    assert 1 <= len(scene.things) <= 4
    assert all(0.5 <= thing.scale <= 2 for thing in scene.things)


@pytest.mark.parametrize("things", [Portraits(), LabelledThings(cells()), Discs()])
def test_a_seed_is_a_scene(things: Things) -> None:
    first, again, other = (compose(seed, things, SMALL) for seed in (5, 5, 6))
    assert np.array_equal(first.picture, again.picture)
    assert np.array_equal(first.label_map, again.label_map)
    assert not np.array_equal(first.picture, other.picture)
    label_map, picture, shown = painted(first)
    assert np.array_equal(first.label_map, label_map)
    assert np.array_equal(first.picture[shown], picture[shown])


def test_little_is_hidden() -> None:
    for seed in range(10):
        scene = compose(seed, Discs(), SceneConfig(size=64, unit=32, fewest=4, most=4, hidden=0.2))
        for index, thing in enumerate(scene.things):
            alone = compose_of(scene, [thing])
            later = compose_of(scene, list(scene.things[index + 1 :]))
            seen = (alone != 0) & (later == 0)
            assert seen.sum() >= 0.8 * (alone != 0).sum()


def compose_of(scene: Scene, things: list) -> np.ndarray:
    return painted(Scene(scene.picture, scene.label_map, tuple(things)))[0]


def test_portraits_are_drawn_at_the_size_that_they_have() -> None:
    """Not resized: the label map is the renderer's at that size."""
    things, rng = Portraits(first_seed=7), np.random.default_rng(3)
    cutout = things.cutout(rng, 48)
    seed = 7 + int(np.random.default_rng(3).integers(1_000_000))
    assert np.array_equal(cutout.label_map, render(seed, 48).label_map)
    assert np.array_equal(cutout.picture, render(seed, 48).picture)


def test_scales_are_those_asked_for() -> None:
    config = SceneConfig(size=64, unit=32, scale_low=0.5, scale_high=0.5)
    assert {len(thing.cutout.label_map) for thing in compose(0, LabelledThings(cells()), config).things} == {16}


def test_backgrounds_of_cells_have_no_cells() -> None:
    background = LabelledThings(cells()).background(np.random.default_rng(1), 50)
    assert background.shape == (50, 50, 1)
    assert background.max() < 60  # cells are 200, what lies around them 20 to 40


def test_filling_in_continues_what_surrounds() -> None:
    picture = np.full((20, 20, 3), 50, np.uint8)
    unknown = np.zeros((20, 20), bool)
    unknown[3:15, 4:16] = True
    picture[unknown] = 255
    assert (fill_in(picture, unknown) == 50).all()
    assert np.array_equal(fill_in(picture, np.zeros((20, 20), bool)), picture)
    assert np.array_equal(fill_in(picture, np.ones((20, 20), bool)), picture)  # nothing is known: left as it is


def test_wrong_settings_are_named() -> None:
    with pytest.raises(UsageError, match=r"things of 64 px at scale 2.0 do not fit into scenes of 100 px; give .* 128"):
        SceneConfig(size=100)
    with pytest.raises(UsageError, match="scales from 2 to 1 were given"):
        SceneConfig(scale_low=2, scale_high=1)
    with pytest.raises(UsageError, match="0 to 4 things"):
        SceneConfig(fewest=0)
    empty = cells()
    with pytest.raises(UsageError, match="none of the labelled pictures shows a thing before a background"):
        LabelledThings(LabelledSet(empty.names, empty.pictures, np.zeros_like(empty.label_maps)))
