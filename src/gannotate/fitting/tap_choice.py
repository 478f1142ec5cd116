"""Which taps to read: every run of neighbouring resolutions, compared by leave-one-out with the closed-form head.

RepurposeGAN (table 4) found that the middle taps alone beat all of them with one labelled picture; which run is best
depends on the generator and the labels, so it is measured. All taps stay the answer unless others are better by more
than the noise of the comparison.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.fitting.closed_form import LinearHead, Moments, discriminant, moments, shrinkage_of, total
from gannotate.generators.base import Tap
from gannotate.labels import IGNORE
from gannotate.metrics.confusion import scores

CHANNELS = 128
"""Channels of each tap that are looked at, those that vary most: seconds instead of minutes at 5,000 channels.

Not principal components: the closed form's shrinkage works in the channels' own basis, and would do nothing in theirs.
"""

DOUBT = 2.0
"""Standard errors by which others must beat all taps: the best of many runs is ahead by chance. Times n / (n - 1): with
n pictures the standard error itself is uncertain."""

FOLDS = 8
"""At most so many pictures are left out, one at a time."""

COARSE_PX, MIDDLE_PX = 8, 32
"""Largest sides of the groups coarse (4-8 px) and middle (16-32 px); fine is above (RepurposeGAN, section 4.4)."""


@dataclass(frozen=True)
class Candidate:
    """A run of resolutions: the taps' names, and the mIoU of each picture that was left out."""

    low_px: int
    high_px: int
    names: tuple[str, ...]
    mious: tuple[float, ...]

    @property
    def miou(self) -> float:
        """Mean over the left-out pictures."""
        return float(np.mean(self.mious))


@dataclass(frozen=True)
class TapChoice:
    """What was chosen, and every candidate, best first.

    gain: mean mIoU over that of all taps, paired by picture; standard_error: of this mean.
    """

    chosen: Candidate
    candidates: tuple[Candidate, ...]
    gain: float
    standard_error: float

    def as_text(self) -> str:
        """One sentence."""
        of_all = next(item for item in self.candidates if len(item.names) == max(len(c.names) for c in self.candidates))
        pictures = len(of_all.mious)
        if self.chosen is of_all:
            best = self.candidates[0]
            return (
                f"taps: all; leaving one of {pictures} pictures out, no run of resolutions is better by more than the "
                f"noise (all {of_all.miou:.3f}, best {best.low_px}-{best.high_px} px {best.miou:.3f})"
            )
        return (
            f"taps: {self.chosen.low_px}-{self.chosen.high_px} px, {self.gain:+.3f} mIoU (standard error "
            f"{self.standard_error:.3f}) over all taps, leaving one of {pictures} pictures out"
        )

    def as_dict(self) -> dict[str, object]:
        """Ready for json."""
        return {
            "taps": list(self.chosen.names),
            "gain": round(self.gain, 5),
            "standard_error": round(self.standard_error, 5),
            "candidates": [
                {"from_px": c.low_px, "to_px": c.high_px, "miou": round(c.miou, 5)} for c in self.candidates
            ],
        }


def tap_group(tap: Tap) -> str:
    """coarse (4-8 px), middle (16-32 px) or fine (64 px and more)."""
    return "coarse" if tap.height <= COARSE_PX else "middle" if tap.height <= MIDDLE_PX else "fine"


