"""An encoder's training by several processes: as by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.inversion.encoder import load_encoder
from gannotate.inversion.encoder_training import EncoderTrainer, EncoderTraining, train_encoder
from gannotate.inversion.latents import latent_statistics
from gannotate.inversion.losses import OfflineLoss
from gannotate.training.loop import LoopConfig, train

Together = Callable[[Callable[[], Any], int], list[Any]]
STEPS = 20
CONFIG = EncoderTraining(steps=STEPS, batch=8, width=8, tap_weight=0.1)


@pytest.fixture
def real() -> np.ndarray:
    """Grey pictures of 16 px."""
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 1), dtype=np.uint8)


def learn(trainer: EncoderTrainer, folder: Path) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """The metrics of all steps, and the averaged weights."""
    # Adam would make whole steps of gradients that are nothing but rounding
    trainer.optimizer = torch.optim.SGD(trainer.encoder.parameters())
    metrics = [step.metrics for step in train(trainer, folder, LoopConfig(steps=STEPS))]
    return metrics, trainer.average.state_dict()


@pytest.mark.parametrize("with_real", [False, True])
@pytest.mark.parametrize("count", [2, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_learn_what_one_does(
    tmp_path: Path, tiny: StyleGAN2, real: np.ndarray, together: Together, count: int, with_real: bool
) -> None:
    statistics = latent_statistics(tiny)

    def trainer() -> EncoderTrainer:
        return EncoderTrainer(tiny, CONFIG, OfflineLoss(), statistics, real if with_real else None)

    expected = learn(trainer(), tmp_path / "one")
    assert set(expected[0][0]) == {"loss", "w", "picture", "taps"} | ({"real", "typicality"} if with_real else set())
    found = together(lambda: learn(trainer(), tmp_path / "many"), count)
    for answer in found:
        for index, (now, then) in enumerate(zip(answer[0], expected[0], strict=True)):
            assert now == pytest.approx(then, rel=1e-4 if index < 5 else 1e-2), index
        assert answer[0] == found[0][0]
        assert all(torch.equal(answer[1][name], tensor) for name, tensor in found[0][1].items())
        for name, tensor in expected[1].items():
            torch.testing.assert_close(answer[1][name], tensor, rtol=1e-2, atol=1e-4)


def test_the_first_process_alone_leaves_the_encoder(tmp_path: Path, tiny: StyleGAN2, together: Together) -> None:
    config = EncoderTraining(steps=2, batch=2, width=8)
    together(lambda: len(list(train_encoder(tiny, tmp_path, config))), 2)
    assert load_encoder(tmp_path).config.size == 16
    assert not (tmp_path / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("with_real", [False, True])
def test_more_processes_than_pictures_are_refused(
    tiny: StyleGAN2, real: np.ndarray, together: Together, with_real: bool
) -> None:
    kind, batch = ("real", 4) if with_real else ("drawn", 2)  # of four drawn ones, half as many real ones

    def work() -> str:
        config = EncoderTraining(steps=1, batch=batch, width=8)
        with pytest.raises(UsageError) as caught:
            EncoderTrainer(tiny, config, OfflineLoss(), latent_statistics(tiny), real if with_real else None)
        return str(caught.value)

    expected = f"a step of the encoder learns from 2 {kind} picture(s), which 3 processes cannot share; start 2 at most"
    assert together(work, 3) == [expected] * 3
