"""Both phases in several processes: they learn what one process does, and the first alone leaves the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gannotate.data.augment import ALIGNED
from gannotate.data.labelled import LabelledSet
from gannotate.labels import Mirror
from gannotate.segmenters.semantic_gan.build import is_semantic_gan
from gannotate.segmenters.semantic_gan.config import SemanticGANConfig
from gannotate.segmenters.semantic_gan.losses import dice_loss
from gannotate.segmenters.semantic_gan.run import train_semantic_gan
from gannotate.training import distributed
from gannotate.training.checkpoint import load_checkpoint

Drawn = Callable[..., LabelledSet]
Settings = Callable[..., SemanticGANConfig]
Together = Callable[[Callable[[], Any], int], list[Any]]

STEPS = 20

Learned = tuple[list[dict[str, float]], dict[str, Tensor]]


def learn(folder: Path, drawn: Drawn, config: SemanticGANConfig) -> Learned:
    """The metrics of all steps of both phases, and the averaged encoder's weights."""
    labelled = drawn(5, 1000)
    labelled.label_maps[:2, :9] = 255  # no process has half of the labelled pixels
    steps = [one.metrics for one in train_semantic_gan(labelled, drawn(60).pictures, config, folder)]
    distributed.wait_for_first()  # it writes the checkpoint
    return steps, load_checkpoint(folder / "checkpoint.safetensors")["trainer"]["average"]


@pytest.fixture
def plain_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps down the gradient: Adam would make whole steps of gradients that are nothing but rounding."""
    monkeypatch.setattr(torch.optim, "Adam", lambda parameters, lr, **_: torch.optim.SGD(parameters, lr))


@pytest.mark.usefixtures("plain_steps")
@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_learn_what_one_does(
    tmp_path: Path, drawn: Drawn, settings: Settings, together: Together, count: int
) -> None:
    changed = {"batch": 9, "warp": ALIGNED, "mirror": Mirror("yes"), "learning_rate": 0.01}
    config = settings(steps=STEPS, encoder_steps=STEPS, **changed)
    expected, weights = learn(tmp_path / "one", drawn, config)
    found = together(lambda: learn(tmp_path / "many", drawn, config), count)
    for metrics, average in found:
        assert len(metrics) == len(expected) == 2 * STEPS
        for index, (now, then) in enumerate(zip(metrics, expected, strict=True)):
            for name, value in then.items():
                assert now[name] == pytest.approx(value, rel=1e-3, abs=1e-5), (index, name)
        assert metrics == found[0][0]
        for name, tensor in weights.items():
            torch.testing.assert_close(average[name], tensor, rtol=1e-3, atol=1e-5, msg=name)
    told = {name for step in expected for name in step}
    assert {"r1", "pair_r1", "path_penalty", "label_loss", "g_loss", "encoder_drawn_w", "encoder_labels"} <= told
    assert is_semantic_gan(tmp_path / "many")


def test_the_dice_loss_is_of_all_processes_labels(together: Together) -> None:
    torch.manual_seed(0)
    codes, label_maps = torch.randn(3, 2, 4, 4), torch.randint(0, 2, (3, 4, 4))

    def gradient(kept: slice) -> tuple[Tensor, Tensor]:
        part = codes[kept].clone().requires_grad_(True)
        loss = dice_loss(part, label_maps[kept])
        distributed.once(loss).backward()
        assert part.grad is not None
        return loss.detach(), part.grad

    def work() -> tuple[Tensor, Tensor]:
        return gradient(slice(0, 1) if distributed.is_first() else slice(1, 3))

    expected = gradient(slice(None))
    answers = together(work, 2)
    torch.testing.assert_close(answers[1][0], expected[0])
    torch.testing.assert_close(torch.cat([answer[1] for answer in answers]), expected[1])
