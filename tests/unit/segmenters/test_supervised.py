"""Training: it learns, soft and hard labels mean what they say, and a killed run ends as one that was not."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gannotate.data.augment import STILL
from gannotate.data.labelled import LabelledSet
from gannotate.errors import GannotateError, UsageError
from gannotate.labels import Mirror
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.evaluate import evaluate
from gannotate.segmenters.predict import Segmenter
from gannotate.segmenters.sources import Stored
from gannotate.segmenters.supervised import (
    SegmenterTrainer,
    SegmenterTraining,
    learning_rate_factor,
    train_segmenter,
)
from gannotate.training.loop import LoopConfig

CLASSES, SIZE = 3, 16
Squares = Callable[..., LabelledSet]

QUICK = SegmenterTraining(steps=6, batch=4, mirror=Mirror("yes"), turn90=True, photometric=True)


def run(
    folder: Path, data: LabelledSet, config: SegmenterConfig, training: SegmenterTraining, **more: Any
) -> Segmenter:
    for _ in train_segmenter(data, config, training, folder, **more):
        pass
    return Segmenter.load(folder)


@pytest.mark.parametrize("soft", [False, True])
def test_learns_and_says_from_what(tmp_path: Path, tiny: SegmenterConfig, soft: bool, squares: Squares) -> None:
    training = SegmenterTraining(steps=60, batch=8, learning_rate=0.01, ema=0.9)
    segmenter = run(tmp_path, squares(6, soft=soft), tiny, training, source="exact")
    assert evaluate(segmenter, squares(20, seed=9))["miou"] > 0.8

    about = json.loads((tmp_path / "config.json").read_text())["about"]
    assert (about["label_source"], about["pictures"], about["soft_labels"]) == ("exact", 6, soft)
    assert about["settings"]["steps"] == about["trained"]["steps"] == 60
    assert about["ignored_px"] == 6
    assert sum(about["labelled_px"]) == 6 * (SIZE * SIZE - 1)
    assert {"log.csv", "log.jsonl", "model.safetensors", "config.json"} <= {path.name for path in tmp_path.iterdir()}


def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path, tiny: SegmenterConfig, squares: Squares) -> None:
    data = squares(3, soft=True)
    run(tmp_path / "whole", data, tiny, QUICK)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gannotate.segmenters.supervised.LoopConfig", _eager_loop)
        for progress in train_segmenter(data, tiny, QUICK, tmp_path / "cut"):
            if progress.done == 3:
                break  # as a kill between two steps
    assert not (tmp_path / "cut" / "config.json").exists()
    run(tmp_path / "cut", data, tiny, QUICK)

    whole, cut = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    for name, tensor in whole.items():
        torch.testing.assert_close(cut[name], tensor, atol=0, rtol=0, msg=name)

    with pytest.raises(UsageError, match="had other settings; resume it with the same ones"):
        run(tmp_path / "cut", data, tiny, replace(QUICK, batch=3))
    with pytest.raises(UsageError, match="had other data"):
        run(tmp_path / "cut", squares(4, soft=True), tiny, QUICK)


def _eager_loop(**settings: Any) -> LoopConfig:
    """Saves a checkpoint after every step."""
    return LoopConfig(**settings, checkpoint_s=0.0)


def test_a_finished_training_stays_as_it_is(tmp_path: Path, tiny: SegmenterConfig, squares: Squares) -> None:
    run(tmp_path, squares(3), tiny, QUICK)
    before = {name: (tmp_path / name).read_bytes() for name in ("config.json", "model.safetensors")}
    run(tmp_path, squares(3), tiny, QUICK)
    assert before == {name: (tmp_path / name).read_bytes() for name in before}


def test_the_seed_is_the_training(tmp_path: Path, tiny: SegmenterConfig, squares: Squares) -> None:
    data = squares(3)
    weights = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.manual_seed(len(weights))  # what the caller does with the global generator does not matter
        run(tmp_path / name, data, tiny, replace(QUICK, seed=seed))
        weights.append(load_file(tmp_path / name / "model.safetensors")["segmentation_head.0.weight"])
    torch.testing.assert_close(weights[0], weights[1], atol=0, rtol=0)
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_tiny_sets_fill_a_batch(tiny: SegmenterConfig, count: int, squares: Squares) -> None:
    trainer = SegmenterTrainer(Stored(squares(count)), tiny, replace(QUICK, batch=4, warp=STILL))
    pictures, label_maps, soft = trainer.augmented(trainer.source.batch(4, torch.device("cpu")))
    assert pictures.shape == (4, 1, SIZE, SIZE)
    assert label_maps.shape == (4, SIZE, SIZE)
    assert soft is None
    assert np.isfinite(trainer.step(0)["loss"])


def test_deeplab_stands_the_smallest_batch(tiny: SegmenterConfig, squares: Squares) -> None:
    config = replace(tiny, architecture="deeplabv3plus", depth=4)
    trainer = SegmenterTrainer(Stored(squares(1)), config, replace(QUICK, batch=2))
    assert np.isfinite(trainer.step(0)["loss"])


def test_without_average_the_last_weights_are_kept(tiny: SegmenterConfig, squares: Squares) -> None:
    trainer = SegmenterTrainer(Stored(squares(2)), tiny, replace(QUICK, ema=0.0))
    trainer.step(0)
    for name, tensor in trainer.network.state_dict().items():
        torch.testing.assert_close(trainer.average.state_dict()[name], tensor, msg=name)


def test_hard_labels_are_used_when_asked_for(squares: Squares) -> None:
    data = squares(2, soft=True)
    assert Stored(data).batch(2, torch.device("cpu")).soft is not None
    assert Stored(data, "hard").batch(2, torch.device("cpu")).soft is None


def test_learning_rate_rises_then_falls_to_zero() -> None:
    factors = [learning_rate_factor(index, 100) for index in range(100)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[5] == 1.0
    assert all(later < earlier for earlier, later in itertools.pairwise(factors[5:]))
    assert factors[-1] < 0.001
    assert learning_rate_factor(0, 1) == 1.0


def test_wrong_inputs_are_named(tmp_path: Path, tiny: SegmenterConfig, squares: Squares) -> None:
    data = squares(2)

    def attempt(**changed: object) -> None:
        SegmenterTrainer(Stored(replace(data, **changed)), tiny, QUICK)  # pyright: ignore[reportArgumentType]

    with pytest.raises(UsageError, match="no labelled pictures"):
        SegmenterTrainer(Stored(data.take([])), tiny, QUICK)
    with pytest.raises(UsageError, match=r"16x16 px with 3 channel\(s\), the segmenter takes 16x16 with 1"):
        SegmenterTrainer(Stored(squares(2, channels=3)), tiny, QUICK)
    with pytest.raises(GannotateError, match=r"p0: unknown class id 7"):
        attempt(label_maps=np.full_like(data.label_maps, 7))
    with pytest.raises(UsageError, match="nothing is labelled"):
        attempt(label_maps=np.full_like(data.label_maps, 255))
    with pytest.raises(UsageError, match="soft labels have shape"):
        attempt(soft=np.zeros((2, CLASSES + 1, SIZE, SIZE), np.float16))
    with pytest.raises(UsageError, match="use soft or hard"):
        SegmenterTraining(labels="both")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="at least 1 step and 2 pictures"):
        SegmenterTraining(batch=1)
    for wrong in ({"ema": 1.0}, {"learning_rate": float("nan")}, {"learning_rate": float("inf")}):
        with pytest.raises(UsageError, match="ema from 0 to below 1"):
            SegmenterTraining(**wrong)
    for decay in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=f"the weight decay is {decay}; give 0"):
            SegmenterTraining(weight_decay=decay)
