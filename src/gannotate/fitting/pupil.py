"""A decoder that learns, with its averaged weights and its optimizer: what every method on real labels has."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.decoders.base import Decoder
from gannotate.decoders.build import make_decoder
from gannotate.fitting.lessons import SharedLessons
from gannotate.fitting.optimizers import make_optimizer
from gannotate.fitting.real_task import RealConfig, RealTask, settings_of
from gannotate.seeding import stream_seed
from gannotate.training import distributed
from gannotate.training.average import follow
from gannotate.training.losses import shared_cross_entropy
from gannotate.training.resuming import check_same, plain
from gannotate.training.schedules import half_cosine, set_rate
from gannotate.training.shares import passes

LARGEST = 1e5
"""What an infinite gradient becomes, as in the paper's code; one that is not a number becomes 0."""


class Pupil:
    """The decoder of a task; `average` is the one to keep."""

    def __init__(self, task: RealTask, config: RealConfig) -> None:
        self.config = config
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(config.seed, "decoder"))
            self.decoder = make_decoder(config.kind, task.read_from, len(task.classes), config.decoder).to(task.device)
        self.average = copy.deepcopy(self.decoder).requires_grad_(False).eval()
        self.optimizer = make_optimizer(self.decoder, config.optimizer, config.learning_rate)

    def learn(self, loss: Tensor, index: int) -> float:
        """Step `index`, down a loss of the decoder's answers; returns the loss."""
        config = self.config
        rate = config.learning_rate * rate_factor(config, index)
        value = take_step(self.optimizer, loss, self.decoder.parameters(), rate)
        follow(self.average, self.decoder, config.ema, index)
        return value

    def forget_steps(self) -> None:
        """Makes the optimizer anew, where another kind of loss begins: what Adam knows of the old one's gradients would
        make the first steps down the new one far too large or too small."""
        self.optimizer = make_optimizer(self.decoder, self.config.optimizer, self.config.learning_rate)

    def state(self) -> dict[str, Any]:
        """Weights, average and optimizer."""
        return {
            "decoder": self.decoder.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.decoder.load_state_dict(state["decoder"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])


class LessonTrainer:
    """Teaches a decoder from lessons: logits, and the labels that they should have. Several processes share each."""

    def __init__(self, task: RealTask, config: RealConfig, lessons: Callable[[Decoder], SharedLessons]) -> None:
        self.pupil = Pupil(task, config)
        self.lessons = lessons(self.pupil.decoder)
        self.about = about_task(task, config)

    def step(self, index: int) -> dict[str, float]:
        """One step on one lesson."""
        self.pupil.decoder.train()
        return {"loss": self.pupil.learn(lesson_loss(self.lessons, self.pupil.decoder), index)}

    def finish(self) -> Decoder:
        """The averaged decoder, in evaluation mode."""
        return self.pupil.average

    def state(self) -> dict[str, Any]:
        """What is learned from what, and how far it is."""
        return {"about": self.about, "pupil": self.pupil.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave.

        Raises:
            UsageError: the state is of a fit with other settings or pictures.
        """
        check_same(state["about"], self.about, "fit")
        self.pupil.load_state(state["pupil"])


def lesson_loss(lessons: SharedLessons, decoder: Decoder) -> Float[Tensor, ""]:
    """Mean cross-entropy of one lesson: this process's part of it, in whose batch norms all of it counts."""
    (share,) = passes(lessons.samples)
    with share:
        return shared_cross_entropy(*lessons(decoder))


def about_task(task: RealTask, config: RealConfig) -> dict[str, Any]:
    """What a decoder is fitted with: settings, how pictures are drawn, names and a hash of the labelled pictures."""
    told = {"settings": settings_of(config), "options": plain(asdict(task.options)), "labelled": task.about_labelled()}
    return told if task.source is None else told | {"features": task.source.about()}


def take_step(optimizer: torch.optim.Optimizer, loss: Tensor, parameters: Iterable[nn.Parameter], rate: float) -> float:
    """Lowers the sum of all processes' `loss`, which it returns, by these parameters alone.

    What is not finite in a gradient does no harm.
    """
    set_rate(optimizer, rate)
    moved = list(parameters)
    for parameter, gradient in zip(moved, torch.autograd.grad(loss, moved, allow_unused=True), strict=True):
        parameter.grad = gradient
    (value,) = distributed.sum_gradients(moved, loss)
    for parameter in moved:
        if parameter.grad is not None:
            parameter.grad = parameter.grad.nan_to_num(nan=0.0, posinf=LARGEST, neginf=-LARGEST)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return value


def rate_factor(config: RealConfig, index: int) -> float:
    """Part of the first step sizes at step `index`."""
    return half_cosine(index, config.steps) if config.rate == "cosine" else 1.0
