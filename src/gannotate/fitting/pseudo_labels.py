"""Pseudo-labels (Lee 2013; as a rival in Yang et al. 2022, appendix C.1): a segmenter that was trained on the labelled
real pictures labels generated ones, and the decoder learns from these labels."""

from __future__ import annotations

from collections.abc import Generator as Steps
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.decoders.base import Decoder
from gannotate.errors import UsageError
from gannotate.fitting.pupil import LessonTrainer
from gannotate.fitting.real_task import DrawnPictures, RealTask, SegmenterChoice, Watch, check_task, to_side
from gannotate.fitting.teacher import TEACHER, teach_teacher
from gannotate.labels import IGNORE
from gannotate.segmenters.build import load_segmenter
from gannotate.training.loop import LoopConfig, Progress, train
from gannotate.training.shares import own_place


@dataclass(frozen=True, kw_only=True)
class PseudoLabelsConfig(SegmenterChoice):
    """How a decoder learns from a segmenter's labels."""

    confidence: float = 0.9
    """A pixel teaches when the segmenter gives its class at least this probability; 0 lets all teach."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.confidence < 1:
            raise UsageError(f"confidence is {self.confidence}; use 0 (every pixel teaches) up to, but not, 1")
        if not self.pretrain:
            raise UsageError("pseudo-labels come from a pre-trained segmenter; give pretrain, its steps, e.g. 500")


class PseudoLessons:
    """Generated pictures with the labels that the teacher is sure of."""

    def __init__(self, task: RealTask, config: PseudoLabelsConfig, teacher: torch.nn.Module, decoder: Decoder) -> None:
        self.config, self.teacher = config, teacher.eval()
        self.size, self.side = task.generator.size, config.picture_size(task.generator)
        self.drawn = DrawnPictures(task, config, decoder.tap_names)

    @property
    def samples(self) -> int:
        """Pictures that a step is shown in all."""
        return self.config.generated

    def __call__(self, decoder: Decoder) -> tuple[Float[Tensor, "n k h w"], Int[Tensor, "n h w"]]:
        """Logits of the decoder for fresh pictures, and labels, 255 where the teacher is not sure."""
        pictures, taps = self.drawn(len(own_place(self.samples)))
        return decoder(taps), self.labels(pictures)

    @torch.no_grad()
    def labels(self, pictures: Float[Tensor, "n c h w"]) -> Int[Tensor, "n h w"]:
        """What the teacher says of pictures in [-1, 1]."""
        probabilities = to_side(self.teacher(to_side(pictures, self.side)).softmax(1), self.size)
        largest, labels = probabilities.max(dim=1)
        return labels.masked_fill(largest < self.config.confidence, IGNORE)


def fit_pseudo_labels(
    task: RealTask, config: PseudoLabelsConfig, folder: Path, resume: bool, minutes: float | None
) -> Steps[Progress, None, Decoder]:
    """Trains the segmenter, then the decoder; the latter is what it returns.

    Raises:
        UsageError: the settings or pictures cannot be used.
    """
    check_task(task, config)
    minutes = None if minutes is None else minutes / 2
    yield from teach_teacher(task, config, folder, resume, minutes)
    teacher, _ = load_segmenter(folder / TEACHER, task.device)
    trainer = LessonTrainer(task, config, lambda decoder: PseudoLessons(task, config, teacher, decoder))
    loop = LoopConfig(steps=config.steps, minutes=minutes, seed=config.seed)
    yield from train(trainer, folder, loop, Watch.of(task, trainer.finish, config.steps), resume)
    return trainer.finish()
