"""Pixels drawn as often as they weigh, of more than torch.multinomial takes too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gannotate.decoders.ensemble import EnsembleConfig
from gannotate.decoders.mlp import MLPConfig
from gannotate.fitting.config import FitConfig
from gannotate.fitting.lessons import MOST_CHANCES, Chances
from gannotate.fitting.shot import Shot
from gannotate.fitting.supervised import FitTrainer
from gannotate.generators.base import DrawOptions
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.training.loop import LoopConfig, train

Together = Callable[[Callable[[], Any], int], list[Any]]
Shots = Callable[[int], list[Shot]]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than four chances are too many for torch.multinomial."""
    monkeypatch.setattr("gannotate.fitting.lessons.MOST_CHANCES", 4)


def drawn(weights: torch.Tensor, count: int, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return Chances(weights).draw(count)


def test_more_pixels_than_multinomial_takes() -> None:
    weights = torch.zeros(MOST_CHANCES + 3)
    with pytest.raises(RuntimeError, match="number of categories"):
        torch.multinomial(weights.index_fill(0, torch.tensor(7), 1), 3, replacement=True)
    weights[MOST_CHANCES + 1] = 1e-7
    assert drawn(weights, 5).tolist() == [MOST_CHANCES + 1] * 5


def test_up_to_there_the_draws_are_multinomials() -> None:
    weights = torch.rand(1000)
    torch.manual_seed(3)
    assert torch.equal(torch.multinomial(weights, 500, replacement=True), drawn(weights, 500, seed=3))


@pytest.mark.usefixtures("few")
def test_each_is_drawn_as_often_as_its_weight_says() -> None:
    weights, count = torch.rand(40, generator=torch.Generator().manual_seed(1)), 100_000
    weights[[0, 7, 8, 39]] = 0  # at both ends and in the middle
    chances = weights / weights.sum()
    found = torch.bincount(drawn(weights, count), minlength=40) / count
    assert torch.all((found - chances).abs() <= 5 * (chances * (1 - chances) / count).sqrt())
    assert found[weights == 0].sum() == 0


@pytest.mark.usefixtures("few")
def test_draws_follow_the_seed() -> None:
    weights = torch.rand(40)
    assert torch.equal(drawn(weights, 50, seed=2), drawn(weights, 50, seed=2))
    assert not torch.equal(drawn(weights, 50, seed=2), drawn(weights, 50, seed=3))


@given(st.lists(st.sampled_from([0.0, 1e-30, 1e-8, 0.3, 1.0, 1e8]), min_size=5, max_size=30).filter(any))
def test_what_weighs_nothing_is_never_drawn(weights: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gannotate.fitting.lessons.MOST_CHANCES", 4)
        picked = drawn(torch.tensor(weights), 50)
    assert all(weights[index] > 0 for index in picked.tolist())


CONFIGS = {
    "an mlp": FitConfig(decoder=MLPConfig(paper="datasetgan"), pixels=33, steps=4),
    "an ensemble": FitConfig(decoder=EnsembleConfig(members=2), pixels=33, steps=4),
}


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("config", CONFIGS.values(), ids=list(CONFIGS))
def test_processes_and_resumed_fits_draw_the_same_pixels(
    tmp_path: Path, tiny: StyleGAN2, positive: Shots, together: Together, config: FitConfig
) -> None:
    def losses(folder: str, steps: int = 4) -> list[float]:
        trainer = FitTrainer(tiny, positive(3), 2, config, DrawOptions())
        return [step.metrics["loss"] for step in train(trainer, tmp_path / folder, LoopConfig(steps=steps))]

    whole = losses("whole")
    assert losses("parts", 2) + losses("parts") == whole
    for found in together(lambda: losses("many"), 2):
        assert found == pytest.approx(whole, rel=1e-3)
