"""What the annotator's model learns: a linear decoder in closed form, and how well it does on pictures left out.

One look at a labelled picture gives its sums (see fitting/closed_form.py) and some of its pixels. Sums add up, so a
new stroke costs one picture's look and a handful of small linear systems, whatever the number of labelled pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.decoders.base import last_of_each_resolution
from gannotate.decoders.linear import LinearDecoder
from gannotate.errors import UsageError
from gannotate.fitting.closed_form import LinearHead, Moments, discriminant, moments, total
from gannotate.fitting.linear import finite
from gannotate.fitting.pixels import annotated_pixels
from gannotate.fitting.shot import Shot
from gannotate.generators.base import DrawOptions, Generator, Tap
from gannotate.metrics.calibration import fit_temperature
from gannotate.metrics.confusion import scores
from gannotate.seeding import numpy_stream

MOST_CHANNELS = 2048
"""Channels that are learned from: a linear system of this size takes less than a second on a laptop."""

PIXELS = 2048
"""Pixels looked at of each labelled picture."""

FOLDS = 8
"""At most so many groups of pictures are left out in turn; each is one picture while there are no more than that."""

FEWEST_FOR_GAIN = 5
"""With fewer labelled pictures their half is one picture, or chance."""

HALVES = 2
"""Halves of the other pictures that each group is compared with."""

LITTLE_GAIN = 0.02
"""Twice the labels bring less agreement than this, with one standard error to spare: more of them stop paying."""


@dataclass(frozen=True)
class Learned:
    """What one labelled picture tells: its sums, and pixels to test on. features (p, c) half; labels, weights (p,)."""

    seed: int
    moments: Moments
    features: Float[Tensor, "p c"]
    labels: Int[Tensor, " p"]
    weights: Float[Tensor, " p"]


@dataclass(frozen=True)
class Judgement:
    """What leaving pictures out told.

    pictures: labelled ones. agreement: mIoU on the pictures left out, None with fewer than two. gain: how much more
    that is than when half as many teach, mean over the groups left out, and gain_error its standard error; None when
    there are too few to halve. temperature: to divide logits by. curve: (labelled pictures that taught, mIoU on those
    left out) for 1, 2, 4, ... and at last all that can teach. by_class: each class's IoU on the pictures left out, None
    where no labels show it.
    """

    pictures: int
    agreement: float | None
    gain: float | None
    temperature: float
    gain_error: float = 0.0
    curve: tuple[tuple[int, float], ...] = ()
    by_class: tuple[float | None, ...] = ()

    def as_text(self) -> str:
        """One sentence for the person who labels."""
        if self.pictures == 0:
            return "Label a part of each class, and the model begins to guess."
        if self.agreement is None:
            return "Label another picture to see how well the model does on one that it has not learned from."
        known = f"{100 * self.agreement:.0f}% mIoU on pictures left out ({self.pictures} labelled)"
        if self.gain is None:
            return f"{known}: a few more labels will tell how much each one brings."
        brought = f"{known}: twice the labels brought {100 * self.gain:+.1f} ± {100 * self.gain_error:.1f} points"
        if self.gain + self.gain_error < LITTLE_GAIN:
            return f"{brought}, so more of them pay little now."
        if self.gain > self.gain_error:
            return f"{brought}, so more of them still pay."
        return f"{brought}: not clear yet whether more of them pay."


@dataclass(frozen=True)
class Model:
    """A decoder; `number` counts the fits of this session."""

    number: int
    decoder: LinearDecoder


def live_taps(taps: Sequence[Tap], most: int = MOST_CHANNELS) -> tuple[Tap, ...]:
    """The taps to learn from: all, or when they have too many channels the last of each resolution, finest ones first.

    The coarsest go first: they say what the whole picture is, and little of where a part ends.
    """
    chosen = tuple(taps)
    if sum(tap.channels for tap in chosen) > most:
        chosen = last_of_each_resolution(chosen)
    while sum(tap.channels for tap in chosen) > most and len(chosen) > 1:
        chosen = chosen[1:]
    return chosen


def learn(generator: Generator, shot: Shot, taps: Sequence[Tap], options: DrawOptions, classes: int) -> Learned | None:
    """Looks at one labelled picture; None when no pixel is labelled."""
    (pixels,) = annotated_pixels(generator, [shot], taps, options, most=PIXELS)
    if not len(pixels.labels):
        return None
    sums = moments(pixels.features, pixels.labels, classes, pixels.stands_for)
    return Learned(shot.seed, sums, pixels.features, pixels.labels, pixels.stands_for)


def refit(
    number: int, learned: Sequence[Learned], taps: tuple[Tap, ...], size: int, temperature: float = 1.0
) -> Model | None:
    """The decoder of these pictures; None with fewer than two classes. `temperature` is what `judge` found."""
    head = _head(total([one.moments for one in learned])) if learned else None
    if head is None:
        return None
    shown = finite(head)
    decoder = LinearDecoder.from_weights(taps, size, shown.weight, shown.bias)
    decoder.temperature = temperature
    return Model(number, decoder.eval().requires_grad_(False))


def judge(learned: Sequence[Learned], between: Callable[[], None] = lambda: None) -> Judgement:
    """Leaves pictures out in turn (see `Judgement`). `between` is called between the steps, and may raise to end it."""
    count = min(FOLDS, len(learned))
    groups = [learned[start::count] for start in range(count)] if count > 1 else []
    summed = total([one.moments for one in learned]) if groups else None
    counted, gains, logits, tested = [], [], [], list[Learned]()
    for index, group in enumerate(groups):
        assert summed is not None
        between()
        head = _head(summed - total([one.moments for one in group]))
        if head is None:
            continue
        logits += [finite(head)(one.features.float()) for one in group]
        tested += group
        counted.append(_tested(head, group))
        others = [one for one in learned if one not in group]
        halved = [_iou_of_present(_tested(half, group)) for half in _halves(others, index)]
        if halved:
            gains.append(_iou_of_present(counted[-1]) - float(np.mean(halved)))
    if not counted:
        return Judgement(len(learned), None, None, 1.0)
    # each class was given an equal share of the pixels: weighted as in the IoU, they are the pictures again
    labels, weights = (torch.cat(rows) for rows in zip(*((one.labels, one.weights) for one in tested), strict=True))
    temperature = fit_temperature(torch.cat(logits), labels, weights)
    whole = np.sum(counted, axis=0)
    agreement = _miou(whole)
    curve = _curve(learned, groups, agreement, between)
    told = Judgement(len(learned), agreement, None, temperature, curve=curve, by_class=_by_class(whole))
    if len(learned) < FEWEST_FOR_GAIN or len(gains) < 2:
        return told
    error = float(np.std(gains, ddof=1) / len(gains) ** 0.5)
    return replace(told, gain=float(np.mean(gains)), gain_error=error)


def _curve(
    learned: Sequence[Learned], groups: Sequence[Sequence[Learned]], agreement: float, between: Callable[[], None]
) -> tuple[tuple[int, float], ...]:
    """mIoU on each group after 1, 2, 4, ... of the other pictures, chosen by chance; the last point is `agreement`."""
    most = len(learned) - max(len(group) for group in groups)
    points = []
    for size in (2**power for power in range(most.bit_length()) if 2**power < most):
        counted = []
        for index, group in enumerate(groups):
            between()
            others = [one for one in learned if one not in group]
            chosen = numpy_stream("curve", index, size).permutation(len(others))[:size]
            head = _head(total([others[place].moments for place in chosen]))
            if head is not None:
                counted.append(_tested(head, group))
        if counted:
            points.append((size, round(_miou(np.sum(counted, axis=0)), 4)))
    return (*points, (most, round(agreement, 4)))


def _halves(others: Sequence[Learned], index: int) -> list[LinearHead]:
    """Heads of some halves of the pictures; fewer where a half shows fewer than two classes."""
    heads = []
    for draw in range(HALVES if len(others) > 1 else 0):
        half = numpy_stream("half", index, draw).permutation(len(others))[: len(others) // 2]
        heads.append(_head(total([others[place].moments for place in half])))
    return [head for head in heads if head is not None]


def _tested(head: LinearHead, group: Sequence[Learned]) -> np.ndarray:
    """Confusion matrix (k, k) of a head on pictures that it did not learn from."""
    return np.sum([weighted_confusion(one, finite(head)(one.features.float())) for one in group], axis=0)


def weighted_confusion(one: Learned, logits: Float[Tensor, "p k"]) -> np.ndarray:
    """Confusion matrix (k, k) of a picture from some of its pixels, each counted as what it stands for."""
    classes = logits.shape[1]
    pairs = (one.labels * classes + logits.argmax(dim=1)).cpu().numpy()
    return np.bincount(pairs, one.weights.cpu().numpy(), classes**2).reshape(classes, classes)


def _head(summed: Moments) -> LinearHead | None:
    try:
        return discriminant(summed)
    except UsageError:  # fewer than two classes: nothing to tell apart yet
        return None


def _iou_of_present(counted: np.ndarray) -> float:
    """Mean IoU over the classes that the pictures show.

    Of few pictures the usual mean over all that is shown or predicted says little: a class that the half of the labels
    does not know is left out of it, and the same class wrongly predicted once with all labels counts 0.
    """
    right, shown = counted.diagonal(), counted.sum(axis=1)
    present = shown > 0
    return float((right[present] / (shown + counted.sum(axis=0) - right)[present]).mean())


def _miou(counted: np.ndarray) -> float:
    return scores(counted.round().astype(np.int64)).miou


def _by_class(counted: np.ndarray) -> tuple[float | None, ...]:
    right, shown = counted.diagonal(), counted.sum(axis=1)
    union = shown + counted.sum(axis=0) - right
    return tuple(round(float(right[k] / union[k]), 4) if shown[k] > 0 else None for k in range(len(right)))
