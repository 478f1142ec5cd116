"""One step of fitting a decoder to a few annotated pictures of its generator, for the common training loop."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gannotate.decoders.base import Decoder
from gannotate.decoders.build import make_decoder
from gannotate.fitting.config import FitConfig
from gannotate.fitting.lessons import make_lessons
from gannotate.fitting.optimizers import make_optimizer
from gannotate.fitting.shot import Shot, check_shots
from gannotate.generators.base import DrawOptions, Generator
from gannotate.labels import IGNORE
from gannotate.seeding import stream_seed
from gannotate.training.average import follow
from gannotate.training.descent import Compute, Descent
from gannotate.training.loop import Hook
from gannotate.training.losses import masked_cross_entropy_and_count
from gannotate.training.resuming import check_same
from gannotate.training.schedules import half_cosine, set_rate
from gannotate.training.shares import Share


class FitTrainer:
    """Teaches a decoder by gradient steps; `finish()` gives the decoder to keep."""

    def __init__(
        self,
        generator: Generator,
        shots: Sequence[Shot],
        classes: int,
        config: FitConfig,
        options: DrawOptions,
        compute: Compute | None = None,
    ) -> None:
        check_shots(shots, classes, generator.size)
        self.config = config
        self.descent = Descent(Compute.only(compute, "a decoder's fit", "accumulate"), least=2 if config.pixels else 1)
        device = next(generator.parameters()).device
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(config.seed, "decoder"))
            self.decoder = make_decoder(config.kind, generator, classes, config.decoder).to(device)
        self.average = copy.deepcopy(self.decoder).requires_grad_(False)
        self.lessons = make_lessons(generator.eval(), shots, self.decoder, config, options)
        self.optimizer = make_optimizer(self.decoder, config.optimizer, config.learning_rate, config.weight_decay)
        self.best_loss, self.best_step = math.inf, 0
        self.about = about_fit(shots, classes, config, options)

    def step(self, index: int) -> dict[str, float]:
        """One step on a few annotated pictures, or on a sample of their pixels."""
        config = self.config
        set_rate(self.optimizer, config.learning_rate * rate_factor(config, index))
        self.decoder.train()

        def loss_of(share: Share) -> tuple[Tensor, Tensor]:
            return masked_cross_entropy_and_count(*self.lessons(self.decoder), smoothing=config.label_smoothing)

        value = self.descent(self.decoder.parameters(), self.lessons.samples, loss_of)
        self.optimizer.step()
        follow(self.average, self.decoder, config.ema, index)
        if value < self.best_loss:
            self.best_loss, self.best_step = value, index
        return {"loss": value, **self.descent.metrics(self.lessons.samples)}

    def out_of_patience(self, done: int) -> bool:
        """Whether `patience` ends the fit after `done` steps."""
        config = self.config
        return bool(config.patience) and done >= config.patience_from and done - self.best_step > config.patience

    def finish(self) -> Decoder:
        """The averaged decoder, in evaluation mode."""
        return self.average.eval()

    def state(self) -> dict[str, Any]:
        """Weights, average, optimizer and what was fitted."""
        return {
            "about": self.about,
            "decoder": self.decoder.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": {"loss": self.best_loss, "step": self.best_step},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave.

        Raises:
            UsageError: the state is of a fit with other settings or annotations.
        """
        check_same(state["about"], self.about, "fit")
        self.decoder.load_state_dict(state["decoder"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best_loss, self.best_step = state["best"]["loss"], state["best"]["step"]


def about_fit(
    shots: Sequence[Shot], classes: int, config: FitConfig, options: DrawOptions
) -> dict[str, dict[str, Any]]:
    """What a decoder was fitted with: settings, seeds, labelled pixels of each class, and a hash of the labels."""
    label_maps = np.stack([shot.label_map for shot in shots])
    pixels = np.bincount(label_maps.ravel(), minlength=256)
    settings = asdict(config)
    # tuples become lists, as they do in a checkpoint, so that what was saved compares equal
    settings["decoder"] = {k: list(v) if isinstance(v, tuple) else v for k, v in settings["decoder"].items()}
    settings["decoder"]["kind"] = config.kind
    return {
        "annotations": {
            "seeds": [shot.seed for shot in shots],
            "labelled_px": pixels[:classes].tolist(),
            "ignored_px": int(pixels[IGNORE]),
            "hash": hashlib.sha256(label_maps.tobytes()).hexdigest(),
        },
        "settings": settings,
        "options": asdict(options),
    }


def rate_factor(config: FitConfig, index: int) -> float:
    """Part of the first step size at step `index`."""
    if config.rate == "cosine":
        return half_cosine(index, config.steps)
    return 0.1 ** (index // config.drop_every) if config.rate == "drops" else 1.0


class _Patience:
    """Ends the loop when the trainer is out of patience."""

    every = 1

    def __init__(self, trainer: FitTrainer) -> None:
        self.trainer = trainer

    def __call__(self, done: int) -> dict[str, float]:
        return {"stop": 1.0} if self.trainer.out_of_patience(done) else {}


def patience_of(trainer: FitTrainer) -> tuple[Hook, ...]:
    """The hook that ends a fit that learns no more; none when the settings ask for none."""
    return (_Patience(trainer),) if trainer.config.patience else ()
