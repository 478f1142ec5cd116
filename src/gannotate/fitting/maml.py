"""MAML (Finn et al. 2017) as Yang et al. 2022 compare with (appendix C.1, algorithm 2): the segmenter takes one or more
steps on generated pictures with the decoder's labels, and the decoder is moved through them, so that the loss on
labelled real pictures afterwards is low."""

from __future__ import annotations

from collections.abc import Generator as Steps
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gannotate.decoders.base import Decoder
from gannotate.fitting.alternation import AlternationConfig, Labelled, Softly, Student, alternate
from gannotate.fitting.real_task import RealTask, check_at_least, check_rate
from gannotate.training import distributed
from gannotate.training.loop import Progress


@dataclass(frozen=True, kw_only=True)
class MAMLConfig(AlternationConfig):
    """How the inner steps are unrolled."""

    inner_steps: int = 1
    """Steps of the segmenter that are unrolled, each on generated pictures of its own."""
    inner_rate: float = 0.1
    """Their step size (plain gradient descent)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, inner_steps=self.inner_steps)
        check_rate("inner rate", self.inner_rate)


class Unrolled:
    """The objective of MAML, for `AlternatingTrainer`: it takes `inner_steps` batches of generated pictures."""

    def __init__(self, config: MAMLConfig) -> None:
        self.config = config

    def __call__(self, student: Student, labelled: Labelled, generated: Sequence[Softly]) -> Float[Tensor, ""]:
        weights: dict[str, Tensor] = dict(student.weights)
        for softly in generated:
            loss = student.soft_loss(softly, weights)
            gradients = distributed.totals(torch.autograd.grad(loss, list(weights.values()), create_graph=True))
            weights = {
                name: weight - self.config.inner_rate * gradient
                for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
            }
        return student.loss(labelled, weights)


def fit_maml(
    task: RealTask, config: MAMLConfig, folder: Path, resume: bool, minutes: float | None
) -> Steps[Progress, None, Decoder]:
    """Fits a decoder to a task, which it returns.

    Raises:
        UsageError: the settings or pictures cannot be used.
    """
    return (yield from alternate(task, config, Unrolled(config), config.inner_steps, folder, resume, minutes))
