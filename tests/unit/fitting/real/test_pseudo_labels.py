"""Pseudo-labels: what the teacher is not sure of teaches nothing, and the teacher is trained once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gannotate.decoders.base import Decoder
from gannotate.decoders.build import load_decoder, make_decoder, read_decoder_config
from gannotate.errors import UsageError
from gannotate.fitting.pseudo_labels import PseudoLabelsConfig, PseudoLessons
from gannotate.fitting.pupil import LessonTrainer
from gannotate.fitting.real import fit_real
from gannotate.fitting.real_task import score
from gannotate.generators.stylegan2 import StyleGAN2
from gannotate.labels import IGNORE
from gannotate.training.loop import Progress

from .tasks import bright_task, changed

QUICK: dict[str, Any] = {
    "segmenter": "unet-classic",
    "segmenter_width": 8,
    "pretrain": 30,
    "steps": 30,
    "learning_rate": 0.01,
    "generated": 2,
}


class BrightTeacher(nn.Module):
    """Says bright with the probability of the pixel's value: sure of the bright and the dark ones."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        grey = x.mean(1, keepdim=True)
        return torch.cat([-4 * grey, 4 * grey], 1)


def test_labels_below_the_threshold_are_ignored(tiny: StyleGAN2) -> None:
    task = bright_task(tiny, 2)
    config = PseudoLabelsConfig(**changed(QUICK, confidence=0.9))
    decoder = make_decoder("light", tiny, 2)
    lessons = PseudoLessons(task, config, BrightTeacher(), decoder)
    pictures = torch.tensor([-1.0, -0.1, 0.1, 1.0]).repeat(1, 1, 16, 4)
    found = lessons.labels(pictures)
    expected = torch.tensor([0, IGNORE, IGNORE, 1]).repeat(16, 4)
    torch.testing.assert_close(found[0], expected)
    everything = PseudoLessons(task, PseudoLabelsConfig(**changed(QUICK, confidence=0.0)), BrightTeacher(), decoder)
    assert bool((everything.labels(pictures) != IGNORE).all())
    logits, labels = lessons(decoder)
    assert logits.shape == (2, 2, 16, 16)
    assert labels.shape == (2, 16, 16)


def test_the_decoder_learns_what_the_teacher_says(tiny: StyleGAN2) -> None:
    task = bright_task(tiny, 2)
    config = PseudoLabelsConfig(**changed(QUICK, confidence=0.6, steps=80, generated=4))
    made: list[PseudoLessons] = []

    def lessons(decoder: Decoder) -> PseudoLessons:
        made.append(PseudoLessons(task, config, BrightTeacher(), decoder))
        return made[0]

    trainer = LessonTrainer(task, config, lessons)

    def agreement() -> float:
        torch.manual_seed(7)
        with torch.no_grad():
            logits, labels = made[0](trainer.finish())
        known = labels != IGNORE
        return float((logits.argmax(1) == labels)[known].float().mean())

    before = agreement()
    for index in range(80):
        torch.manual_seed(index)
        trainer.step(index)
    assert agreement() > max(0.6, before + 0.05)


def test_a_fit_leaves_the_teacher_and_says_what_it_did(tiny: StyleGAN2, tmp_path: Path) -> None:
    task = bright_task(tiny, 2, held_out=2)
    list(fit_real(task, PseudoLabelsConfig(**changed(QUICK, pretrain=2, steps=2)), tmp_path))
    assert (tmp_path / "teacher" / "model.safetensors").exists()
    assert not (tmp_path / "teacher" / "checkpoint.safetensors").exists()
    about = read_decoder_config(tmp_path)["about"]
    assert about["method"] == "pseudo-labels"
    assert about["held_out"] == pytest.approx(score(task, load_decoder(tmp_path)), abs=1e-6)


def test_a_teacher_that_is_there_is_kept_and_another_is_trained_for_other_pictures(
    tiny: StyleGAN2, tmp_path: Path
) -> None:
    config = PseudoLabelsConfig(**changed(QUICK, pretrain=2, steps=2))

    def run(count: int) -> list[Progress]:
        (tmp_path / "checkpoint.safetensors").unlink(missing_ok=True)
        return list(fit_real(bright_task(tiny, count), config, tmp_path))

    assert len(run(2)) == 4
    assert len(run(2)) == 2
    assert len(run(3)) == 4


def test_wrong_settings() -> None:
    with pytest.raises(UsageError, match="confidence is 1"):
        PseudoLabelsConfig(pretrain=1, confidence=1)
    with pytest.raises(UsageError, match="give pretrain, its steps"):
        PseudoLabelsConfig()
