"""Every method: it learns, its parts learn apart, and a killed run ends as one that was not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gannotate.data.augment import STILL
from gannotate.data.labelled import LabelledSet
from gannotate.errors import UsageError
from gannotate.labels import Mirror
from gannotate.segmenters import semi_supervised
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.evaluate import evaluate
from gannotate.segmenters.predict import Segmenter
from gannotate.segmenters.semi_supervised.build import METHODS, make_trainer, train_semi_supervised
from gannotate.segmenters.semi_supervised.mean_teacher import MeanTeacher
from gannotate.segmenters.semi_supervised.pseudo_labels import PseudoLabels
from gannotate.segmenters.sources import Stored
from gannotate.segmenters.supervised import SegmenterTrainer, SegmenterTraining
from gannotate.training.descent import Compute
from gannotate.training.loop import LoopConfig

Squares = Callable[..., LabelledSet]

QUICK = SegmenterTraining(steps=6, batch=2, mirror=Mirror("yes"), photometric=True)

JUDGED = ("adversarial", "gct", "s4gan")

every_method = pytest.mark.parametrize("method", METHODS)


def settings_of(method: str) -> Any:
    """The method's defaults, with a narrow judge."""
    settings: Any = METHODS[method].settings
    return settings(width=8) if method in JUDGED else settings()


def run(
    method: str, folder: Path, squares: Squares, config: SegmenterConfig, training: SegmenterTraining, **more: Any
) -> Segmenter:
    labelled, unlabelled = squares(2, soft=more.pop("soft", False)), squares(30, seed=4).pictures
    settings = more.pop("settings", None)
    for _ in train_semi_supervised(method, labelled, unlabelled, config, training, settings, folder, **more):
        pass
    return Segmenter.load(folder)


def test_the_methods_are_the_files() -> None:
    shared = {"__init__", "base", "build", "judge", "networks", "ramps"}
    folder = Path(semi_supervised.__file__).parent
    files = {path.stem.replace("_", "-") for path in folder.glob("*.py") if path.stem not in shared}
    assert files == set(METHODS)
    for name, info in METHODS.items():
        assert is_dataclass(info.settings)
        assert getattr(info.trainer, "method") == name  # noqa: B009 (a callable to the type checker)
        assert all(field.kw_only for field in fields(info.settings))


@every_method
def test_what_no_method_follows_is_refused(narrow: SegmenterConfig, method: str, squares: Squares) -> None:
    given = (method, squares(2), squares(9).pictures, narrow, QUICK, settings_of(method), "cpu")
    with pytest.raises(UsageError, match=rf"method {method} was given compile=True.* accumulate and precision alone$"):
        make_trainer(*given, Compute(compile=True))
    assert make_trainer(*given, Compute(precision="bf16")).compute.precision == "bf16"


@every_method
def test_learns(tmp_path: Path, narrow: SegmenterConfig, method: str, squares: Squares) -> None:
    training = SegmenterTraining(steps=80, batch=6, learning_rate=0.01, ema=0.9)
    settings = settings_of(method)
    segmenter = run(method, tmp_path, squares, narrow, training, settings=settings)
    miou = evaluate(segmenter, squares(20, seed=9))["miou"]
    # all background is 0.24; without unlabelled pictures it is 0.91; a method that believes in nonsense stays below 0.5
    assert miou > 0.6


