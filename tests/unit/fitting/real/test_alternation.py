"""Decoder and segmenter in turns: whose turn it is, what a state means, resuming, and that it teaches."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gannotate.data.augment import Augmentation, Warp
from gannotate.errors import UsageError
from gannotate.fitting.alternation import AlternatingTrainer, class_weights, move
from gannotate.fitting.gradient_matching import Matching, MatchingConfig, fit_gradient_matching
from gannotate.fitting.inversion_labels import INVERTED
from gannotate.fitting.real import fit_real
from gannotate.fitting.real_task import RealTask, score
from gannotate.fitting.teacher import TEACHER, teach_teacher
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.training.loop import LoopConfig, read_log, train

from .tasks import TINY, alternating, bright_task, changed, take_steps


def weights_of(trainer: AlternatingTrainer) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in trainer.student.network.parameters()])


@pytest.mark.parametrize(("interval", "turns"), [(1, [1, 2, 3, 4, 5, 6]), (3, [3, 6]), (7, [])])
def test_the_segmenter_learns_after_every_interval(tiny: StyleGAN2, interval: int, turns: list[int]) -> None:
    trainer = alternating(bright_task(tiny, 2), interval=interval, steps=20)
    moved = []
    for index in range(6):
        torch.manual_seed(index)
        before = weights_of(trainer)
        found = trainer.step(index)
        if not torch.equal(before, weights_of(trainer)):
            moved.append(index + 1)
        assert ("segmenter_loss" in found) == (index + 1 in turns)
    assert moved == turns


def test_every_step_moves_the_decoder(tiny: StyleGAN2) -> None:
    trainer = alternating(bright_task(tiny, 2), interval=5)
    for index in range(3):
        before = [weight.detach().clone() for weight in trainer.pupil.decoder.parameters()]
        trainer.step(index)
        assert any(not torch.equal(a, b) for a, b in zip(before, trainer.pupil.decoder.parameters(), strict=True))


def test_a_fixed_segmenter_stays_and_a_reinitialised_one_starts_anew(tiny: StyleGAN2) -> None:
    task = bright_task(tiny, 2)
    fixed = alternating(task, segmenter_state="fixed")
    before = weights_of(fixed)
    take_steps(fixed, 2)
    assert torch.equal(before, weights_of(fixed))
    anew = alternating(task, segmenter_state="reinitialised", reinitialise_every=2, interval=50)
    seen = Counter(tuple(weights_of(anew)[:3].tolist()) for index in range(6) if anew.step(index))
    assert sorted(seen.values()) == [2, 2, 2]  # never moved in between: its turn comes after 50 steps


def test_the_segmenter_learns_from_a_decoder_in_evaluation_mode(tiny: StyleGAN2, monkeypatch: Any) -> None:
    trainer = alternating(bright_task(tiny, 2))
    modes: list[bool] = []
    forward = trainer.pupil.decoder.forward
    monkeypatch.setattr(
        trainer.pupil.decoder, "forward", lambda taps: (modes.append(trainer.pupil.decoder.training), forward(taps))[1]
    )
    take_steps(trainer, 2)
    assert modes == [True, False, True, False]
    assert trainer.student.network.training


def test_class_weights() -> None:
    label_maps = np.array([[0, 0, 0, 1, 255]], np.uint8)
    assert class_weights(label_maps, 2, 0).tolist() == [1, 1]
    even = class_weights(label_maps, 3, 1)
    assert even.tolist() == pytest.approx([2 / 3, 2, 2])  # a class without labels counts as the rarest
    assert float(even[0] * 3 + even[1]) == pytest.approx(4)


@pytest.mark.parametrize("state", ["continued", "reinitialised"])
def test_killed_and_resumed_equals_uninterrupted(tiny: StyleGAN2, tmp_path: Path, state: str) -> None:
    task = bright_task(tiny, 3)
    every = 2 if state == "reinitialised" else 0
    settings: dict[str, Any] = {"steps": 6, "segmenter_state": state, "reinitialise_every": every, "interval": 2}

    def run(folder: Path, until: int, resume: bool) -> AlternatingTrainer:
        trainer = alternating(task, **settings)
        for progress in train(trainer, folder, LoopConfig(steps=6, checkpoint_s=0), resume=resume):
            if progress.done == until:
                break
        return trainer

    whole = run(tmp_path / "whole", 6, False)
    run(tmp_path / "torn", 3, False)
    resumed = run(tmp_path / "torn", 6, True)
    for one, other in ((whole.finish(), resumed.finish()), (whole.student.network, resumed.student.network)):
        for name, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name


WARM: dict[str, Any] = {"pretrain": 3, "warm_start": 2, "segmenter_start": "new", "interval": 3, "steps": 6}


def warm(task: RealTask, folder: Path, **settings: Any) -> AlternatingTrainer:
    """A trainer beside a segmenter that was pre-trained for three steps."""
    config = MatchingConfig(**(TINY | WARM | settings))
    for _ in teach_teacher(task, config, folder):
        pass
    return AlternatingTrainer(task, config, Matching(config), teacher=folder / TEACHER)


def test_the_segmenter_starts_pretrained_or_new(tiny: StyleGAN2, tmp_path: Path) -> None:
    task = bright_task(tiny, 2)
    pretrained, new = (warm(task, tmp_path, segmenter_start=start) for start in ("pretrained", "new"))
    assert pretrained.teacher is not None
    taught = torch.cat([weight.flatten() for weight in pretrained.teacher.parameters()])
    assert torch.equal(weights_of(pretrained), taught)
    assert torch.equal(weights_of(new), weights_of(alternating(task)))
    assert not torch.equal(weights_of(new), taught)


def test_the_teacher_may_be_another_network(tiny: StyleGAN2, tmp_path: Path) -> None:
    task = bright_task(tiny, 2)
    plain, taught = warm(task, tmp_path / "a"), warm(task, tmp_path / "b", teacher="unet")
    assert taught.teacher is not None
    made = [
        json.loads((tmp_path / one / TEACHER / "config.json").read_text())["segmenter"]["architecture"] for one in "ab"
    ]
    assert made == ["unet-classic", "unet"]
    assert torch.equal(weights_of(plain), weights_of(taught))  # of the segmenter that learns beside the decoder
    assert taught.step(0)["loss"] > 0


def test_a_warm_start_teaches_what_the_teacher_says_and_leaves_no_momentum(tiny: StyleGAN2, tmp_path: Path) -> None:
    trainer = warm(bright_task(tiny, 2), tmp_path)
    asked: list[int] = []
    objective = trainer.objective
    trainer.objective = lambda *given: (asked.append(1), objective(*given))[1]
    torch.manual_seed(4)
    trainer.pupil.decoder.train()
    pictures, taps = trainer.drawn(2)
    assert trainer.teacher is not None
    said, answered = trainer.teacher(pictures).softmax(1), trainer.pupil.decoder(taps).softmax(1)
    torch.manual_seed(4)
    found = trainer.step(0)
    assert found["loss"] == pytest.approx(float(-(said * answered.log()).sum(1).mean().detach()), rel=1e-4)
    trainer.step(1)
    assert not asked
    trainer.step(2)
    assert asked == [1]
    counts = {int(state["step"]) for state in trainer.pupil.optimizer.state.values()}
    assert counts == {1}  # of the two steps before nothing is remembered


def test_a_warm_start_killed_and_resumed_equals_uninterrupted(tiny: StyleGAN2, tmp_path: Path) -> None:
    task = bright_task(tiny, 2)

    def run(folder: Path, until: int) -> AlternatingTrainer:
        trainer = warm(task, folder)
        for progress in train(trainer, folder, LoopConfig(steps=6, checkpoint_s=0)):
            if progress.done == until:
                break
        return trainer

    whole = run(tmp_path / "whole", 6).finish()
    for until in (1, 2, 3):
        folder = tmp_path / f"torn{until}"
        run(folder, until)
        for name, value in run(folder, 6).finish().state_dict().items():
            assert torch.equal(value, whole.state_dict()[name]), name


def test_a_warm_start_from_inversion_teaches_the_labels_and_goes_on_after_a_stop(
    tiny: StyleGAN2, tmp_path: Path
) -> None:
    task = bright_task(tiny, 3)
    config = MatchingConfig(**TINY, warm_from="inversion", warm_start=20, inversion_steps=3, steps=22)

    def run(folder: Path, until: int) -> list[dict[str, float]]:
        found = []
        for progress in fit_gradient_matching(task, config, folder, True, None):
            if "loss" in progress.metrics:
                found.append(progress.metrics)
                if progress.done == until:
                    break
        return found

    whole = run(tmp_path / "whole", 22)
    assert [path.name for path in (tmp_path / "whole" / INVERTED).iterdir()] == ["000000.safetensors"]
    assert whole[19]["loss"] < 0.9 * whole[0]["loss"]  # cross-entropy, of the labels themselves
    assert run(tmp_path / "torn", 4) == whole[:4]
    rest = run(tmp_path / "torn", 22)
    assert rest[-1] == whole[-1]


def test_a_warm_start_from_inversion_needs_pictures_of_the_generators_size(tiny: StyleGAN2, tmp_path: Path) -> None:
    task = bright_task(tiny, 2, size=2 * tiny.size)
    config = MatchingConfig(
        **TINY, warm_from="inversion", warm_start=2, inversion_steps=3, steps=4, segmenter_size=2 * tiny.size
    )
    with pytest.raises(UsageError, match="leave the segmenter's size out"):
        list(fit_gradient_matching(task, config, tmp_path, True, None))


def test_generated_pictures_move_with_their_labels(tiny: StyleGAN2) -> None:
    torch.manual_seed(0)
    soft = torch.rand(3, 2, 16, 16).softmax(1)
    pictures = torch.cat([soft, soft[:, :1]], 1)  # a picture that shows its own probabilities
    moved, with_it = move((pictures, soft), Augmentation(warp=Warp(translation=0.3)))
    outside = with_it.sum(1) == 0
    assert 0.05 < float(outside.float().mean()) < 0.8
    torch.testing.assert_close(with_it, moved[:, :2] * ~outside.unsqueeze(1))
    assert not torch.allclose(moved, pictures)
    still = alternating(bright_task(tiny, 2), augment=True, augment_generated=True)  # the task's warp moves nothing
    plain = alternating(bright_task(tiny, 2), augment=True)
    assert take_steps(still, 1)[0]["loss"] == pytest.approx(take_steps(plain, 1)[0]["loss"], rel=1e-3)


def test_a_fit_with_other_pictures_is_not_resumed(tiny: StyleGAN2) -> None:
    state = alternating(bright_task(tiny, 2)).state()
    with pytest.raises(UsageError, match="had other labelled; resume it with the same ones"):
        alternating(bright_task(tiny, 3)).load_state(state)


def test_matching_recovers_labels_that_only_real_pictures_have(tiny: StyleGAN2) -> None:
    task = bright_task(tiny, 6, held_out=16)
    trainer = alternating(task, steps=100, learning_rate=0.01)
    before = score(task, trainer.finish())
    take_steps(trainer, 60)
    after = score(task, trainer.finish())
    # half of the pixels are bright: chance is an accuracy of one half
    assert after["held_out_accuracy"] > max(0.57, before["held_out_accuracy"] + 0.05)
    assert after["held_out_miou"] > before["held_out_miou"]


def test_the_log_has_a_live_curve_where_there_is_a_truth(tiny: StyleGAN2, tmp_path: Path) -> None:
    config = MatchingConfig(**changed(TINY, steps=4))
    last = list(fit_real(bright_task(tiny, 2, held_out=2), config, tmp_path / "with"))[-1]
    rows = [row for row in read_log(tmp_path / "with" / "log.jsonl") if row.get("hook")]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["held_out_miou"] == pytest.approx(last.metrics["held_out_miou"])
    list(fit_real(bright_task(tiny, 2), config, tmp_path / "without"))
    assert not [row for row in read_log(tmp_path / "without" / "log.jsonl") if row.get("hook")]


def test_the_segmenter_may_see_pictures_of_another_size(tiny: StyleGAN2) -> None:
    task = bright_task(tiny, 2, size=32)
    trainer = alternating(task, segmenter_size=32)
    assert trainer.student.network(torch.zeros(1, tiny.image_channels, 32, 32)).shape[-1] == 32
    assert all(np.isfinite(value) for found in take_steps(trainer, 2) for value in found.values())
    with pytest.raises(UsageError, match=r"labelled pictures are 32x32 px .* takes 16x16"):
        alternating(task)


def test_wrong_settings() -> None:
    for settings, told in (
        ({"interval": 0}, "interval is 0; use 1 or more"),
        ({"batch": 0}, "batch is 0; use 1 or more"),
        ({"segmenter_state": "free"}, "segmenter state 'free' is not known; use continued, reinitialised, fixed"),
        ({"segmenter_state": "reinitialised"}, "reinitialise every is 0 with segmenter state reinitialised"),
        ({"reinitialise_every": 5}, "reinitialise every is 5 with segmenter state continued"),
        ({"segmenter_rate": 0}, "segmenter rate is 0"),
        ({"warm_start": 3}, "the segmenter is not pre-trained; give pretrain"),
        ({"pretrain": 3, "segmenter_start": "new"}, "there is none; give warm start"),
        ({"teacher": "unet"}, "only gives labels to a warm start; give segmenter start new"),
        ({"segmenter_start": "old"}, "segmenter start 'old' is not known; use pretrained, new"),
        ({"augment": False, "augment_generated": True}, "which stand still; leave one out"),
        ({"balance": 2}, "balance is 2; use 0"),
        ({"cutoff": 3}, "a cutoff was given without psi"),
        ({"counted": "some"}, "counted 'some' is not known; use all, matched"),
        ({"ema": 1}, "ema is 1"),
    ):
        with pytest.raises(UsageError, match=told):
            MatchingConfig(**settings)  # pyright: ignore[reportArgumentType]
