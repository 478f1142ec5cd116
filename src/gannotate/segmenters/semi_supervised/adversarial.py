"""Adversarial learning (Hung et al. 2018): a discriminator of pixels tells true label maps from predicted ones.

The segmenter's loss is CE + a_l L_adv(labelled) + a_u L_adv(unlabelled) + s L_semi (equation 2): L_adv = -log D(S(x))
(equation 4), and L_semi is the cross-entropy with its own answers where D takes them for true (equation 5). D learns
from labelled pictures alone, as the paper has it (equation 1). Its optimiser is the paper's, the segmenter's ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from gannotate.labels import IGNORE
from gannotate.seeding import stream_seed
from gannotate.segmenters.semi_supervised.base import (
    MethodSettings,
    Resumable,
    SemiSupervisedTrainer,
    completed,
    confident_labels,
)
from gannotate.segmenters.semi_supervised.judge import Judge
from gannotate.segmenters.semi_supervised.networks import PatchDiscriminator
from gannotate.training import distributed
from gannotate.training.losses import shared_cross_entropy, shared_mean
from gannotate.training.shares import Share, in_parts


@dataclass(frozen=True, kw_only=True)
class Adversarial(MethodSettings):
    """Settings of adversarial learning."""

    weight_labelled: float = 0.01
    """Weight of the adversarial loss on labelled pictures; the paper's."""
    weight_unlabelled: float = 0.001
    """Weight of the adversarial loss on unlabelled pictures; the paper's."""
    weight_self: float = 0.1
    """Weight of the loss with the network's own answers; the paper's."""
    threshold: float = 0.2
    """Probability of being true above which an own answer may teach; the paper's."""
    begin: float = 0.25
    """Part of the training after which own answers teach; the paper's 5,000 of 20,000 steps."""
    learning_rate: float = 1e-4
    """The discriminator's largest step size; the paper's."""
    width: int = 32
    """Channels of the discriminator's first layer; the paper's 64 are for pictures of 25 times the pixels of 64 px."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check(0, float("inf"), "weight_labelled", "weight_unlabelled", "weight_self", "learning_rate")
        self.check(0, 1, "threshold", "begin")
        self.check(1, 1024, "width")


class AdversarialTrainer(SemiSupervisedTrainer[Adversarial]):
    """Teaches a network from labels and from a discriminator of label maps."""

    method: ClassVar[str] = "adversarial"

    def make_companions(self) -> dict[str, Resumable]:
        settings, config, training = self.settings, self.config, self.training
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(training.seed, "judge"))
            network = PatchDiscriminator(config.classes, config.size, settings.width).to(self.device)
        self.judge = Judge(network, settings.learning_rate, training.steps, self.compute)
        return {"judge": self.judge}

    def one_pass(self, index: int) -> dict[str, float]:
        """Teaches the segmenter, then the discriminator."""
        settings = self.settings
        labelled, unlabelled = self.draw()
        batch = len(labelled.pictures)
        known, inside = labelled.label_maps != IGNORE, unlabelled.label_maps != IGNORE
        logits = self.said_apart(self.network, labelled.pictures, unlabelled.pictures)
        answers = logits.softmax(1)
        with self.judge.frozen(), self.of_both:
            verdicts = self.judge(answers)
        supervised = shared_cross_entropy(logits[:batch], labelled.label_maps, labelled.soft, self.of_labelled)
        loss = supervised + settings.weight_labelled * taken_for_true(verdicts[:batch], known, self.of_labelled)
        loss = loss + settings.weight_unlabelled * taken_for_true(verdicts[batch:], inside, self.of_unlabelled)
        trusted = trusted_pixels(verdicts[batch:].detach(), settings.threshold) & inside
        if index >= settings.begin * self.training.steps:
            own = confident_labels(answers[batch:].detach(), trusted)
            loss = loss + settings.weight_self * shared_cross_entropy(logits[batch:], own, share=self.of_unlabelled)
        self.learn(loss)
        judged = self.teach_judge(completed(labelled, answers[:batch]), answers[:batch].detach(), known)
        self.judge.learn(judged)
        taught = self.of_unlabelled.part_of(trusted.float().mean())
        return distributed.summed(loss=supervised, judge_loss=judged, taught=taught)

    def teach_judge(
        self, true: Float[Tensor, "n k h w"], predicted: Float[Tensor, "n k h w"], known: Bool[Tensor, "n h w"]
    ) -> Float[Tensor, ""]:
        """The discriminator's loss."""
        with self.of_labelled, in_parts(2):
            verdicts = self.judge(torch.cat([true, predicted]))
        return discriminator_loss(verdicts[: len(true)], verdicts[len(true) :], known, self.of_labelled)


def taken_for_true(
    verdicts: Float[Tensor, "n h w"], where: Bool[Tensor, "n h w"], share: Share | None = None
) -> Float[Tensor, ""]:
    """-log D, averaged over the pixels `where` (equation 4), of all processes; `verdicts` are D's logits.

    `share` is as in `shared_mean`.
    """
    return shared_mean(F.softplus(-verdicts), where, share)


def discriminator_loss(
    true: Float[Tensor, "n h w"],
    predicted: Float[Tensor, "n h w"],
    known: Bool[Tensor, "n h w"],
    share: Share | None = None,
) -> Float[Tensor, ""]:
    """-log D(true) - log(1 - D(predicted)), averaged over the known pixels (equation 1), of all processes.

    `share` is as in `shared_mean`.
    """
    return shared_mean(F.softplus(-true) + F.softplus(predicted), known, share)


def trusted_pixels(verdicts: Float[Tensor, "n h w"], threshold: float) -> Bool[Tensor, "n h w"]:
    """Where D is above the threshold: I(D(S(x)) > T) of equation 5."""
    return verdicts.sigmoid() > threshold