@every_method
def test_killed_and_resumed_equals_uninterrupted(
    tmp_path: Path, narrow: SegmenterConfig, method: str, squares: Squares
) -> None:
    run(method, tmp_path / "whole", squares, narrow, QUICK, soft=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gannotate.segmenters.supervised.LoopConfig", _eager_loop)
        started = train_semi_supervised(
            method, squares(2, soft=True), squares(30, seed=4).pictures, narrow, QUICK, None, tmp_path / "cut"
        )
        for progress in started:
            if progress.done == 4:
                break  # as a kill between two steps
    assert not (tmp_path / "cut" / "config.json").exists()
    run(method, tmp_path / "cut", squares, narrow, QUICK, soft=True)
    whole, cut = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    for name, tensor in whole.items():
        torch.testing.assert_close(cut[name], tensor, atol=0, rtol=0, msg=name)


def _eager_loop(**settings: Any) -> LoopConfig:
    """Saves a checkpoint after every step."""
    return LoopConfig(**settings, checkpoint_s=0.0)


def test_a_training_is_resumed_on_the_same_alone(tmp_path: Path, narrow: SegmenterConfig, squares: Squares) -> None:
    run("mean-teacher", tmp_path, squares, narrow, QUICK, source="person")
    about = json.loads((tmp_path / "config.json").read_text())["about"]
    assert (about["label_source"], about["pictures"], about["unlabelled"]["pictures"]) == ("person", 2, 30)
    assert about["settings"]["method"] == "mean-teacher"
    assert about["settings"]["method_settings"]["noise"] == MeanTeacher().noise

    with pytest.raises(UsageError, match="had other settings; resume it with the same ones"):
        run("mean-teacher", tmp_path, squares, narrow, QUICK, settings=MeanTeacher(noise=0.1))
    with pytest.raises(UsageError, match="had other settings"):
        run("pseudo-labels", tmp_path, squares, narrow, QUICK)
    with pytest.raises(UsageError, match="had other data"):
        for _ in train_semi_supervised(
            "mean-teacher", squares(2), squares(29, seed=4).pictures, narrow, QUICK, None, tmp_path
        ):
            pass


@every_method
@pytest.mark.parametrize(("given", "count"), [(None, 2), (3, 3)])
def test_so_many_unlabelled_pictures_a_step(
    narrow: SegmenterConfig, method: str, given: int | None, count: int, squares: Squares
) -> None:
    settings = METHODS[method].settings(unlabelled_batch=given)
    trainer: Any = make_trainer(method, squares(2), squares(9).pictures, narrow, replace(QUICK, warp=STILL), settings)
    drawn: list[int] = []
    draw = trainer.unlabelled.batch
    trainer.unlabelled.batch = lambda wanted, *more: (drawn.append(wanted), draw(wanted, *more))[1]
    trainer.step(5)
    assert drawn == [count]


OFF: dict[str, dict[str, float]] = {"mean-teacher": {"noise": 0.0}, "pseudo-labels": {"weight": 1e-30}}
"""What else must be off; pseudo-labels without any weight are not asked for at all."""


@every_method
def test_without_its_own_losses_a_method_is_supervised_training(small: Any, method: str) -> None:
    settings = METHODS[method].settings()
    off = {field.name: 0.0 for field in fields(settings) if field.name.split("_")[0] == "weight"}
    trainer = small.trainer(method, **off | OFF.get(method, {}))
    supervised = SegmenterTrainer(trainer.source, trainer.config, trainer.training)
    losses = []
    for each in (trainer, supervised):
        for index in (0, 50):
            torch.manual_seed(index)
            losses.append(each.step(index)["loss"])
    assert losses[:2] == losses[2:]
    for name, own in supervised.network.named_parameters():
        torch.testing.assert_close(trainer.network.get_parameter(name), own, msg=name)


@pytest.mark.parametrize("method", JUDGED)
def test_segmenter_and_judge_learn_apart(small: Any, method: str) -> None:
    trainer = small.trainer(method)
    with small.caught(trainer.judge):
        before = weights_of(trainer.judge.network)
        trainer.step(50)
        assert same(before, weights_of(trainer.judge.network))
        assert all(weight.grad is None for weight in trainer.judge.network.parameters())
    trainer = small.trainer(method)
    with small.caught(trainer):
        before, judged = weights_of(trainer.network), weights_of(trainer.judge.network)
        trainer.step(50)
        assert same(before, weights_of(trainer.network))
        assert all(weight.grad is None for weight in trainer.network.parameters())
        assert not same(judged, weights_of(trainer.judge.network))


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def weights_of(network: torch.nn.Module) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in network.parameters()]


@pytest.mark.parametrize("method", JUDGED)
def test_segmenters_feel_the_judge(small: Any, method: str) -> None:
    weight = {"adversarial": "weight_unlabelled", "gct": "weight_correction", "s4gan": "weight_features"}[method]
    losses = []
    for value in (0.0, 1.0):
        trainer = small.trainer(method, **{weight: value})
        if method == "gct":
            trainer.settings = replace(trainer.settings, threshold=0.0)
        torch.manual_seed(0)
        trainer.step(0)
        losses.append([w.grad for w in trainer.network.parameters() if w.grad is not None])
    assert any(not torch.equal(first, second) for first, second in zip(*losses, strict=True))


@every_method
def test_another_architecture(method: str) -> None:
    config = SegmenterConfig(classes=3, image_channels=3, size=32, architecture="lraspp", decoder_width=16)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (3, 32, 32, 3), np.uint8)
    label_maps = rng.integers(0, 3, (3, 32, 32)).astype(np.uint8)
    source = Stored(LabelledSet(("a", "b", "c"), pictures, label_maps))
    trainer = make_trainer(method, source, pictures, config, QUICK, settings_of(method))
    assert all(np.isfinite(value) for value in trainer.step(5).values())


def test_the_seed_is_the_training(tmp_path: Path, narrow: SegmenterConfig, squares: Squares) -> None:
    weights = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(len(weights))  # what the caller does with the global generator does not matter
        run("s4gan", tmp_path / name, squares, narrow, replace(QUICK, steps=2, seed=seed))
        weights.append(load_file(tmp_path / name / "model.safetensors")["head.weight"])
    torch.testing.assert_close(weights[0], weights[1], atol=0, rtol=0)
    assert not torch.equal(weights[0], weights[2])


def test_wrong_requests_are_named(narrow: SegmenterConfig, squares: Squares) -> None:
    pictures = squares(4).pictures
    with pytest.raises(
        UsageError, match=r"method 'mean-techer' is not known; use pseudo-labels, .*mean 'mean-teacher'"
    ):
        make_trainer("mean-techer", squares(2), pictures, narrow, QUICK)
    with pytest.raises(UsageError, match="gct was given settings of type PseudoLabels; give GuidedCollaboration"):
        make_trainer("gct", squares(2), pictures, narrow, QUICK, PseudoLabels())
    with pytest.raises(UsageError, match="no unlabelled pictures were given"):
        make_trainer("gct", squares(2), pictures[:0], narrow, QUICK)
    with pytest.raises(UsageError, match="no labelled pictures were given"):
        make_trainer("gct", squares(2).take([]), pictures, narrow, QUICK)
