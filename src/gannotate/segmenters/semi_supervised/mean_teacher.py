"""Mean teacher (Tarvainen and Valpola 2017): the network agrees with the average of its own past.

The loss is CE(labelled) + w(t) |student - teacher|^2 on class probabilities of unlabelled pictures (section 2), the
two seeing different views: the teacher the picture as it is, the student the picture moved, the teacher's answer moved
alike, and each Gaussian noise of its own. The teacher is the average that every training of ours keeps, and is what
is saved. As PixelSSL runs it, labelled pictures are not asked for agreement; unlike there, they and the unlabelled ones
go through the student one after the other (see `said_apart`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gannotate.labels import IGNORE
from gannotate.segmenters.semi_supervised.base import MethodSettings, SemiSupervisedTrainer
from gannotate.segmenters.semi_supervised.ramps import sigmoid_ramp
from gannotate.training import distributed
from gannotate.training.losses import shared_cross_entropy, shared_mean
from gannotate.training.shares import Share


@dataclass(frozen=True, kw_only=True)
class MeanTeacher(MethodSettings):
    """Settings of the mean teacher; how slowly the teacher follows is the training's `ema` (from Python)."""

    weight: float = 1.0
    """Full weight of the disagreement, a pixel's square summed over its classes. PixelSSL's 1, which is of logits. The
    paper's 100 of the mean over 10 classes, 10 of the sum, is for 150,000 steps: in hundreds of them it holds a network
    back at what it said before, and less is learned than from the labels alone (docs/log.md)."""
    ramp: float = 0.27
    """Part of the training in which the weight rises; the paper's 40,000 of 150,000 steps."""
    noise: float = 0.15
    """Standard deviation of the noise on each view, of values from -1 to 1; the paper's, whose values deviate by 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check(0, float("inf"), "weight", "noise")
        self.check(0, 1, "ramp")


class MeanTeacherTrainer(SemiSupervisedTrainer[MeanTeacher]):
    """Teaches a network from labels and from its own average."""

    method: ClassVar[str] = "mean-teacher"

    def one_pass(self, index: int) -> dict[str, float]:
        """Teaches on labelled pictures and on unlabelled ones that the teacher answered for."""
        labelled = self.labelled_view(self.labelled())
        pictures = self.pictures()
        view = self.unlabelled_view(pictures, soft=self.teach(pictures))
        assert view.soft is not None
        with self.of_labelled:
            known_view = self.noisy(labelled.pictures)
        with self.of_unlabelled:
            own_view = self.noisy(view.pictures)
        logits = self.said_apart(self.network, known_view, own_view)
        known, guessed = logits[: len(labelled.pictures)], logits[len(labelled.pictures) :]
        supervised = shared_cross_entropy(known, labelled.label_maps, labelled.soft, self.of_labelled)
        apart = disagreement(guessed.softmax(1), view.soft, view.label_maps != IGNORE, self.of_unlabelled)
        weight = self.settings.weight * sigmoid_ramp(index, self.settings.ramp * self.training.steps)
        self.learn(supervised + weight * apart)
        return distributed.summed(loss=supervised, disagreement=apart)

    @torch.no_grad()
    def teach(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """The teacher's class probabilities for a noisy view of the pictures.

        Normalised by the batch, as the authors do: running means lag behind in the first steps, and a student that is
        pulled to what they make of a picture learns to say the same of all.
        """
        with self.of_unlabelled:
            return self.said(self.average, self.noisy(pictures)).softmax(1)

    def noisy(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The pictures with Gaussian noise, drawn on the CPU so that all devices draw the same."""
        return pictures + self.settings.noise * torch.randn(pictures.shape).to(pictures)


def disagreement(
    student: Float[Tensor, "n k h w"],
    teacher: Float[Tensor, "n k h w"],
    inside: Bool[Tensor, "n h w"],
    share: Share | None = None,
) -> Float[Tensor, ""]:
    """Square difference, summed over the classes, in the mean of the pixels that are `inside`; 0 when none is.

    Of several processes each gives what its pictures add to it; `share` is as in `shared_mean`.
    """
    return shared_mean((student - teacher).square().sum(1), inside, share)
