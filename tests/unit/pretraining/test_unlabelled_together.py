"""VAE and SimCLR by several processes, and in several passes: as by one process, in one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gannotate.pretraining.contrastive import ContrastiveConfig, ContrastiveTrainer, Views, contrast
from gannotate.pretraining.folder import load_encoder
from gannotate.pretraining.unlabelled import UnlabelledTrainer, pretrain_unlabelled
from gannotate.pretraining.vae import load_vae
from gannotate.pretraining.vae_training import VAETrainer, VAETraining
from gannotate.segmenters.build import SegmenterConfig
from gannotate.training import distributed
from gannotate.training.descent import Compute
from gannotate.training.loop import LoopConfig, train
from gannotate.training.shares import passes

Together = Callable[[Callable[[], Any], int], list[Any]]
Learned = tuple[list[dict[str, float]], dict[str, Tensor]]
STEPS, BATCH, RATE = 20, 6, 0.01


@pytest.fixture
def pictures() -> np.ndarray:
    """Pictures of 16 px: a square of some colour somewhere."""
    rng, made = np.random.default_rng(0), np.full((16, 16, 16, 3), 40, np.uint8)
    for picture in made:
        row, column = rng.integers(0, 9, 2)
        picture[row : row + 7, column : column + 7] = rng.integers(60, 255, 3)
    return made


def vae(pictures: np.ndarray, compute: Compute | None = None) -> UnlabelledTrainer:
    return VAETrainer(pictures, VAETraining(steps=STEPS, batch=BATCH, learning_rate=RATE, latents=4), compute=compute)


def simclr(pictures: np.ndarray, compute: Compute | None = None) -> UnlabelledTrainer:
    network = SegmenterConfig(classes=2, image_channels=3, size=16, depth=3, decoder_width=16)
    config = ContrastiveConfig(steps=STEPS, batch=BATCH, learning_rate=RATE, projection=8, mirror=True, turn90=True)
    return ContrastiveTrainer(pictures, network, config, compute=compute)


def learn(trainer: UnlabelledTrainer, folder: Path) -> Learned:
    """The metrics of all steps, and the network's weights."""
    # Adam would make whole steps of gradients that are nothing but rounding
    trainer.optimizer = torch.optim.SGD(trainer.network.parameters())
    progress = list(train(trainer, folder, LoopConfig(steps=STEPS)))
    return [step.metrics for step in progress], trainer.network.state_dict()


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", [vae, simclr])
def test_processes_learn_what_one_does(
    tmp_path: Path,
    pictures: np.ndarray,
    together: Together,
    method: Callable[[np.ndarray], UnlabelledTrainer],
    count: int,
) -> None:
    expected = learn(method(pictures), tmp_path / "one")
    found = together(lambda: learn(method(pictures), tmp_path / "many"), count)
    for answer in found:
        for index, (now, then) in enumerate(zip(answer[0], expected[0], strict=True)):
            assert now.keys() == then.keys()
            assert now["loss"] == pytest.approx(then["loss"], rel=1e-4 if index < 5 else 3e-2), index
        assert answer[0] == found[0][0]
        assert all(torch.equal(answer[1][name], tensor) for name, tensor in found[0][1].items())


@pytest.mark.parametrize("count", [1, 2])
def test_passes_compare_each_picture_with_all_others(pictures: np.ndarray, together: Together, count: int) -> None:
    def step(compute: Compute | None = None) -> tuple[dict[str, float], list[Tensor]]:
        trainer = simclr(pictures, compute)
        # with their own statistics, batch norms would see the passes
        for norm in (module for module in trainer.network.modules() if isinstance(module, torch.nn.BatchNorm2d)):
            norm.train = lambda mode=True, norm=norm: norm
            norm.training = False
        torch.manual_seed(0)
        metrics = trainer.step(0)
        return metrics, [weight.grad for weight in trainer.network.parameters() if weight.grad is not None]

    metrics, gradients = step()
    assert len(gradients) > 10
    for found, others in together(lambda: step(Compute(accumulate=3)), count):
        assert found == pytest.approx(metrics | {"passes": 3, "pass_size": 2}, rel=1e-4)
        for other, gradient in zip(others, gradients, strict=True):
            torch.testing.assert_close(other, gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("count", [2, 3])
def test_every_view_is_compared_with_those_of_all_processes(together: Together, count: int) -> None:
    torch.manual_seed(0)
    given = [F.normalize(torch.randn(5, 6), dim=1).requires_grad_() for _ in range(2)]
    loss, found = contrast([Views.of(given[0], given[1])], 0.2)
    expected = (
        float(loss.detach()),
        float(found),
        [gradient.tolist() for gradient in torch.autograd.grad(loss, given)],
    )

    def work() -> tuple[float, float, list[list[list[float]]]]:
        (share,) = passes(5)
        own = [view.detach()[share.place.slice].requires_grad_() for view in given]
        with share:
            loss, found = contrast([Views.of(own[0], own[1])], 0.2)
        gradients = torch.autograd.grad(share.part_of(loss), own)
        both = distributed.total(torch.stack([share.part_of(loss.detach()), share.part_of(found)]))
        return float(both[0]), float(both[1]), [gradient.tolist() for gradient in gradients]

    answers = together(work, count)
    for answer in answers:
        assert answer[:2] == pytest.approx(expected[:2], rel=1e-5)
    for view in range(2):
        gradient = [row for answer in answers for row in answer[2][view]]
        np.testing.assert_allclose(gradient, expected[2][view], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", [vae, simclr])
def test_the_first_process_alone_leaves_the_network(
    tmp_path: Path, pictures: np.ndarray, together: Together, method: Callable[[np.ndarray], UnlabelledTrainer]
) -> None:
    trainer = method(pictures)
    together(lambda: len(list(pretrain_unlabelled(trainer, tmp_path))), 2)
    assert "16 unlabelled pictures" in (tmp_path / "card.md").read_text()
    assert load_vae(tmp_path).config.latents == 4 if method is vae else load_encoder(tmp_path)[1].depth == 3
