"""Gradient matching and MAML by several processes: as by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gannotate.data.augment import Augmentation, Warp
from gannotate.decoders.build import load_decoder
from gannotate.fitting.alternation import AlternatingTrainer
from gannotate.fitting.gradient_matching import Matching, MatchingConfig
from gannotate.fitting.inversion_labels import InversionLabelsConfig
from gannotate.fitting.maml import MAMLConfig, Unrolled
from gannotate.fitting.pseudo_labels import PseudoLabelsConfig
from gannotate.fitting.real import fit_real
from gannotate.fitting.real_task import RealConfig, RealTask
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.training import distributed
from gannotate.training.loop import LoopConfig, train

from .tasks import TINY, bright_task, changed

Together = Callable[[Callable[[], Any], int], list[Any]]
Learned = tuple[list[dict[str, float]], Tensor]

STEPS = 20
HOW: dict[str, Any] = {**TINY, "batch": 4, "generated": 5, "augment": True, "balance": 0.5, "steps": STEPS}
# Adam would make whole steps of gradients that are nothing but rounding
HOW |= {"optimizer": "sgd", "learning_rate": 0.02, "segmenter_rate": 0.02}


def moving_task(tiny: StyleGAN2, pictures: int = 5) -> RealTask:
    """Labelled pictures that are moved in each step, some of whose labels are not known."""
    task = bright_task(tiny, pictures)
    task.labelled.label_maps[:2, :7] = 255
    return RealTask(
        generator=task.generator,
        labelled=task.labelled,
        classes=task.classes,
        augmentation=Augmentation(warp=Warp(), turn90=True),
    )


def matching(task: RealTask) -> AlternatingTrainer:
    config = MatchingConfig(**HOW, augment_generated=True, fresh_noise=True)
    return AlternatingTrainer(task, config, Matching(config))


def maml(task: RealTask) -> AlternatingTrainer:
    config = MAMLConfig(**HOW, inner_steps=2, inner_rate=0.01)
    return AlternatingTrainer(task, config, Unrolled(config), config.inner_steps)


def learn(trainer: AlternatingTrainer, folder: Path) -> Learned:
    """The metrics of all steps, and all weights of decoder and segmenter."""
    metrics = [step.metrics for step in train(trainer, folder, LoopConfig(steps=STEPS))]
    networks = (trainer.finish(), trainer.student.network)
    return metrics, torch.cat(
        [tensor.detach().flatten().float() for n in networks for tensor in n.state_dict().values()]
    )


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", [matching, maml])
def test_processes_learn_what_one_does(
    tmp_path: Path,
    tiny: StyleGAN2,
    together: Together,
    method: Callable[[RealTask], AlternatingTrainer],
    count: int,
) -> None:
    expected = learn(method(moving_task(tiny)), tmp_path / "one")
    found = together(lambda: learn(method(moving_task(tiny)), tmp_path / "many"), count)
    for answer in found:
        for index, (now, then) in enumerate(zip(answer[0], expected[0], strict=True)):
            assert now == pytest.approx(then, rel=2e-4 if index < 2 else 5e-2), index
        assert answer[0] == found[0][0]
        assert torch.equal(answer[1], found[0][1])


@pytest.mark.parametrize("count", [2, 3])
def test_fewer_labels_than_the_batch_takes_are_picked_alike(
    tmp_path: Path, tiny: StyleGAN2, together: Together, count: int
) -> None:
    def learned(folder: str) -> list[dict[str, float]]:
        trainer = matching(moving_task(tiny, 3))  # and batches of 4
        return [step.metrics for step in train(trainer, tmp_path / folder, LoopConfig(steps=3))]

    expected = learned("one")
    for found in together(lambda: learned("many"), count):
        for now, then in zip(found, expected, strict=True):
            assert now == pytest.approx(then, rel=2e-3)


def test_the_first_process_alone_leaves_the_decoder(tmp_path: Path, tiny: StyleGAN2, together: Together) -> None:
    config = MatchingConfig(**changed(HOW, steps=2, pretrain=2, warm_start=1))
    together(lambda: len(list(fit_real(moving_task(tiny), config, tmp_path))), 2)
    assert load_decoder(tmp_path).classes == 2
    assert (tmp_path / "teacher" / "learned.json").exists()
    assert not (tmp_path / "teacher" / "checkpoint.safetensors").exists()


LESSONS: dict[str, RealConfig] = {
    "pseudo-labels": PseudoLabelsConfig(
        segmenter="unet-classic", segmenter_width=8, pretrain=1, confidence=0.3, generated=5, fresh_noise=True
    ),
    "inversion": InversionLabelsConfig(batch=5, inversion_steps=2),
}


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("config", LESSONS.values(), ids=list(LESSONS))
def test_lessons_are_shared(
    tmp_path: Path, tiny: StyleGAN2, together: Together, config: RealConfig, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gannotate.fitting.inversion_labels.TOGETHER", 2)  # three parts of the five pictures
    how = replace(config, steps=STEPS, optimizer="sgd", learning_rate=0.02)

    def work(folder: Path) -> tuple[list[float], dict[str, Tensor]]:
        steps = [step.metrics for step in fit_real(moving_task(tiny), how, folder) if "loss" in step.metrics]
        distributed.wait_for_first()  # it writes the decoder
        return [step["loss"] for step in steps[-STEPS:]], load_decoder(folder).state_dict()

    losses, weights = work(tmp_path / "one")
    for found in together(lambda: work(tmp_path / "many"), count):
        torch.testing.assert_close(torch.tensor(found[0]), torch.tensor(losses), rtol=1e-3, atol=1e-5)
        for name, tensor in weights.items():
            torch.testing.assert_close(found[1][name], tensor, rtol=1e-2, atol=1e-3, msg=name)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_matching_begun_from_inverted_labels_is_shared(
    tmp_path: Path, tiny: StyleGAN2, together: Together, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gannotate.fitting.inversion_labels.TOGETHER", 2)  # three parts of the five pictures
    how = MatchingConfig(**changed(HOW, steps=6), warm_from="inversion", warm_start=1, inversion_steps=2)

    def work(folder: Path) -> list[dict[str, float]]:
        return [step.metrics for step in fit_real(moving_task(tiny), how, folder) if "loss" in step.metrics]

    expected = work(tmp_path / "one")
    assert len(expected) == 6
    for found in together(lambda: work(tmp_path / "many"), count):
        for index, (now, then) in enumerate(zip(found, expected, strict=True)):
            assert now == pytest.approx(then, rel=1e-3 if index < 2 else 5e-2), index  # gradients match from step 1 on
    inverted = sorted(path.name for path in (tmp_path / "many").rglob("*.safetensors"))
    assert inverted == sorted(path.name for path in (tmp_path / "one").rglob("*.safetensors"))
