"""The semi-supervised methods by name, and the training with any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gannotate.data.labelled import LabelledSet
from gannotate.errors import UsageError, nearest
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.semi_supervised.adversarial import Adversarial, AdversarialTrainer
from gannotate.segmenters.semi_supervised.base import MethodSettings
from gannotate.segmenters.semi_supervised.gct import GuidedCollaboration, GuidedCollaborationTrainer
from gannotate.segmenters.semi_supervised.mean_teacher import MeanTeacher, MeanTeacherTrainer
from gannotate.segmenters.semi_supervised.pseudo_labels import PseudoLabels, PseudoLabelTrainer
from gannotate.segmenters.semi_supervised.s4gan import S4GAN, S4GANTrainer
from gannotate.segmenters.sources import Source, Stored
from gannotate.segmenters.supervised import SegmenterTrainer, SegmenterTraining, train_with
from gannotate.training.descent import Compute
from gannotate.training.loop import Progress

MakeTrainer = Callable[
    [Source, np.ndarray, SegmenterConfig, SegmenterTraining, Any, str | torch.device, Compute | None], SegmenterTrainer
]
"""(labelled, unlabelled uint8 (n, h, w, c), network, training, the method's settings, device, how it is computed) to a
trainer."""


@dataclass(frozen=True)
class MethodInfo:
    """One method: what it is, the class of its settings, and how its trainer is made."""

    about: str
    settings: type[MethodSettings]
    trainer: MakeTrainer


METHODS: dict[str, MethodInfo] = {
    "pseudo-labels": MethodInfo(
        "learns from its own sure answers (Lee 2013, with a confidence threshold)", PseudoLabels, PseudoLabelTrainer
    ),
    "adversarial": MethodInfo(
        "a discriminator of pixels says which answers look true (Hung et al. 2018)", Adversarial, AdversarialTrainer
    ),
    "mean-teacher": MethodInfo(
        "agrees with the average of its own past (Tarvainen and Valpola 2017)", MeanTeacher, MeanTeacherTrainer
    ),
    "gct": MethodInfo(
        "two networks teach each other, guided by a flaw detector (guided collaborative training, Ke et al. 2020)",
        GuidedCollaboration,
        GuidedCollaborationTrainer,
    ),
    "s4gan": MethodInfo(
        "a discriminator of pictures with label maps, and a classifier of pictures (Mittal et al. 2019)",
        S4GAN,
        S4GANTrainer,
    ),
}
"""Every method by its name."""


def method_info(name: str) -> MethodInfo:
    """The method called `name`.

    Raises:
        UsageError: none is called so; names the nearest.
    """
    info = METHODS.get(name)
    if info is None:
        known = tuple(METHODS)
        raise UsageError(
            f"method {name!r} is not known; use {', '.join(known[:-1])} or {known[-1]}{nearest(name, known)}"
        )
    return info


def make_trainer(
    method: str,
    labelled: LabelledSet | Source,
    unlabelled: np.ndarray,
    config: SegmenterConfig,
    training: SegmenterTraining,
    settings: object | None = None,
    device: str | torch.device = "cpu",
    compute: Compute | None = None,
) -> SegmenterTrainer:
    """The trainer of a method; `settings` are the method's own, its defaults when not given.

    Raises:
        UsageError: unknown method, settings of another one, pictures that do not fit the network, or compilation.
    """
    info = method_info(method)
    settings = info.settings() if settings is None else settings
    if not isinstance(settings, info.settings):
        raise UsageError(
            f"{method} was given settings of type {type(settings).__name__}; give {info.settings.__name__}, or none "
            "for its defaults"
        )
    source = Stored(labelled, training.labels) if isinstance(labelled, LabelledSet) else labelled
    return info.trainer(source, unlabelled, config, training, settings, device, compute)


def train_semi_supervised(
    method: str,
    labelled: LabelledSet | Source,
    unlabelled: np.ndarray,
    config: SegmenterConfig,
    training: SegmenterTraining,
    settings: object | None,
    folder: str | Path,
    resume: bool = True,
    source: str = "",
    device: str | torch.device = "cpu",
    compute: Compute | None = None,
) -> Iterator[Progress]:
    """Trains a segmenter with a method on labelled and unlabelled pictures; yields progress after each step.

    Args:
        method: a name of `METHODS`.
        labelled: pictures with labels, hard or soft.
        unlabelled: uint8 (n, size, size, channels), of the network's size.
        settings: the method's own (see `MethodInfo.settings`); its defaults when None.
        folder: becomes an ordinary segmenter folder, see `supervised.train_with`; its config.json says under 'about'
            what the unlabelled pictures were, and under 'settings' the method and how it was set.
        source: who made the labels.
        compute: passes and precision; whole batches in float32 when not given.

    Raises:
        UsageError: unknown method, wrong settings or pictures, compilation, or a folder that was trained otherwise.
    """
    trainer = make_trainer(method, labelled, unlabelled, config, training, settings, device, compute)
    yield from train_with(trainer, folder, resume, source)
