"""The segmenter that learns first: kept when it learned to its end, gone on with when its time was over."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gannotate.fitting.pseudo_labels import PseudoLabelsConfig
from gannotate.fitting.real_task import RealTask
from gannotate.fitting.teacher import TEACHER, teach_teacher
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.segmenters.build import load_segmenter

from .tasks import bright_task

CONFIG = PseudoLabelsConfig(segmenter="unet-classic", segmenter_width=8, pretrain=3)


@pytest.fixture
def task(tiny: StyleGAN2) -> RealTask:
    """Two labelled pictures."""
    return bright_task(tiny, 2)


def teach(task: RealTask, folder: Path, resume: bool = True, minutes: float | None = None) -> list[int]:
    """The steps whose progress was told."""
    return [progress.done for progress in teach_teacher(task, CONFIG, folder, resume, minutes)]


def weights(folder: Path) -> torch.Tensor:
    network, _ = load_segmenter(folder / TEACHER)
    return torch.cat([tensor.flatten() for tensor in network.state_dict().values()])


def test_a_finished_one_is_kept(task: RealTask, tmp_path: Path) -> None:
    assert teach(task, tmp_path) == [1, 2, 3]
    assert teach(task, tmp_path) == teach(task, tmp_path, minutes=5.0) == []
    assert not (tmp_path / TEACHER / "checkpoint.safetensors").exists()
    assert teach(task, tmp_path, resume=False) == [1, 2, 3]


@pytest.mark.parametrize("text", ["{", "[]"])
def test_one_of_which_nobody_knows_what_it_learned_is_taught_again(task: RealTask, tmp_path: Path, text: str) -> None:
    assert teach(task, tmp_path) == [1, 2, 3]
    before = weights(tmp_path)
    (tmp_path / TEACHER / "learned.json").write_text(text)
    assert teach(task, tmp_path) == [1, 2, 3]
    assert torch.equal(weights(tmp_path), before)
    assert teach(task, tmp_path) == []


def test_one_that_was_cut_off_is_used_but_not_taken_for_finished(task: RealTask, tmp_path: Path) -> None:
    assert teach(task, tmp_path / "cut", minutes=1e-9) == [1]
    half = weights(tmp_path / "cut")
    assert teach(task, tmp_path / "cut", minutes=1e-9) == [1]  # no more time: as it was
    assert torch.equal(weights(tmp_path / "cut"), half)
    assert teach(task, tmp_path / "cut", minutes=5.0) == [2, 3]
    assert teach(task, tmp_path / "cut", minutes=5.0) == []
    teach(task, tmp_path / "whole")
    assert torch.equal(weights(tmp_path / "cut"), weights(tmp_path / "whole"))


def test_one_that_is_cut_off_in_place_of_a_finished_one(task: RealTask, tmp_path: Path) -> None:
    teach(task, tmp_path)
    assert teach(task, tmp_path, resume=False, minutes=1e-9) == [1]
    assert teach(task, tmp_path) == [2, 3]
