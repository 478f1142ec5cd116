"""Both phases in several passes and in half precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gannotate.data.augment import ALIGNED
from gannotate.data.labelled import LabelledSet
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.inversion.losses import OfflineLoss
from gannotate.labels import Mirror
from gannotate.segmenters.semantic_gan.config import SemanticGANConfig
from gannotate.segmenters.semantic_gan.encoder import EncoderTrainer
from gannotate.segmenters.semantic_gan.generator import JointGenerator
from gannotate.segmenters.semantic_gan.trainer import PairTrainer
from gannotate.training.descent import Compute

Drawn = Callable[..., LabelledSet]
Settings = Callable[..., SemanticGANConfig]
Together = Callable[[Callable[[], Any], int], list[Any]]
Trainer = PairTrainer | EncoderTrainer
Make = Callable[..., Trainer]

HOW: dict[str, Any] = {"batch": 5, "warp": ALIGNED, "mirror": Mirror("yes")}


@pytest.fixture
def make(drawn: Drawn, settings: Settings, start: StyleGAN2, toy: JointGenerator) -> Make:
    """Makes a trainer of a phase, pairs or encoder."""

    def made(phase: str, compute: Compute | None = None, **changed: Any) -> Trainer:
        config, labelled, unlabelled = settings(**(HOW | changed)), drawn(5, 1000), drawn(60).pictures
        if phase == "pairs":
            return PairTrainer(labelled, unlabelled, config, start, {}, "cpu", compute)
        return EncoderTrainer(toy, labelled, unlabelled, config, OfflineLoss(), {}, 0, compute)

    return made


def steps(trainer: Trainer, count: int = 3) -> list[dict[str, float]]:
    found = []
    for index in range(count):
        torch.manual_seed(index)
        found.append(trainer.step(index))
    return found


def weights(trainer: Trainer) -> list[Tensor]:
    return [tensor.detach() for tensor in trainer.average.state_dict().values()]


def test_an_encoder_learns_in_passes_what_it_does_in_one(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    # Adam would make whole steps of gradients that are nothing but rounding
    monkeypatch.setattr(torch.optim, "Adam", lambda parameters, lr, **_: torch.optim.SGD(parameters, lr))
    without_dice: dict[str, Any] = {"label_weight": 0.0}  # which is of a pass
    one, several = make("encoder", **without_dice), make("encoder", Compute(accumulate=3), **without_dice)
    for now, then in zip(steps(several), steps(one), strict=True):
        assert (now.pop("passes"), now.pop("pass_size")) == (3, 2)
        assert now == pytest.approx(then, rel=1e-4, abs=1e-6)
    for found, expected in zip(weights(several), weights(one), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_what_is_drawn_for_a_pass_is_what_is_drawn_at_once(make: Make) -> None:
    one, several = make("pairs"), make("pairs", Compute(accumulate=2))
    expected, found = steps(one, 1)[0], steps(several, 1)[0]
    assert found["passes"] == 2
    # the first losses: later ones come of networks that have moved, and norms that have seen other batches
    for name in ("pair_d_loss", "pair_real", "pair_fake"):
        assert found[name] == pytest.approx(expected[name], rel=0.02, abs=0.02), name
    assert isinstance(one, PairTrainer)
    assert isinstance(several, PairTrainer)
    torch.testing.assert_close(several.joint.mapping.w_avg, one.joint.mapping.w_avg)


@pytest.mark.parametrize("phase", ["pairs", "encoder"])
def test_passes_in_half_precision(make: Make, phase: str) -> None:
    one, several = make(phase), make(phase, Compute(accumulate=2, precision="bf16"))
    kinds = set[torch.dtype]()
    network = several.pair_discriminator if isinstance(several, PairTrainer) else several.encoder
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, given, said: kinds.add(said.dtype))
    expected, found = steps(one), steps(several)
    assert torch.bfloat16 in kinds  # a penalty's gradient is taken in float32
    assert all(tensor.dtype == torch.float32 for tensor in weights(several))
    name = "pair_d_loss" if phase == "pairs" else "encoder_unlabelled"
    assert found[0][name] == pytest.approx(expected[0][name], rel=0.1)
    assert {metrics["passes"] for metrics in found} == {2.0}
    assert all(math.isfinite(value) for metrics in found for value in metrics.values())


@pytest.mark.parametrize("phase", ["pairs", "encoder"])
def test_processes_agree_in_passes_too(make: Make, together: Together, phase: str) -> None:
    def work() -> tuple[list[dict[str, float]], list[Tensor]]:
        trainer = make(phase, Compute(accumulate=2))
        return steps(trainer), weights(trainer)

    first, second = together(work, 2)
    assert first[0] == second[0]
    assert first[0][0]["passes"] == 2
    assert all(torch.equal(one, other) for one, other in zip(first[1], second[1], strict=True))


def test_where_memory_runs_out_more_passes_are_made(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make("pairs")
    assert isinstance(trainer, PairTrainer)
    judged, sizes = trainer._judged, list[int]()

    def small(seen: Tensor) -> Any:
        sizes.append(len(seen))
        if len(seen) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return judged(seen)

    monkeypatch.setattr(trainer, "_judged", small)
    first, second = steps(trainer, 2)
    assert first["passes"] == second["passes"] == 2
    assert sizes[0] == 5
    assert max(sizes[1:]) == 3