def choose_taps(
    taps: Sequence[Tap],
    pictures: Sequence[Mapping[str, Float[Tensor, "p _"]]],
    labels: Sequence[Int[Tensor, " p"]],
    classes: int,
    stands_for: Sequence[Float[Tensor, " p"]] | None = None,
) -> TapChoice | None:
    """The run of resolutions whose closed-form head labels left-out pictures best; None with fewer than 2 pictures.

    Args:
        taps: to choose from, in drawing order. pictures: of each annotated picture a sample of its pixels, the
            features of every tap by name. labels: of these pixels, 255 = not labelled. stands_for: how many pixels of
            its picture each is a sample of; 1 when not given.
    """
    usable = [index for index, row in enumerate(labels) if len(row[row != IGNORE].unique())]
    if len(usable) < 2:
        return None
    weights = [torch.ones(len(row)) for row in labels] if stands_for is None else list(stands_for)
    pictures, labels = [pictures[index] for index in usable], [labels[index] for index in usable]
    weights = [weights[index] for index in usable]
    reduced, places = _reduce(taps, pictures)
    parts = [moments(*row[:2], classes, row[2]) for row in zip(reduced, labels, weights, strict=True)]
    candidates = []
    for low, high, names in runs(taps):
        channels = torch.cat([places[name] for name in names])
        candidates.append(Candidate(low, high, names, _leave_one_out(parts, reduced, labels, weights, channels)))
    of_all = max(candidates, key=lambda item: len(item.names))
    candidates.sort(key=lambda item: -item.miou)
    best = candidates[0]
    gains = np.subtract(best.mious, of_all.mious)
    error = float(gains.std(ddof=1) / math.sqrt(len(gains)))
    chosen = best if gains.mean() > DOUBT * error * len(gains) / (len(gains) - 1) else of_all
    gain, error = (float(gains.mean()), error) if chosen is best else (0.0, 0.0)
    return TapChoice(chosen, tuple(candidates), gain, error)


def runs(taps: Sequence[Tap]) -> list[tuple[int, int, tuple[str, ...]]]:
    """(smallest side, largest side, names) of every run of neighbouring resolutions, all of them first."""
    sides = sorted({tap.height for tap in taps})
    found = [
        (low, high, tuple(tap.name for tap in taps if low <= tap.height <= high))
        for start, low in enumerate(sides)
        for high in sides[start:]
    ]
    return sorted(found, key=lambda item: -len(item[2]))


def _reduce(taps: Sequence[Tap], pictures: Sequence[Mapping[str, Tensor]]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Each tap's most varying channels side by side, and where each tap's columns are."""
    columns: list[list[Tensor]] = [[] for _ in pictures]
    places: dict[str, Tensor] = {}
    start = 0
    for tap in taps:
        variance = torch.cat([picture[tap.name] for picture in pictures]).float().var(dim=0)
        kept = variance.topk(min(CHANNELS, len(variance))).indices.sort().values
        for column, picture in zip(columns, pictures, strict=True):
            column.append(picture[tap.name][:, kept].float())
        places[tap.name] = torch.arange(start, start + len(kept))
        start += len(kept)
    return [torch.cat(column, dim=1) for column in columns], places


def _leave_one_out(
    parts: Sequence[Moments],
    features: Sequence[Tensor],
    labels: Sequence[Tensor],
    weights: Sequence[Tensor],
    channels: Tensor,
) -> tuple[float, ...]:
    chosen = [part.of_channels(channels) for part in parts]
    everything = total(chosen)
    mious = []
    for index in range(min(FOLDS, len(parts))):
        rest = everything - chosen[index]
        if int((rest.pixels > 0.5).sum()) < 2:
            mious.append(0.0)  # what is left shows one class only: no head can be read off it
            continue
        head = discriminant(rest, shrinkage_of(len(parts) - 1))
        mious.append(_miou(head, features[index][:, channels], labels[index], weights[index]))
    return tuple(mious)


def _miou(head: LinearHead, features: Tensor, labels: Tensor, weights: Tensor) -> float:
    """mIoU over the picture that the pixels are a sample of."""
    classes, known = len(head.bias), labels != IGNORE
    pair = (labels[known] * classes + head(features[known]).argmax(dim=1)).cpu().numpy()
    counts = np.bincount(pair, weights[known].cpu().numpy(), minlength=classes**2)
    return scores(counts.round().astype(np.int64).reshape(classes, classes)).miou
