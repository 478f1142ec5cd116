"""s4GAN with its multi-label mean teacher (Mittal et al. 2019): consistency of label maps and of whole pictures.

The low-level branch is the segmenter with a discriminator of (picture, label map) pairs: its loss is CE + f L_fm +
s L_st (equation 2). L_fm is the distance of the discriminator's mean features of true and of predicted pairs
(equation 4); L_st the cross-entropy with the own answers for pictures that it takes for true (equation 5). The
high-level branch is a classifier of pictures with a mean teacher, which says which classes a picture shows (section
3.3). The paper uses it when the segmenter answers, to take out classes that are not there; our segmenter leaves the
house as one ordinary network, so the same fusion is done where it learns: its own answers teach without those
classes. The classifier agrees with its teacher in the mean square of probabilities; the authors' code has a cosine.
Segmenter and classifier have the optimiser of supervised training, the discriminator the paper's.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

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
from gannotate.segmenters.semi_supervised.networks import PictureClassifier, PictureDiscriminator
from gannotate.segmenters.semi_supervised.ramps import linear_ramp
from gannotate.segmenters.sources import Batch
from gannotate.training import distributed
from gannotate.training.average import follow
from gannotate.training.losses import shared_cross_entropy

ENOUGH = 0.9
"""Part of a picture that must be labelled before a class that was not seen in it counts as absent."""

CONSISTENCY_BEGIN, CONSISTENCY_FULL = 0.1, 0.6
"""Parts of the training between which the classifier's consistency rises: epochs 10 and 60 of the authors' 100."""


@dataclass(frozen=True, kw_only=True)
class S4GAN(MethodSettings):
    """Settings of s4GAN and its classifier of pictures."""

    weight_features: float = 0.1
    """Weight of the feature matching; the paper's."""
    weight_self: float = 1.0
    """Weight of the loss with the network's own answers; the paper's."""
    threshold: float = 0.6
    """Probability of being true above which own answers for a picture teach; the paper's."""
    weight_classes: float = 1.0
    """Full weight of the classifier's agreement with its teacher; the paper's."""
    absent: float = 0.2
    """Probability of being in the picture up to which a class is taken out of the own answers; the paper's."""
    learning_rate: float = 1e-4
    """The discriminator's largest step size; the paper's."""
    width: int = 32
    """Channels of the first layer of discriminator and classifier; the paper's discriminator has 64 for 321 px."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check(0, float("inf"), "weight_features", "weight_self", "weight_classes", "learning_rate")
        self.check(0, 1, "threshold", "absent")
        self.check(1, 1024, "width")


class S4GANTrainer(SemiSupervisedTrainer[S4GAN]):
    """Teaches a segmenter, a discriminator of pairs, and a classifier of pictures with its teacher."""

    method: ClassVar[str] = "s4gan"

    def make_companions(self) -> dict[str, Resumable]:
        settings, config, training = self.settings, self.config, self.training
        channels, classes, size, width = config.image_channels, config.classes, config.size, settings.width
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(training.seed, "judge"))
            discriminator = PictureDiscriminator(channels + classes, size, width).to(self.device)
            classifier = PictureClassifier(channels, classes, size, width).to(self.device)
        self.judge = Judge(discriminator, settings.learning_rate, training.steps, self.compute)
        self.classifier = convert_conv2d_weight_memory_format(classifier, torch.channels_last)
        self.teacher = copy.deepcopy(self.classifier).requires_grad_(False)
        self.optimizer.add_param_group({"params": list(self.classifier.parameters())})
        return {"judge": self.judge, "classifier": self.classifier, "teacher": self.teacher}

    def one_pass(self, index: int) -> dict[str, float]:
        """Teaches segmenter and classifier, then the discriminator."""
        settings, plain = self.settings, self.labelled()
        labelled, count = self.labelled_view(plain), len(plain.pictures)
        pictures = self.pictures()
        unlabelled = self.unlabelled_view(pictures)
        both = labelled.pictures, unlabelled.pictures
        logits = self.said_apart(self.network, *both)
        answers = logits.softmax(1)
        true = completed(labelled, answers[:count])
        with self.judge.frozen():
            with self.of_labelled:
                _, true_features = self.judge(true, labelled.pictures)
            with self.of_unlabelled:
                verdicts, features = self.judge(answers[count:], unlabelled.pictures)
        supervised = shared_cross_entropy(logits[:count], labelled.label_maps, labelled.soft, self.of_labelled)
        trusted = verdicts.detach().sigmoid() > settings.threshold
        own = self.own_labels(answers[count:].detach(), unlabelled, trusted)
        loss = supervised + settings.weight_features * self.apart(true_features, features)
        loss = loss + settings.weight_self * shared_cross_entropy(logits[count:], own, share=self.of_unlabelled)
        loss = loss + self.classes_loss(both, labelled, plain, pictures, index)
        self.learn(loss)
        judged = self.teach_judge(true, labelled.pictures, answers[count:].detach(), unlabelled.pictures)
        self.judge.learn(judged)
        taught = self.of_unlabelled.part_of(trusted.float().mean())
        return distributed.summed(loss=supervised, judge_loss=judged, taught=taught)

    def _move(self, index: int) -> None:
        super()._move(index)
        follow(self.teacher, self.classifier, self.training.ema, index)

    def apart(self, true: Float[Tensor, "n f"], predicted: Float[Tensor, "m f"]) -> Float[Tensor, ""]:
        """`feature_distance` of all processes' pictures in this pass, of which each process gives its share."""
        shares = self.of_labelled, self.of_unlabelled
        sums = [share.part_of(each.mean(0)) for share, each in zip(shares, (true, predicted), strict=True)]
        means = [each / share.fraction for share, each in zip(shares, distributed.totals(sums), strict=True)]
        return distributed.once(feature_distance(*means)) * self.of_both.fraction

    def own_labels(self, answers: Float[Tensor, "n k h w"], view: Batch, trusted: Bool[Tensor, " n"]) -> Tensor:
        """The likeliest of the classes that the pictures show, for trusted pictures and inside them; else IGNORE.

        The teacher is normalised by the batch, as the authors do; see `MeanTeacherTrainer.teach`.
        """
        with torch.no_grad(), self.of_unlabelled:
            presence = self.said(self.teacher, view.pictures).sigmoid()
        return confident_labels(
            without_absent(answers, presence, self.settings.absent),
            trusted.view(-1, 1, 1) & (view.label_maps != IGNORE),
        )

    def classes_loss(
        self,
        both: tuple[Tensor, Tensor],
        labelled: Batch,
        plain: Batch,
        pictures: Float[Tensor, "n c h w"],
        index: int,
    ) -> Float[Tensor, ""]:
        """The classifier's: which classes labelled pictures show, and agreement with its teacher on the others.

        The teacher sees the pictures as they are, the classifier moved and changed.
        """
        said = self.said_apart(self.classifier, *both)
        shown, counts = classes_shown(labelled, plain, said.shape[1])
        known, guessed = said[: len(shown)], said[len(shown) :].sigmoid()
        with torch.no_grad(), self.of_unlabelled:
            taught = self.said(self.teacher, pictures).sigmoid()
        steps = self.training.steps
        ramp = linear_ramp(index, CONSISTENCY_BEGIN * steps, CONSISTENCY_FULL * steps)
        named = F.binary_cross_entropy_with_logits(known, shown, weight=counts, reduction="sum")
        named = named / distributed.total(counts.sum()).clamp(min=1) * self.of_labelled.fraction
        agreed = self.of_unlabelled.part_of(F.mse_loss(guessed, taught))
        return named + self.settings.weight_classes * ramp * agreed

    def teach_judge(
        self,
        true: Float[Tensor, "n k h w"],
        true_pictures: Float[Tensor, "n c h w"],
        predicted: Float[Tensor, "m k h w"],
        predicted_pictures: Float[Tensor, "m c h w"],
    ) -> Float[Tensor, ""]:
        """The discriminator's loss: -log D(true pair) - log(1 - D(predicted pair)) (equation 3)."""
        with self.of_both:
            verdicts, _ = self.judge(torch.cat([true, predicted]), torch.cat([true_pictures, predicted_pictures]))
        taken = self.of_labelled.part_of(F.softplus(-verdicts[: len(true)]).mean())
        return taken + self.of_unlabelled.part_of(F.softplus(verdicts[len(true) :]).mean())


def feature_distance(true: Float[Tensor, " f"], predicted: Float[Tensor, " f"]) -> Float[Tensor, ""]:
    """Mean absolute difference of mean features (equation 4, divided by the number of features as in the code)."""
    return (true - predicted).abs().mean()


def without_absent(
    probabilities: Float[Tensor, "n k h w"], presence: Float[Tensor, "n k"], absent: float
) -> Float[Tensor, "n k h w"]:
    """The probabilities, 0 for classes whose presence is `absent` or less (equation 9); the background always stays."""
    stays = presence > absent
    stays[:, 0] = True
    return probabilities * stays[:, :, None, None]


def classes_shown(labelled: Batch, plain: Batch, classes: int) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
    """Which classes the moved pictures show (1 or 0), and which of these answers count (1 or 0).

    That a class is shown always counts; that it is not, only if nearly all of the picture as it was is labelled.
    """
    flat = labelled.label_maps.flatten(1)
    shown = torch.stack([(flat == index).any(1) for index in range(classes)], 1)
    complete = (plain.label_maps != IGNORE).float().mean((1, 2)) >= ENOUGH
    return shown.float(), (shown | complete[:, None]).float()
