"""Guided collaborative training (Ke et al. 2020): two networks teach each other where a flaw detector sees fewer flaws.

Each network's loss is CE + L_dc + L_fc. L_dc pulls it to the other's class probabilities where its own flaws are the
larger (equation 4); where both are flawed, L_fc asks it for answers in which the detector sees no flaw (equation 5).
The detector learns on labelled pictures what the blurred, widened and stretched error looks like (section 3.2).

The two differ in their random start alone (of the decoder and head, where the encoder has start weights), so neither is
better on average, and to choose would take labels that there are not: the first one's average is kept. Both have the
optimiser of supervised training, the detector the paper's. Labelled and unlabelled pictures go through the networks one
after the other, where the authors have them in one batch: see `said_apart`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from gannotate.labels import IGNORE
from gannotate.seeding import stream_seed
from gannotate.segmenters.build import build_network
from gannotate.segmenters.semi_supervised.base import MethodSettings, Resumable, SemiSupervisedTrainer
from gannotate.segmenters.semi_supervised.judge import Judge
from gannotate.segmenters.semi_supervised.networks import FlawDetector
from gannotate.segmenters.semi_supervised.ramps import sigmoid_ramp
from gannotate.segmenters.sources import Batch, truth_as_probabilities
from gannotate.segmenters.start_weights import RANDOM
from gannotate.training import distributed
from gannotate.training.losses import shared_cross_entropy, shared_mean

NO_FLAW = 0.1
"""A flaw map that is nowhere above this has no flaw at all (the authors' code)."""


@dataclass(frozen=True, kw_only=True)
class GuidedCollaboration(MethodSettings):
    """Settings of guided collaborative training."""

    weight_consistency: float = 4.8
    """Full weight of the dynamic consistency, a pixel's square summed over its classes. PixelSSL's 100 is of the mean
    over its 21 classes; of the mean over few it is many times as heavy, and the two networks become one
    (docs/log.md)."""
    weight_correction: float = 1.0
    """Weight of the flaw correction; PixelSSL's."""
    weight_detector: float = 10.0
    """Weight of the detector's loss; PixelSSL's."""
    threshold: float = 0.6
    """Flaw, from 0 to 1, above which an answer is bad; PixelSSL's."""
    ramp: float = 0.11
    """Part of the training in which the consistency's weight rises; PixelSSL's 5 of 45 epochs (of PSPNet)."""
    repeats: int = 1
    """Times that the detector's target is widened and blurred; PixelSSL's nu."""
    learning_rate: float = 1e-4
    """The detector's largest step size; the paper's."""
    width: int = 32
    """Channels of the detector's first layer; the paper's 64 are for pictures of 64 times the pixels of 64 px."""

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = ("weight_consistency", "weight_correction", "weight_detector", "learning_rate")
        self.check(0, float("inf"), *weights)
        self.check(0, 1, "threshold", "ramp")
        self.check(0, 16, "repeats")
        self.check(1, 1024, "width")


class GuidedCollaborationTrainer(SemiSupervisedTrainer[GuidedCollaboration]):
    """Teaches two networks and a flaw detector; the first network's average is the one to keep."""

    method: ClassVar[str] = "gct"

    def make_companions(self) -> dict[str, Resumable]:
        settings, config, training = self.settings, self.config, self.training
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(training.seed, "second segmenter"))
            second = self._second().to(self.device)
            inputs = config.image_channels + config.classes
            detector = FlawDetector(inputs, config.size, settings.width).to(self.device)
        self.second = convert_conv2d_weight_memory_format(second, torch.channels_last)
        self.optimizer.add_param_group({"params": list(self.second.parameters())})
        self.judge = Judge(detector, settings.learning_rate, training.steps, self.compute)
        return {"second": self.second, "judge": self.judge}

    def _second(self) -> nn.Module:
        """A network as the first, from its encoder's start weights; the rest starts apart, or both would stay equal."""
        second = build_network(replace(self.config, weights=RANDOM))
        if self.config.weights == RANDOM:
            return second
        encoder = {name: one for name, one in self.network.state_dict().items() if name.startswith("encoder.")}
        second.load_state_dict(second.state_dict() | encoder)
        return second

    def one_pass(self, index: int) -> dict[str, float]:
        """Teaches both networks, then the detector."""
        settings, share = self.settings, self.of_both
        labelled, unlabelled = self.draw()
        pictures, count = torch.cat([labelled.pictures, unlabelled.pictures]), len(labelled.pictures)
        both = labelled.pictures, unlabelled.pictures
        logits = [self.said_apart(network, *both) for network in (self.network, self.second)]
        answers = [each.softmax(1) for each in logits]
        with self.judge.frozen(), share:
            flaws = [self.judge(pictures, each) for each in answers]
        first, second = (each.detach() for each in answers)
        first_flaws, second_flaws = (smooth(each.detach()) for each in flaws)
        targets, bad = dynamic_targets(first, second, first_flaws, second_flaws, settings.threshold)
        ramp = sigmoid_ramp(index, settings.ramp * self.training.steps)
        labels = labelled.label_maps, labelled.soft, self.of_labelled
        supervised = [shared_cross_entropy(each[:count], *labels) for each in logits]
        squares = [(each - target).square().sum(1) for each, target in zip(answers, targets, strict=True)]
        apart = [share.part_of(each.mean()) for each in squares]
        flawed = [share.part_of((each.square() * bad).mean()) for each in flaws]
        loss = supervised[0] + supervised[1] + settings.weight_consistency * ramp * (apart[0] + apart[1])
        self.learn(loss + settings.weight_correction * (flawed[0] + flawed[1]))
        judged = self.teach_judge(pictures, [each.detach() for each in answers], labelled)
        self.judge.learn(settings.weight_detector * judged)
        bad_part = share.part_of(bad.float().mean())
        return distributed.summed(loss=supervised[0], disagreement=apart[0], judge_loss=judged, flawed=bad_part)

    def teach_judge(
        self, pictures: Float[Tensor, "n c h w"], answers: list[Float[Tensor, "n k h w"]], labelled: Batch
    ) -> Float[Tensor, ""]:
        """The detector's mean square error on the labelled pictures, which come first.

        The unlabelled ones pass with them for the sake of the batch normalisation, which sees both when it judges.
        """
        count, known = len(labelled.pictures), labelled.label_maps != IGNORE
        truth = truth_as_probabilities(labelled, answers[0].shape[1])
        losses = []
        for each in answers:
            target = flaw_truth(each[:count], truth, known, self.settings.repeats)
            with self.of_both:
                said = self.judge(pictures, each)
            losses.append(shared_mean((said[:count] - target).square(), known, self.of_labelled))
        return (losses[0] + losses[1]) / 2


