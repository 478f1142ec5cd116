"""A segmenter that learns from the labelled real pictures first: the one that gives pseudo-labels, and a pre-trained
start of the one that learns beside the decoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from gannotate.data.augment import STILL, Augmentation
from gannotate.files import drop, write_json
from gannotate.fitting.real_task import RealTask, SegmenterChoice
from gannotate.parsing import still_says
from gannotate.segmenters.supervised import SegmenterTraining, train_segmenter
from gannotate.training import distributed
from gannotate.training.loop import Progress

TEACHER = "teacher"
"""Its folder in the decoder's."""


def teach_teacher(
    task: RealTask, config: SegmenterChoice, folder: str | Path, resume: bool = True, minutes: float | None = None
) -> Iterator[Progress]:
    """Trains a segmenter on the labelled pictures; iterating to the end leaves it in `folder`/teacher.

    One that is there already and learned the same to its last step is kept (with `resume`); one that was stopped goes
    on, and so does one that `minutes` cut off, when it is given more of them.

    Raises:
        UsageError: the settings or pictures cannot be used.
    """
    own, network, training = Path(folder) / TEACHER, config.teacher_config(task), _training(task, config, minutes)
    learned = {"network": asdict(network), "settings": asdict(_training(task, config)), "data": task.about_labelled()}
    note = own / "learned.json"
    if distributed.from_first(lambda: resume and still_says(note, learned)):
        drop(own / "checkpoint.safetensors")  # of one that was killed at its very end
        return
    done, source = 0, "labelled real pictures"
    for progress in train_segmenter(task.labelled, network, training, own, resume, source, task.device):
        if distributed.is_first():
            drop(note)  # of another, or of one that is not resumed
        done = progress.done
        yield progress

    def conclude() -> None:
        if done == training.steps:
            write_json(note, learned)
            drop(own / "checkpoint.safetensors")

    distributed.from_first(conclude)  # the others go on once it is there to be read


def _training(task: RealTask, config: SegmenterChoice, minutes: float | None = None) -> SegmenterTraining:
    how = task.augmentation if config.augment else Augmentation(warp=STILL)
    return SegmenterTraining(
        steps=config.pretrain,
        warp=how.warp,
        mirror=how.mirror,
        turn90=how.turn90,
        photometric=how.photometric,
        minutes=minutes,
        seed=config.seed,
    )
