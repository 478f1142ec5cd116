"""Steadied labels: less flicker where nothing moves, no trail where something does, nothing left after a cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from gannotate.data.composed import Cutout, Portraits
from gannotate.errors import UsageError
from gannotate.metrics.confusion import confusion, scores
from gannotate.segmenters.predict import Predictor
from gannotate.segmenters.steady import Steady, SteadyConfig, label_frames, match

CLASSES, SIZE, FRAMES = 11, 64, 16


class Unsure(Predictor):
    """Knows the truth of each frame of a clip, and doubts it differently each time: noise on the logits."""

    def __init__(self, truths: Sequence[np.ndarray], noise: float, classes: int = CLASSES) -> None:
        rng = np.random.default_rng(0)
        self.logits = [
            3 * np.eye(classes)[truth].transpose(2, 0, 1) + noise * rng.standard_normal((classes, *truth.shape))
            for truth in truths
        ]

    def answers(self, batch: np.ndarray | Sequence[np.ndarray], scale: float) -> Iterator[np.ndarray]:
        for _ in range(len(batch)):
            power = np.exp(self.logits.pop(0))
            yield (power / power.sum(0)).astype(np.float32)


def moving_portrait() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A portrait moves a pixel a frame over a still background, seen with a camera's noise; with exact labels."""
    things, rng = Portraits(), np.random.default_rng(1)
    portrait: Cutout = things.cutout(rng, 40)
    background = things.background(rng, SIZE)
    solid, frames, truths = portrait.label_map != 0, [], []
    for index in range(FRAMES):
        frame, truth = background.copy(), np.zeros((SIZE, SIZE), np.uint8)
        place = (slice(12, 52), slice(2 + index, 42 + index))
        frame[place][solid], truth[place][solid] = portrait.picture[solid], portrait.label_map[solid]
        noisy = frame + 3 * rng.standard_normal(frame.shape)
        frames.append(noisy.clip(0, 255).astype(np.uint8))
        truths.append(truth)
    return frames, truths


def flicker(label_maps: np.ndarray, truths: np.ndarray) -> float:
    """Part of the pixels that change their label from one frame to the next although the truth does not."""
    same = truths[1:] == truths[:-1]
    return float((label_maps[1:] != label_maps[:-1])[same].mean())


def labelled(config: SteadyConfig) -> tuple[float, float]:
    """Flicker and mIoU on the moving portrait."""
    frames, truths = moving_portrait()
    predictor = Unsure(truths, noise=1.5)
    found = np.stack([label_map for _, label_map in label_frames(predictor, frames, config=config)])
    exact = np.stack(truths)
    return flicker(found, exact), scores(confusion(exact, found, CLASSES)).miou


def test_a_moving_portrait_flickers_less_and_is_labelled_no_worse() -> None:
    flicker_before, miou_before = labelled(SteadyConfig(memory=0.0))
    flicker_after, miou_after = labelled(SteadyConfig())
    assert flicker_after < 0.5 * flicker_before
    assert miou_after >= miou_before


def test_without_memory_nothing_changes() -> None:
    steady, rng = Steady(SteadyConfig(memory=0.0)), np.random.default_rng(0)
    frame = np.zeros((8, 8, 3), np.uint8)
    for _ in range(3):
        answer = rng.random((2, 8, 8)).astype(np.float32)
        assert np.array_equal(steady(frame, answer), answer)


def test_a_still_picture_is_averaged_exponentially() -> None:
    steady, frame = Steady(SteadyConfig(memory=0.5)), np.full((8, 8, 1), 9, np.uint8)
    first, second = np.zeros((2, 8, 8), np.float32), np.ones((2, 8, 8), np.float32)
    steady(frame, first)
    assert np.allclose(steady(frame, second), 0.5)
    assert np.allclose(steady(frame, second), 0.75)


def test_what_moved_forgets_and_what_did_not_remembers() -> None:
    steady, frame = Steady(SteadyConfig(memory=0.8)), np.zeros((32, 32, 3), np.uint8)
    steady(frame, np.zeros((2, 32, 32), np.float32))
    changed = frame.copy()
    changed[:12, :12] = 200
    answer = steady(changed, np.ones((2, 32, 32), np.float32))
    assert np.allclose(answer[:, :10, :10], 1)
    assert np.allclose(answer[:, 16:, 16:], 0.2)


def test_after_a_cut_nothing_is_left() -> None:
    steady = Steady()
    steady(np.zeros((16, 16, 3), np.uint8), np.zeros((2, 16, 16), np.float32))
    other = np.full((16, 16, 3), 200, np.uint8)
    other[:3, :3] = 0  # as before by chance
    answer = np.ones((2, 16, 16), np.float32)
    assert np.array_equal(steady(other, answer), answer)


def test_slow_changes_are_noticed() -> None:
    """A part that fades by one grey level a frame changes little from frame to frame, but much against the past."""
    steady, trail = Steady(SteadyConfig(memory=0.9)), np.zeros((1, 16, 16))
    for level in range(60):
        frame = np.zeros((16, 16, 1), np.uint8)
        frame[:6] = level
        trail = steady(frame, np.full((1, 16, 16), level, np.float32))
    assert 59 - trail[0, :3].mean() < 4.5
    assert 59 - trail[0, -3:].mean() > 8  # nothing changes there: 0.9 / (1 - 0.9) = 9 frames behind


def test_the_past_moves_along() -> None:
    """A textured picture that moves by (1, 2) px a frame keeps each point's own past."""
    rng = np.random.default_rng(0)
    large = rng.integers(0, 256, (40, 40, 1)).astype(np.uint8)
    values = rng.random((1, 40, 40)).astype(np.float32)
    steady = Steady(SteadyConfig(memory=0.8))
    steady(large[4:24, 4:24], values[:, 4:24, 4:24])
    answer = steady(large[5:25, 6:26], np.zeros((1, 20, 20), np.float32))
    assert np.allclose(answer[:, 3:-5, 3:-5], 0.8 * values[:, 8:20, 9:21], atol=1e-4)


@pytest.mark.parametrize("side", [16, 300])
def test_matches_stay_inside_and_find_what_is_still(side: int) -> None:
    picture = torch.rand(3, side, side + 7, generator=torch.manual_seed(0)) * 255
    rows, columns, change = match(picture, picture)
    assert torch.equal(rows, torch.arange(side)[:, None].expand(side, side + 7))
    assert torch.equal(columns, torch.arange(side + 7).expand(side, side + 7))
    assert float(change.abs().max()) < 1e-4


def test_another_size_begins_anew() -> None:
    steady = Steady()
    steady(np.zeros((8, 8, 3), np.uint8), np.zeros((2, 8, 8), np.float32))
    answer = np.ones((2, 4, 8), np.float32)
    assert np.array_equal(steady(np.zeros((4, 8, 3), np.uint8), answer), answer)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(UsageError, match=r"memory is 1.0; give 0"):
        SteadyConfig(memory=1.0)
    with pytest.raises(UsageError, match=r"motion 0 and cut 25.0"):
        SteadyConfig(motion=0)