def flaw_truth(
    answers: Float[Tensor, "n k h w"], truth: Float[Tensor, "n k h w"], known: Bool[Tensor, "n h w"], repeats: int
) -> Float[Tensor, "n h w"]:
    """What the detector should say: half the absolute error summed over classes, blurred, widened, stretched to 0-1.

    Blurred over an eighth of the side, then `repeats` times widened by a pixel and blurred over a quarter.
    """
    error = 0.5 * (truth - answers).abs().sum(1) * known
    side = error.shape[-1]
    error = blur(error, side // 8)
    for _ in range(repeats):
        error = blur(F.max_pool2d(error, 3, stride=1, padding=1), side // 4)
    return stretch(error)


def smooth(flaws: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """The detector's answer fit for comparison: not below 0, blurred over a sixteenth of the side, stretched to 0-1.

    A map that is nowhere above `NO_FLAW` becomes 0.
    """
    flaws = blur(flaws.clamp(min=0), flaws.shape[-1] // 16)
    return stretch(flaws) * (flaws.amax((1, 2), keepdim=True) > NO_FLAW)


def dynamic_targets(
    first: Float[Tensor, "n k h w"],
    second: Float[Tensor, "n k h w"],
    first_flaws: Float[Tensor, "n h w"],
    second_flaws: Float[Tensor, "n h w"],
    threshold: float,
) -> tuple[tuple[Float[Tensor, "n k h w"], Float[Tensor, "n k h w"]], Bool[Tensor, "n h w"]]:
    """What each network is pulled to: the other's answer where that has fewer flaws, else its own, which teaches none.

    Flaws above the threshold count as 1, so that of two bad answers neither teaches. Also gives where both are bad.
    """
    first_bad, second_bad = first_flaws > threshold, second_flaws > threshold
    first_flaws = torch.where(first_bad, 1.0, first_flaws)
    second_flaws = torch.where(second_bad, 1.0, second_flaws)
    for_first = torch.where((second_flaws < first_flaws).unsqueeze(1), second, first)
    for_second = torch.where((first_flaws < second_flaws).unsqueeze(1), first, second)
    return (for_first, for_second), first_bad & second_bad


def blur(maps: Float[Tensor, "n h w"], window: int) -> Float[Tensor, "n h w"]:
    """Gaussian blur over a window of `window` px (one more if that is even), mirrored at the borders.

    Its standard deviation is 0.3 (window / 2 - 1.5) + 0.8 px, as of OpenCV and the authors' code.
    """
    window += 1 - window % 2
    deviation = 0.3 * ((window - 1) / 2 - 1) + 0.8
    places = torch.arange(window, device=maps.device, dtype=maps.dtype) - window // 2
    kernel = torch.exp(-0.5 * (places / deviation) ** 2)
    kernel, around = kernel / kernel.sum(), window // 2
    padded = F.pad(maps.unsqueeze(1), (around, around, around, around), mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))[:, 0]


def stretch(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Each map moved and scaled to reach from 0 to 1; a constant one becomes 0."""
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    return (maps - low) / (high - low + 1e-9)
