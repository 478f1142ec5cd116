"""A decoder and a segmenter that teach each other (Yang et al. 2022, "Learning to Annotate Part Segmentation with
Gradient Matching", algorithms 1 and 2): the segmenter learns from generated pictures with the decoder's labels, the
decoder from what these labels do to the segmenter's loss on labelled real pictures."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Generator as Steps
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from gannotate.data.augment import Augmentation, augment
from gannotate.decoders.base import Decoder
from gannotate.errors import UsageError
from gannotate.fitting.inversion_labels import INVERTED, InversionLabelsConfig, InvertedLessons, invert_all
from gannotate.fitting.optimizers import make_optimizer
from gannotate.fitting.pupil import Pupil, about_task, rate_factor, take_step
from gannotate.fitting.real_task import (
    DrawnPictures,
    RealPictures,
    RealTask,
    SegmenterChoice,
    Watch,
    check_at_least,
    check_one_of,
    check_rate,
    check_task,
    to_side,
)
from gannotate.fitting.teacher import TEACHER, teach_teacher
from gannotate.labels import IGNORE
from gannotate.seeding import stream_seed
from gannotate.segmenters.architectures import Architecture
from gannotate.segmenters.build import SegmenterConfig, build_network, load_segmenter
from gannotate.segmenters.start_weights import RANDOM
from gannotate.training import distributed
from gannotate.training.loop import LoopConfig, Progress, train
from gannotate.training.resuming import check_same
from gannotate.training.shares import part_of_mean, passes

State = Literal["continued", "reinitialised", "fixed"]
"""What becomes of the segmenter: it learns on, starts anew every so many steps, or stays as it started."""

Start = Literal["pretrained", "new"]
"""What the segmenter starts from where one was pre-trained: from that, or from new weights."""


WarmFrom = Literal["teacher", "inversion"]
"""What teaches the decoder before it is matched."""


@dataclass(frozen=True, kw_only=True)
class AlternationConfig(SegmenterChoice):
    """How decoder and segmenter take turns."""

    batch: int = 4
    """Labelled pictures a step; drawn with replacement when there are fewer."""
    segmenter_rate: float = 0.002
    """The segmenter's first step size; it goes as the decoder's."""
    segmenter_state: State = "continued"
    """continued (it learns on), reinitialised (it starts anew every so many steps) or fixed."""
    reinitialise_every: int = 0
    """Decoder steps between new starts, for reinitialised (the paper's ablation: 1)."""
    segmenter_start: Start = "pretrained"
    """Of a pre-trained segmenter: pretrained (it starts as that) or new (that gives the warm start's labels alone)."""
    teacher: Architecture | Literal[""] = ""
    """With segmenter_start new: the network that is pre-trained; another of the segmenter's kind when not given."""
    balance: float = 0.0
    """How much more rare classes count in the segmenter's loss: 0 as the pictures have them, 1 all classes alike."""
    interval: int = 1
    """Decoder steps for each step of the segmenter (the paper's K)."""
    warm_start: int = 0
    """First steps, in which the decoder is taught otherwise."""
    warm_from: WarmFrom = "teacher"
    """By what: teacher (the pre-trained segmenter's labels of generated pictures) or inversion (the labels themselves,
    at the activations that redraw the labelled pictures)."""
    inversion_steps: int = 500
    """Steps of the projector for each labelled picture, for inversion."""
    augment_generated: bool = False
    """Move the generated pictures, with the decoder's labels, as the labelled ones are moved."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate("segmenter rate", self.segmenter_rate)
        check_one_of("segmenter state", self.segmenter_state, get_args(State))
        check_one_of("segmenter start", self.segmenter_start, get_args(Start))
        check_one_of("warm from", self.warm_from, get_args(WarmFrom))
        check_at_least(1, batch=self.batch, interval=self.interval, inversion_steps=self.inversion_steps)
        check_at_least(0, warm_start=self.warm_start, reinitialise_every=self.reinitialise_every)
        if (self.segmenter_state == "reinitialised") != (self.reinitialise_every > 0):
            raise UsageError(
                f"reinitialise every is {self.reinitialise_every} with segmenter state {self.segmenter_state}; give "
                "steps, e.g. 500, with reinitialised, and only there"
            )
        if not 0 <= self.balance <= 1:
            raise UsageError(f"balance is {self.balance}; use 0 (as in the pictures) to 1 (all classes alike)")
        if self.warm_from == "inversion" and not self.warm_start:
            raise UsageError("a warm start from inversion was asked for, of no steps; give warm start, e.g. 200")
        if self.warm_start and self.warm_from == "teacher" and not self.pretrain:
            raise UsageError(
                "a warm start was asked for, but the segmenter is not pre-trained; give pretrain, e.g. 200"
            )
        if self.warm_start and self.warm_start >= self.steps:
            raise UsageError(
                f"the warm start is {self.warm_start} of {self.steps} steps, and nothing would be matched after it; "
                "give more steps or a shorter warm start"
            )
        if self.segmenter_start == "new" and not self.warm_start:
            raise UsageError(
                "segmenter start new leaves a pre-trained segmenter to the warm start, and there is none; give warm "
                "start, its steps, e.g. 150, or leave segmenter start out"
            )
        if self.teacher and self.segmenter_start != "new":
            raise UsageError("a teacher of its own only gives labels to a warm start; give segmenter start new with it")
        if self.augment_generated and not self.augment:
            raise UsageError("the generated pictures move as the labelled ones do, which stand still; leave one out")

    def teacher_config(self, task: RealTask) -> SegmenterConfig:
        """The network that is pre-trained."""
        own = self.segmenter_config(task)
        if not self.teacher:
            return own
        weights = own.weights if self.teacher == self.segmenter else RANDOM
        return replace(own, architecture=self.teacher, encoder="", depth=0, decoder_width=0, weights=weights)


Weights = Mapping[str, Tensor]
"""Parameters of a segmenter by name."""

Labelled = tuple[Float[Tensor, "n c s s"], Int[Tensor, "n s s"]]
"""Pictures and their label maps, 255 = ignore."""

Softly = tuple[Float[Tensor, "n c s s"], Float[Tensor, "n k s s"]]
"""Pictures and their class probabilities."""


class Student:
    """The segmenter that learns beside the decoder.

    network: in training mode throughout, so batch statistics are those of the batch, as in the paper. class_weights:
    how much a pixel of each class counts in its losses. A loss is this process's part of that of all, which is the sum.
    """

    def __init__(self, network: nn.Module, config: AlternationConfig, class_weights: Float[Tensor, " k"]) -> None:
        self.network = network.requires_grad_(True).train()
        self.config, self.class_weights = config, class_weights
        self.optimizer = make_optimizer(network, config.optimizer, config.segmenter_rate)

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """All parameters by name."""
        return dict(self.network.named_parameters())

    def loss(self, labelled: Labelled, weights: Weights | None = None) -> Float[Tensor, ""]:
        """Mean cross-entropy against label maps, with these weights in place of the network's own."""
        pictures, label_maps = labelled
        logits = self._logits(pictures, self.config.batch, weights)
        each = F.cross_entropy(logits, label_maps, self.class_weights, ignore_index=IGNORE, reduction="none")
        return each.sum() / distributed.total((label_maps != IGNORE).sum()).clamp(min=1)

    def soft_loss(self, softly: Softly, weights: Weights | None = None) -> Float[Tensor, ""]:
        """Mean cross-entropy against class probabilities, through which gradients flow."""
        pictures, soft = softly
        each = soft * self._logits(pictures, self.config.generated, weights).log_softmax(1)
        return part_of_mean(-(each * self.class_weights[:, None, None]).sum(1).mean(), self.config.generated)

    def learn(self, softly: Softly, factor: float) -> float:
        """One step on pictures with class probabilities; returns the loss."""
        loss = self.soft_loss(softly)
        return take_step(self.optimizer, loss, self.network.parameters(), self.config.segmenter_rate * factor)

    def _logits(self, pictures: Tensor, samples: int, weights: Weights | None) -> Tensor:
        """Of this process's part of so many pictures, in whose batch norms all of them count."""
        (share,) = passes(samples)
        with share:
            if weights is None:
                return self.network(pictures)
            return functional_call(self.network, dict(weights), (pictures,))


Objective = Callable[[Student, Labelled, Sequence[Softly]], Float[Tensor, ""]]
"""What the decoder lowers: a function of the segmenter, labelled pictures, and generated ones with its own labels.

Of several processes each gives its part, and the sum is lowered."""


class AlternatingTrainer:
    """One decoder step after another, with a step of the segmenter after every `interval` of them.

    `draws` batches of generated pictures go to the objective. `teacher` is the folder of the pre-trained segmenter,
    `inverted` are the files of the inverted labelled pictures, where the warm start needs them.
    """

    def __init__(
        self,
        task: RealTask,
        config: AlternationConfig,
        objective: Objective,
        draws: int = 1,
        teacher: Path | None = None,
        inverted: Sequence[Path] = (),
    ) -> None:
        check_task(task, config)
        self.task, self.config, self.objective, self.draws = task, config, objective, draws
        self.pupil = Pupil(task, config)
        self.teacher = None if teacher is None else load_segmenter(teacher, task.device)[0]
        self.lessons = InvertedLessons(task, config.batch, inverted, self.pupil.decoder) if inverted else None
        self.class_weights = class_weights(task.labelled.label_maps, len(task.classes), config.balance).to(task.device)
        self.student = Student(self._new_network(0), config, self.class_weights)
        self.labelled = RealPictures(task, config.augment)
        self.drawn = DrawnPictures(task, config, self.pupil.decoder.tap_names)
        self.about = about_task(task, config)

    def step(self, index: int) -> dict[str, float]:
        """One step of the decoder, and where its turn has come, one of the segmenter."""
        config = self.config
        if config.segmenter_state == "reinitialised" and index and index % config.reinitialise_every == 0:
            self.student = Student(self._new_network(index), config, self.class_weights)
        found = {"loss": self._teach_decoder(index)}
        if config.segmenter_state != "fixed" and (index + 1) % config.interval == 0:
            found["segmenter_loss"] = self._teach_segmenter(rate_factor(config, index))
        return found

    def _teach_decoder(self, index: int) -> float:
        self.pupil.decoder.train()
        if index < self.config.warm_start:
            loss = self._warm_loss()
        else:
            if index == self.config.warm_start:
                self.pupil.forget_steps()
            labelled = self.labelled(self.config.batch)
            generated = [self._labelled_by_decoder() for _ in range(self.draws)]
            loss = self.objective(self.student, labelled, generated)
        return self.pupil.learn(loss, index)

    def _teach_segmenter(self, factor: float) -> float:
        self.pupil.decoder.eval()
        with torch.no_grad():
            softly = self._labelled_by_decoder()
        return self.student.learn(softly, factor)

    def _labelled_by_decoder(self) -> Softly:
        (share,) = passes(self.config.generated)
        with share:
            pictures, taps = self.drawn(len(share.place))
            softly = self._to_side(pictures), self._to_side(self.pupil.decoder(taps).softmax(1))
            return move(softly, self.task.augmentation) if self.config.augment_generated else softly

    def _warm_loss(self) -> Tensor:
        if self.lessons is not None:
            return self.lessons.loss(self.pupil.decoder)
        assert self.teacher is not None
        (share,) = passes(self.config.generated)
        with share:
            pictures, taps = self.drawn(len(share.place))
            with torch.no_grad():
                soft = self.teacher(self._to_side(pictures)).softmax(1)
            told = self._to_side(self.pupil.decoder(taps).log_softmax(1))
        return part_of_mean(-(soft * told).sum(1).mean(), self.config.generated)

    def _to_side(self, x: Tensor) -> Tensor:
        return to_side(x, self.config.picture_size(self.task.generator)).contiguous(memory_format=torch.channels_last)

    def _new_network(self, index: int) -> nn.Module:
        """The pre-trained network; where there is none to start from, one with weights drawn for step `index`."""
        if self.teacher is not None and self.config.segmenter_start == "pretrained":
            return copy.deepcopy(self.teacher)
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(self.config.seed, "segmenter", index))
            network = build_network(self.config.segmenter_config(self.task))
        return network.to(self.task.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def finish(self) -> Decoder:
        """The averaged decoder, in evaluation mode."""
        return self.pupil.average

    def state(self) -> dict[str, Any]:
        """Weights, average and optimizers of both, and what is learned from what."""
        return {
            "about": self.about,
            "pupil": self.pupil.state(),
            "segmenter": self.student.network.state_dict(),
            "segmenter_optimizer": self.student.optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave.

        Raises:
            UsageError: the state is of a fit with other settings or pictures.
        """
        check_same(state["about"], self.about, "fit")
        self.pupil.load_state(state["pupil"])
        self.student.network.load_state_dict(state["segmenter"])
        self.student.optimizer.load_state_dict(state["segmenter_optimizer"])


def move(softly: Softly, how: Augmentation) -> Softly:
    """Pictures and their class probabilities moved together; a pixel from outside has probability 0 for every class."""
    pictures, soft = softly
    nothing = torch.zeros(len(soft), *soft.shape[2:], dtype=torch.long, device=soft.device)
    pictures, outside, moved = augment(pictures, nothing, soft, how)
    assert moved is not None
    return pictures.contiguous(memory_format=torch.channels_last), moved * (outside != IGNORE).unsqueeze(1)


def class_weights(label_maps: np.ndarray, classes: int, balance: float) -> Float[Tensor, " k"]:
    """How much a pixel of each class counts: (1 / its part of the labelled pixels) ^ balance, 1 on average over them.

    A class that no label map shows counts as the rarest one.
    """
    counts = np.bincount(label_maps[label_maps != IGNORE], minlength=classes)[:classes].astype(np.float64)
    rarest = counts[counts > 0].min()
    weights = np.where(counts > 0, counts, rarest) ** -balance
    return torch.from_numpy(weights * counts.sum() / (weights * counts).sum()).float()


def alternate(
    task: RealTask,
    config: AlternationConfig,
    objective: Objective,
    draws: int,
    folder: Path,
    resume: bool,
    minutes: float | None,
) -> Steps[Progress, None, Decoder]:
    """Trains the segmenter's start or inverts the labelled pictures where asked, then teaches both in turns.

    Returns the decoder.

    Raises:
        UsageError: the settings or pictures cannot be used.
    """
    check_task(task, config)
    if config.pretrain:
        minutes = None if minutes is None else minutes / 2
        yield from teach_teacher(task, config, folder, resume, minutes)
    inverted: list[Path] = []
    if config.warm_from == "inversion":
        inverted = yield from invert_all(task, _inversion(task, config), folder / INVERTED, resume)
    teacher = folder / TEACHER if config.pretrain else None
    trainer = AlternatingTrainer(task, config, objective, draws, teacher, inverted)
    loop = LoopConfig(steps=config.steps, minutes=minutes, seed=config.seed)
    yield from train(trainer, folder, loop, Watch.of(task, trainer.finish, config.steps), resume)
    return trainer.finish()


def _inversion(task: RealTask, config: AlternationConfig) -> InversionLabelsConfig:
    if config.picture_size(task.generator) != task.generator.size:
        raise UsageError(
            f"the labelled pictures are read at {config.picture_size(task.generator)} px, and the generator, into "
            f"which a warm start from inversion brings them, draws {task.generator.size}; leave the segmenter's size "
            "out"
        )
    return InversionLabelsConfig(steps=config.warm_start, inversion_steps=config.inversion_steps)
