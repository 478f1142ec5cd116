"""Every method in several passes and in half precision: what may differ differs, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gannotate.data.augment import STILL
from gannotate.data.labelled import LabelledSet
from gannotate.errors import GannotateError
from gannotate.labels import Mirror
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.semi_supervised.base import SemiSupervisedTrainer
from gannotate.segmenters.semi_supervised.build import METHODS, make_trainer
from gannotate.segmenters.semi_supervised.judge import Judge
from gannotate.segmenters.sources import Mixed, Stored
from gannotate.segmenters.supervised import SegmenterTraining
from gannotate.training.descent import Compute

Squares = Callable[..., LabelledSet]
Together = Callable[[Callable[[], Any], int], list[Any]]

HOW = SegmenterTraining(steps=20, batch=7, warp=STILL, mirror=Mirror("yes"), photometric=True, ema=0.9)

# every loss counts from the first step on, and is a sum of what each picture adds to it
SETTINGS: dict[str, dict[str, Any]] = {
    "pseudo-labels": {"threshold": 0.4, "begin": 0.0, "full": 0.1},
    "adversarial": {"begin": 0.0, "width": 4, "weight_labelled": 0.1, "weight_unlabelled": 0.1, "weight_self": 0.0},
    "mean-teacher": {"ramp": 0.1, "weight": 10.0},
    "gct": {"width": 4, "ramp": 0.1},
    "s4gan": {"width": 4, "threshold": 0.5},
}


class Plain(nn.Module):
    """A small network in which no picture knows of the others."""

    def __init__(self, *_: Any) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


@pytest.fixture
def plain_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("supervised", "semi_supervised.gct"):
        monkeypatch.setattr(f"gannotate.segmenters.{module}.build_network", Plain)


Make = Callable[..., SemiSupervisedTrainer[Any]]


@pytest.fixture
def make(squares: Squares, narrow: SegmenterConfig) -> Make:
    """Makes a trainer of a method, with 5 unlabelled pictures a step."""

    def made(method: str, compute: Compute | None = None, how: SegmenterTraining = HOW) -> SemiSupervisedTrainer[Any]:
        labelled = Mixed([(Stored(squares(6)), 0.5), (Stored(squares(6, seed=8)), 0.5)])  # which counts what it gave
        settings = METHODS[method].settings(unlabelled_batch=5, **SETTINGS[method])
        unlabelled = squares(9, seed=4).pictures
        trainer = make_trainer(method, labelled, unlabelled, narrow, how, settings, compute=compute)
        assert isinstance(trainer, SemiSupervisedTrainer)
        return trainer

    return made


def steps(trainer: SemiSupervisedTrainer[Any], count: int = 4) -> list[dict[str, float]]:
    found = []
    for index in range(count):
        torch.manual_seed(index)
        found.append(trainer.step(index))
    return found


def assert_same(one: SemiSupervisedTrainer[Any], other: SemiSupervisedTrainer[Any], atol: float) -> None:
    for name, tensor in one.average.state_dict().items():
        torch.testing.assert_close(other.average.state_dict()[name], tensor, rtol=0, atol=atol)


@pytest.mark.usefixtures("plain_networks")
@pytest.mark.parametrize("method", ["pseudo-labels", "adversarial", "mean-teacher"])
def test_passes_learn_what_one_does(make: Make, method: str) -> None:
    one, several = make(method), make(method, Compute(accumulate=2))
    expected, found = steps(one), steps(several)
    for now, then in zip(found, expected, strict=True):
        # 4 labelled pictures and 3 unlabelled ones; pseudo-labels do not count in the first step
        passes = now.pop("passes"), now.pop("pass_size")
        assert passes == (2, 4 if now.keys() == {"loss"} else 7)
        assert now == pytest.approx(then, rel=1e-3, abs=1e-6)
    assert_same(one, several, 2e-4)
    assert one.source.state() == several.source.state()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_passes_in_half_precision(make: Make, method: str) -> None:
    one, several = make(method), make(method, Compute(accumulate=2, precision="bf16"))
    kinds, networks = set[torch.dtype](), [several.network, several.average]
    for part in several.companions.values():
        networks.append(part.network if isinstance(part, Judge) else part)  # pyright: ignore[reportArgumentType]
    for convolution in (module for network in networks for module in network.modules()):
        if isinstance(convolution, nn.Conv2d):
            convolution.register_forward_hook(lambda module, given, said: kinds.add(said.dtype))
    expected, found = steps(one, 3), steps(several, 3)
    assert kinds == {torch.bfloat16}
    assert {tensor.dtype for tensor in several.network.parameters()} == {torch.float32}
    assert {metrics["passes"] for metrics in found} == {2.0}
    assert found[0]["loss"] == pytest.approx(expected[0]["loss"], rel=0.1)
    assert all(math.isfinite(value) for metrics in found for value in metrics.values())


@pytest.mark.usefixtures("plain_networks")
@pytest.mark.parametrize("method", METHODS)
def test_processes_agree_in_passes_too(make: Make, together: Together, method: str) -> None:
    def work() -> tuple[list[dict[str, float]], list[Tensor]]:
        trainer = make(method, Compute(accumulate=2))
        return steps(trainer), list(trainer.average.state_dict().values())

    first, second = together(work, 2)
    assert first[0] == second[0]
    assert {metrics["passes"] for metrics in first[0]} == {2.0}
    assert all(torch.equal(one, other) for one, other in zip(first[1], second[1], strict=True))
    if method in ("pseudo-labels", "adversarial", "mean-teacher"):
        for now, then in zip(first[0], steps(make(method)), strict=True):
            assert now["loss"] == pytest.approx(then["loss"], rel=1e-3)


@pytest.mark.usefixtures("plain_networks")
def test_a_step_that_did_not_fit_is_done_again_in_more_passes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, full = make("adversarial", Compute(accumulate=2)), make("adversarial")
    one_pass, tries = full.one_pass, list[int]()

    def narrow_pass(index: int) -> dict[str, float]:
        tries.append(len(full.of_labelled.place))
        found = one_pass(index)  # at its end, when most is done
        if tries[-1] > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return found

    monkeypatch.setattr(full, "one_pass", narrow_pass)
    assert steps(full) == steps(expected)
    assert tries == [7, 4, 3, 4, 3, 4, 3, 4, 3]
    assert_same(expected, full, 0)
    assert full.source.state() == expected.source.state()


@pytest.mark.usefixtures("plain_networks")
def test_what_never_fits_is_an_error(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_fits(index: int) -> dict[str, float]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    trainer = make("mean-teacher", how=replace(HOW, batch=4))
    monkeypatch.setattr(trainer, "one_pass", none_fits)
    with pytest.raises(GannotateError, match="2 pictures, the smallest part that can be taken"):
        steps(trainer)
