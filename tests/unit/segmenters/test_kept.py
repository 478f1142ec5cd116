"""Kept networks: each is the network of its step, whoever cut the training off, and is a segmenter like any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gannotate.data.labelled import LabelledSet
from gannotate.errors import UsageError
from gannotate.fitting.simulate import about_segmenter
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.kept import KEPT, called, holds_kept, kept_networks, training_of
from gannotate.segmenters.predict import Segmenter
from gannotate.segmenters.semi_supervised.build import train_semi_supervised
from gannotate.segmenters.supervised import SegmenterTraining, train_segmenter
from gannotate.training.checkpoint import load_checkpoint
from gannotate.training.loop import LoopConfig

Squares = Callable[..., LabelledSet]

QUICK = SegmenterTraining(steps=7, batch=4, keep_every=3, photometric=True)


def run(folder: Path, data: LabelledSet, config: SegmenterConfig, training: SegmenterTraining = QUICK) -> Path:
    """Trains to the end; gives the folder of kept networks."""
    for _ in train_segmenter(data, config, training, folder, source="exact"):
        pass
    return folder / KEPT


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(folder: Path) -> list[str]:
    return [path.name for path in kept_networks(folder)]


@pytest.mark.parametrize(
    ("steps", "every", "kept"),
    [(7, 3, [3, 6, 7]), (6, 3, [3, 6]), (2, 2, [2]), (3, 1, [1, 2, 3])],
)
def test_every_so_many_steps_and_the_last_are_kept(
    tmp_path: Path, tiny: SegmenterConfig, squares: Squares, steps: int, every: int, kept: list[int]
):
    folder = run(tmp_path, squares(3), tiny, replace(QUICK, steps=steps, keep_every=every))
    assert names(folder) == [f"step-{done:06d}" for done in kept]
    last = kept_networks(folder)[-1]
    assert (last / "model.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_a_kept_network_is_the_averaged_one_at_its_step(tmp_path: Path, tiny: SegmenterConfig, squares: Squares):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gannotate.segmenters.supervised.LoopConfig", _eager_loop)
        for progress in train_segmenter(squares(3), tiny, QUICK, tmp_path):
            if progress.done == 3:
                break
    saved = load_checkpoint(tmp_path / "checkpoint.safetensors")["trainer"]
    kept = load_file(tmp_path / KEPT / "step-000003" / "model.safetensors")
    for name, tensor in saved["average"].items():
        torch.testing.assert_close(kept[name], tensor, atol=0, rtol=0, msg=name)
    assert any(not torch.equal(kept[name], tensor) for name, tensor in saved["network"].items())


def test_a_kept_network_is_that_of_a_training_stopped_there(tmp_path: Path, tiny: SegmenterConfig, squares: Squares):
    # by its time: with fewer steps the step size would fall sooner, and the network be another one
    data = squares(3)
    folder = run(tmp_path / "whole", data, tiny, replace(QUICK, steps=3, keep_every=1))
    run(tmp_path / "stopped", data, tiny, replace(QUICK, steps=3, keep_every=None, minutes=1e-9))
    stopped = (tmp_path / "stopped" / "model.safetensors").read_bytes()
    assert (folder / "step-000001" / "model.safetensors").read_bytes() == stopped


def test_keeping_changes_nothing_of_the_training(tmp_path: Path, tiny: SegmenterConfig, squares: Squares):
    data = squares(3)
    run(tmp_path / "kept", data, tiny)
    run(tmp_path / "plain", data, tiny, replace(QUICK, keep_every=None))
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("kept", "plain"))
    assert first == second
    assert not (tmp_path / "plain" / KEPT).exists()
    settings = json.loads((tmp_path / "plain" / "config.json").read_text())["about"]["settings"]
    assert "keep_every" not in settings  # as older versions wrote it, so that their trainings go on


@pytest.mark.parametrize("cut", [2, 3, 5])
def test_a_resumed_training_keeps_the_same(tmp_path: Path, tiny: SegmenterConfig, squares: Squares, cut: int):
    data = squares(3)
    whole = contents(run(tmp_path / "whole", data, tiny))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gannotate.segmenters.supervised.LoopConfig", _eager_loop if cut > 2 else LoopConfig)
        for progress in train_segmenter(data, tiny, QUICK, tmp_path / "cut", source="exact"):
            if progress.done == cut:
                break  # as a kill between two steps
    torn = tmp_path / "cut" / KEPT / "step-000006" / "model.safetensors"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"of a write that was killed")
    assert "step-000006" not in [path.name for path in (tmp_path / "cut" / KEPT).glob("*/config.json")]
    assert contents(run(tmp_path / "cut", data, tiny)) == whole


def test_what_a_longer_training_does_not_keep_is_dropped(tmp_path: Path, tiny: SegmenterConfig, squares: Squares):
    data, short = squares(3), replace(QUICK, minutes=1e-9)
    assert names(run(tmp_path, data, tiny, short)) == ["step-000001"]  # it had no more time
    assert names(run(tmp_path, data, tiny, replace(QUICK, minutes=1.0))) == [f"step-{done:06d}" for done in (3, 6, 7)]


def test_a_kept_network_is_a_segmenter(tmp_path: Path, tiny: SegmenterConfig, squares: Squares):
    place = kept_networks(run(tmp_path / "0001-unet", squares(3), tiny))[0]
    assert Segmenter.load(place).predict(squares(2).pictures).shape == (2, 16, 16)
    about = json.loads((place / "config.json").read_text())["about"]
    assert (about["label_source"], about["pictures"], about["trained"]) == ("exact", 3, {"steps": 3})
    assert (called(place), training_of(place).name) == ("0001-unet/kept/step-000003", "0001-unet")
    assert (called(tmp_path / "0001-unet"), training_of(tmp_path)) == ("0001-unet", tmp_path)
    record = {"format_version": 1, "verb": "train", "status": "done", "config": {}, "result": {}}
    (tmp_path / "0001-unet" / "run.json").write_text(json.dumps({**record, "about": {"labels": 5}}))
    assert about_segmenter(place)["labels"] == 5  # of the training, which alone knows how many were annotated


@pytest.mark.parametrize("method", ["mean-teacher", "gct"])
def test_semi_supervised_trainings_keep_the_network_that_they_give(
    tmp_path: Path, tiny: SegmenterConfig, squares: Squares, method: str
):
    training = replace(QUICK, steps=2, keep_every=1)
    unlabelled = squares(4, seed=5).pictures
    for _ in train_semi_supervised(method, squares(3), unlabelled, tiny, training, None, tmp_path):
        pass
    assert names(tmp_path / KEPT) == ["step-000001", "step-000002"]
    last = tmp_path / KEPT / "step-000002"
    assert (last / "model.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()
    assert np.isfinite(Segmenter.load(last.with_name("step-000001")).predict(unlabelled)).all()


@pytest.mark.parametrize("every", [0, -1, 8])
def test_what_keeps_nothing_is_refused(every: int):
    with pytest.raises(UsageError, match=f"keep-every is {every}, of 7 steps; give 1 to 7, or leave it out"):
        replace(QUICK, keep_every=every)


def test_a_training_goes_on_with_the_same_kept_networks_only(tmp_path: Path, tiny: SegmenterConfig, squares: Squares):
    run(tmp_path, squares(3), tiny)
    with pytest.raises(UsageError, match="had other settings"):
        run(tmp_path, squares(3), tiny, replace(QUICK, keep_every=2))


def test_a_folder_without_kept_networks_says_how_they_are_made(tmp_path: Path):
    with pytest.raises(UsageError, match="holds no kept networks; train with `--keep-every N`"):
        kept_networks(tmp_path)
    assert not holds_kept(tmp_path)


def _eager_loop(**settings: Any) -> LoopConfig:
    """Saves a checkpoint after every step."""
    return LoopConfig(**settings, checkpoint_s=0.0)
