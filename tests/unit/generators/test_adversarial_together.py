"""A generator trained by several processes, and in several passes: as by one process, in one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gannotate.errors import UsageError
from gannotate.generators.adversarial.discriminator import Discriminator, minibatch_std
from gannotate.generators.adversarial.losses import path_lengths
from gannotate.generators.adversarial.presets import AdversarialConfig
from gannotate.generators.adversarial.run import GeneratorRun, train_generator
from gannotate.generators.adversarial.trainer import AdversarialTrainer
from gannotate.generators.build import load_generator
from gannotate.generators.stylegan2 import StyleGAN2Config
from gannotate.training.descent import Compute
from gannotate.training.loop import LoopConfig, train
from gannotate.training.shares import passes

Together = Callable[[Callable[[], Any], int], list[Any]]

TINY = StyleGAN2Config(size=16, image_channels=1, z_dim=8, w_dim=8, mapping_layers=1, channel_base=64, channel_max=8)
STEPS = 20


def config(**choices: Any) -> AdversarialConfig:
    """Everything that is shared: ADA, both penalties, symmetries of the data; 8 pictures a step."""
    told = {"network": TINY, "batch": 8, "r1_interval": 4, "path_interval": 3, "mirror": True, "turn90": True}
    return AdversarialConfig(**{**told, "ada_kimg": 0.5, "learning_rate": 0.001, **choices})


def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (60, 16, 16, 1), dtype=np.uint8)


def learn(
    folder: Path, steps: int = STEPS, compute: Compute | None = None, **choices: Any
) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """The metrics of all steps, and the averaged weights."""
    trainer = AdversarialTrainer(pictures(), config(**choices), seed=0, compute=compute)
    progress = list(train(trainer, folder, LoopConfig(steps=steps)))
    return [step.metrics for step in progress], trainer.average.state_dict()


Learned = tuple[list[dict[str, float]], dict[str, Tensor]]


def check_equal(found: Learned, expected: Learned, leave_out: tuple[str, ...] = ()) -> None:
    for index, (now, then) in enumerate(zip(found[0], expected[0], strict=True)):
        for name in set(then) - set(leave_out):
            assert now[name] == pytest.approx(then[name], rel=1e-4 if index < 4 else 2e-2, abs=1e-5), (index, name)
    for name, tensor in expected[1].items():
        torch.testing.assert_close(found[1][name], tensor, rtol=1e-2, atol=2e-3, msg=name)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_learn_what_one_does(tmp_path: Path, together: Together, count: int) -> None:
    expected = learn(tmp_path / "one")
    found = together(lambda: learn(tmp_path / "many"), count)
    assert {"r1", "path_length", "augment_p"} <= {name for metrics in expected[0] for name in metrics}
    assert expected[0][-1]["augment_p"] > 0
    for answer in found:
        check_equal(answer, expected)
        assert answer[0] == found[0][0]
        assert all(torch.equal(answer[1][name], tensor) for name, tensor in found[0][1].items())


def test_uneven_parts_and_another_number_of_processes_on_the_way(tmp_path: Path, together: Together) -> None:
    expected = learn(tmp_path / "one", steps=6, batch=7)
    learn(tmp_path / "many", steps=2, batch=7)
    together(lambda: learn(tmp_path / "many", steps=4, batch=7), 2)
    metrics, weights = learn(tmp_path / "many", steps=6, batch=7)
    check_equal((metrics, weights), (expected[0][4:], expected[1]))


def test_the_batch_statistic_is_over_all_processes_to_the_second_derivative(together: Together) -> None:
    torch.manual_seed(0)
    discriminator, real, drawn = Discriminator(TINY, group=4), torch.randn(8, 1, 16, 16), torch.randn(8, 1, 16, 16)

    def penalty(kept: slice) -> tuple[Tensor, list[Tensor]]:
        """The statistic, and this process's part of the gradient of a gradient penalty."""
        seen = torch.cat([real[kept], drawn[kept]]).requires_grad_(True)
        statistic = minibatch_std(seen, 4, parts=2)[:, -1].detach()
        (gradient,) = torch.autograd.grad(discriminator(seen, parts=2).sum(), seen, create_graph=True)
        found = torch.autograd.grad(gradient.square().sum(), list(discriminator.parameters()), allow_unused=True)
        return statistic, [tensor for tensor in found if tensor is not None]

    def work() -> tuple[Tensor, list[Tensor]]:
        (share,) = passes(8)
        with share:
            return penalty(share.place.slice)

    statistic, expected = penalty(slice(None))
    answers = together(work, 2)
    joined = torch.cat([answer[0].chunk(2)[part] for part in (0, 1) for answer in answers])
    torch.testing.assert_close(joined, statistic)
    for parts in zip(expected, *(answer[1] for answer in answers), strict=True):
        torch.testing.assert_close(sum(parts[1:]), parts[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_passes_learn_what_one_pass_does(tmp_path: Path, together: Together, count: int) -> None:
    # a pass has fewer pictures than a group, and moves the mean path length by itself: both are turned off
    apart = {"group": 1, "path_weight": 0.0}
    expected = learn(tmp_path / "one", steps=8, **apart)
    compute = Compute(accumulate=2)
    if count == 1:
        answers = [learn(tmp_path / "passes", 8, compute, **apart)]
    else:
        answers = together(lambda: learn(tmp_path / "passes", 8, compute, **apart), count)
    for answer in answers:
        check_equal(answer, expected)
        assert answer[0][0]["passes"] == 2


def test_penalties_in_passes_have_the_size_that_they_have_in_one(tmp_path: Path) -> None:
    expected = learn(tmp_path / "one", steps=1, group=1)
    found = learn(tmp_path / "passes", 1, Compute(accumulate=2), group=1)
    for name in ("r1", "path_length", "d_loss", "g_loss", "d_real_sign"):
        assert found[0][0][name] == pytest.approx(expected[0][0][name], rel=1e-4), name


def test_out_of_memory_is_answered_by_more_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apart = {"group": 1, "path_weight": 0.0}
    expected = learn(tmp_path / "one", steps=4, **apart)
    forward = Discriminator.forward

    def small(self: Discriminator, picture: Tensor, parts: int = 1) -> Tensor:
        if len(picture) > 8:  # real and drawn ones together are 16
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, picture, parts)

    monkeypatch.setattr(Discriminator, "forward", small)
    found = learn(tmp_path / "small", steps=4, **apart)
    check_equal(found, expected)
    assert found[0][0]["passes"] == 2


def test_out_of_memory_while_drawing_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = learn(tmp_path / "passes", 2, Compute(accumulate=2))
    draw = AdversarialTrainer._draw

    def small(self: AdversarialTrainer, count: int) -> Tensor:
        if count > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return draw(self, count)

    monkeypatch.setattr(AdversarialTrainer, "_draw", small)
    check_equal(learn(tmp_path / "small", steps=2), expected)


def test_a_path_step_that_did_not_fit_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_step(compute: Compute | None = None) -> tuple[AdversarialTrainer, dict[str, float]]:
        trainer = AdversarialTrainer(pictures(), config(group=1, path_shrink=1), seed=0, compute=compute)
        torch.manual_seed(0)
        return trainer, trainer.step(0)

    def full_at_the_end(picture: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        lengths = path_lengths(picture, w, noise)
        if len(picture) > 4:
            lengths.register_hook(out_of_memory)  # the running means have moved by then
        return lengths

    def out_of_memory(gradient: Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    passes, expected = one_step(Compute(accumulate=2))
    monkeypatch.setattr("gannotate.generators.adversarial.trainer.path_lengths", full_at_the_end)
    again, found = one_step()
    assert found["path_length"] == pytest.approx(expected["path_length"], rel=1e-4)
    assert found["path_penalty"] == pytest.approx(expected["path_penalty"], rel=1e-4)
    assert again.path_mean == pytest.approx(passes.path_mean, rel=1e-4)
    torch.testing.assert_close(again.generator.mapping.w_avg, passes.generator.mapping.w_avg)


def test_half_precision_leaves_w_alone() -> None:
    def see(module: nn.Module, given: Any, w: Tensor) -> None:
        seen.append(w.dtype)

    trainer, seen = AdversarialTrainer(pictures(), config(), 0, compute=Compute(precision="bf16")), list[torch.dtype]()
    trainer.generator.mapping.register_forward_hook(see)
    trainer.step(0)
    assert seen
    assert set(seen) == {torch.float32}


def test_half_precision_learns_alike_and_compilation_is_refused(tmp_path: Path) -> None:
    exact = learn(tmp_path / "32", steps=2)[0]
    half = learn(tmp_path / "16", 2, Compute(precision="bf16"))[0]
    assert half[0]["d_loss"] != exact[0]["d_loss"]
    assert half[0]["d_loss"] == pytest.approx(exact[0]["d_loss"], rel=0.05)
    with pytest.raises(UsageError, match="leave --compile out"):
        AdversarialTrainer(pictures(), config(), 0, compute=Compute(compile=True))


def test_the_first_process_alone_leaves_the_generator(tmp_path: Path, together: Together) -> None:
    run = GeneratorRun(kimg=0.064, batch=16, gauge_pictures=50, gauge_space="pixels", snapshot_kimg=0.032)

    def work() -> list[float]:
        last = list(train_generator(pictures(), tmp_path, run))[-1]
        return [last.metrics["kid"], last.metrics["best"]]

    first, second = together(work, 2)
    assert first == second  # what the first one measured, all know
    assert load_generator(tmp_path).size == 16
    assert len(list((tmp_path / "snapshots").iterdir())) == 2
