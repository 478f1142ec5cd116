"""Annotated pixels and their features: what decoders of single pixels learn from, and the closed form is solved on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.features.interpolation import Interpolation
from gannotate.features.sampling import Pixels, sample_pixels
from gannotate.fitting.shot import Shot, draw_taps
from gannotate.generators.base import DrawOptions, Generator, Tap
from gannotate.labels import IGNORE
from gannotate.seeding import numpy_stream

MOST_PIXELS = 4096
"""Pixels looked at of each annotated picture: all of a 64 px one; of larger ones neighbours hardly differ."""


@dataclass(frozen=True)
class AnnotatedPixels:
    """Some labelled pixels of one picture.

    features (p, channels) in half precision, of the taps one after the other; labels (p,) without 255; stands_for (p,):
    how many of the picture's pixels each is a sample of.
    """

    features: Float[Tensor, "p channels"]
    labels: Int[Tensor, " p"]
    stands_for: Float[Tensor, " p"]

    def by_tap(self, taps: Sequence[Tap]) -> dict[str, Float[Tensor, "p _"]]:
        """The features apart again."""
        parts = self.features.split([tap.channels for tap in taps], dim=1)
        return {tap.name: part for tap, part in zip(taps, parts, strict=True)}


@dataclass(frozen=True)
class Places:
    """Rows and columns of some labelled pixels of a label map, their labels, and how many each stands for."""

    y: np.ndarray
    x: np.ndarray
    labels: np.ndarray
    stands_for: np.ndarray


def choose_places(label_map: np.ndarray, most: int, random: np.random.Generator) -> Places:
    """At most `most` labelled pixels, each class with an equal share as far as it has so many; ascending."""
    flat = label_map.ravel()
    present = [np.flatnonzero(flat == k) for k in np.unique(flat[flat != IGNORE])]
    present.sort(key=len)
    chosen, weights, left = [], [], most
    for place, pixels in enumerate(present):  # small classes first: what they leave goes to the larger ones
        count = min(len(pixels), left // (len(present) - place))
        left -= count
        chosen.append(random.permutation(pixels)[:count])
        weights.append(np.full(count, len(pixels) / max(count, 1)))
    index = np.concatenate(chosen) if chosen else np.zeros(0, np.int64)
    weight = np.concatenate(weights) if weights else np.zeros(0)
    order = np.argsort(index)
    y, x = np.divmod(index[order], label_map.shape[1])
    return Places(y, x, flat[index[order]], weight[order])


def annotated_pixels(
    generator: Generator,
    shots: Sequence[Shot],
    taps: Sequence[Tap],
    options: DrawOptions,
    interpolation: Interpolation = "bilinear",
    most: int = MOST_PIXELS,
    seed: int = 0,
    fresh_noise: bool = False,
) -> Iterator[AnnotatedPixels]:
    """Yields the annotated pixels of each shot; one picture's taps are in memory at a time.

    `fresh_noise` draws the picture with noise from the global torch generator.
    """
    device = next(generator.parameters()).device
    names = [tap.name for tap in taps]
    for shot in shots:
        places = choose_places(shot.label_map, most, numpy_stream(seed, "pixels", shot.seed))
        drawn = draw_taps(generator, [shot.seed], names, options, fresh_noise)
        y, x = (torch.from_numpy(row).to(device) for row in (places.y, places.x))
        pixels = Pixels(torch.zeros_like(y), y, x)
        features = sample_pixels(drawn, taps, pixels, generator.size, interpolation)
        yield AnnotatedPixels(
            features.half(),
            torch.from_numpy(places.labels).long().to(device),
            torch.from_numpy(places.stands_for).float().to(device),
        )


def sampling_weights(labels: Int[Tensor, " p"], stands_for: Float[Tensor, " p"], balance: float) -> Float[Tensor, " p"]:
    """Chance of each pixel to be drawn: classes by share ** (1 - balance), a class's pixels by what they stand for.

    0 draws as the pictures are, 1 draws every class equally often.
    """
    area = torch.zeros(int(labels.max()) + 1, dtype=torch.float64)  # a float32 stands still at 2^24 pixels
    area = area.index_add_(0, labels.cpu(), stands_for.double().cpu()).to(stands_for)
    chance = torch.where(area > 0, area.clamp(min=1e-9) ** (1 - balance), area)
    weights = stands_for * (chance / area.clamp(min=1e-9))[labels]
    return weights / weights.sum()
