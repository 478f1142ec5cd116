"""Pseudo-labels (Lee 2013) with a confidence threshold: the network's own sure answers are taken for labels.

The loss is L = CE(labelled) + a(t) CE(pseudo-labelled) (equation 15), with a(t) from 0 to its full weight along a line
(equation 16). As in the comparison of LayerMatch, only pixels whose likeliest class is likely enough teach; the mean is
over all pixels, so that few sure answers weigh little. The network answers for pictures as they are, and learns from
them moved and changed like labelled ones, which go through it by themselves (see `said_apart`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.labels import IGNORE
from gannotate.segmenters.semi_supervised.base import MethodSettings, SemiSupervisedTrainer, confident_labels
from gannotate.segmenters.semi_supervised.ramps import linear_ramp
from gannotate.segmenters.supervised import SegmenterTrainer
from gannotate.training import distributed
from gannotate.training.losses import shared_cross_entropy


@dataclass(frozen=True, kw_only=True)
class PseudoLabels(MethodSettings):
    """Settings of pseudo-labelling."""

    threshold: float = 0.9
    """Least probability of the likeliest class of a pixel that may teach."""
    weight: float = 3.0
    """Full weight of the pseudo-labels' loss; the paper's."""
    begin: float = 0.1
    """Part of the training after which pseudo-labels begin to count; the paper's epoch 100, of 1000."""
    full: float = 0.6
    """Part of the training after which they count in full; the paper's epoch 600."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check(0, 1, "threshold", "begin", "full")
        self.check(0, float("inf"), "weight")
        self.check_order("begin", "full")


class PseudoLabelTrainer(SemiSupervisedTrainer[PseudoLabels]):
    """Teaches a network from labels and from its own sure answers."""

    method: ClassVar[str] = "pseudo-labels"

    def step(self, index: int) -> dict[str, float]:
        """One step on labelled pictures and, once they count, on pseudo-labelled ones."""
        return super().step(index) if self.weight(index) else SegmenterTrainer.step(self, index)

    def weight(self, index: int) -> float:
        """How much pseudo-labels count in step `index`."""
        settings, steps = self.settings, self.training.steps
        return settings.weight * linear_ramp(index, settings.begin * steps, settings.full * steps)

    def one_pass(self, index: int) -> dict[str, float]:
        """Teaches on labelled pictures and on pseudo-labelled ones."""
        labelled = self.labelled_view(self.labelled())
        pictures = self.pictures()
        unlabelled = self.unlabelled_view(pictures, self.answers(pictures))
        logits = self.said_apart(self.network, labelled.pictures, unlabelled.pictures)
        known, guessed = logits[: len(labelled.pictures)], logits[len(labelled.pictures) :]
        supervised = shared_cross_entropy(known, labelled.label_maps, labelled.soft, self.of_labelled)
        taught = self.of_unlabelled.part_of((unlabelled.label_maps != IGNORE).float().mean())
        # the mean over those that teach, times their part of all pixels: a mean over all
        pseudo = shared_cross_entropy(guessed, unlabelled.label_maps) * distributed.total(taught)
        self.learn(supervised + self.weight(index) * pseudo)
        return distributed.summed(loss=supervised, pseudo_loss=pseudo, taught=taught)

    @torch.no_grad()
    def answers(self, pictures: Float[Tensor, "n c h w"]) -> Int[Tensor, "n h w"]:
        """The likeliest classes, IGNORE where they are not likely enough; normalised by the batch, as it learns."""
        with self.of_unlabelled:
            probabilities = self.said(self.network, pictures).softmax(1)
        return confident_labels(probabilities, probabilities.amax(1) >= self.settings.threshold)
