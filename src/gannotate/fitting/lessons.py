"""What a decoder is shown in a step: a few whole pictures, or many single pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.decoders.base import Decoder
from gannotate.decoders.ensemble import EnsembleDecoder
from gannotate.decoders.pointwise import PointwiseDecoder
from gannotate.errors import UsageError
from gannotate.features.interpolation import Interpolation
from gannotate.fitting.config import FitConfig
from gannotate.fitting.pixels import annotated_pixels, sampling_weights
from gannotate.fitting.shot import Shot, draw_taps
from gannotate.generators.base import DrawOptions, Generator
from gannotate.training.shares import for_all, own

MOST_CHANCES = 2**24
"""torch.multinomial takes no more."""


class Lessons(Protocol):
    """Draws what is learned from in a step, with the global torch generator."""

    def __call__(self, decoder: Decoder) -> tuple[Float[Tensor, "p k ..."], Int[Tensor, "p ..."]]:
        """Logits of `decoder` and the labels they should have, 255 where nothing is known."""
        ...


class SharedLessons(Lessons, Protocol):
    """Lessons that several processes, or passes, can share: each gives those of its share (see training/shares.py)."""

    @property
    def samples(self) -> int:
        """Pictures, or pixels, that a step is shown in all."""
        ...


def make_lessons(
    generator: Generator, shots: Sequence[Shot], decoder: Decoder, config: FitConfig, options: DrawOptions
) -> SharedLessons:
    """Lessons as `config` asks for them.

    Raises:
        UsageError: fresh noise was asked for where pictures have none.
    """
    if config.noise_augment and (options.noise == "none" or not generator.noise_shapes):
        raise UsageError("fresh noise was asked for, but the pictures are drawn with noise none; leave one out")
    kind = PixelLessons if config.pixels else PictureLessons
    return kind(generator, shots, decoder, config, options)


class PictureLessons:
    """Whole pictures, drawn without replacement; their taps are kept in half precision, or drawn with fresh noise."""

    def __init__(
        self, generator: Generator, shots: Sequence[Shot], decoder: Decoder, config: FitConfig, options: DrawOptions
    ) -> None:
        self.generator, self.config, self.options = generator, config, options
        self.seeds, self.names = [shot.seed for shot in shots], decoder.tap_names
        device = next(generator.parameters()).device
        self.label_maps = torch.from_numpy(np.stack([shot.label_map for shot in shots])).long().to(device)
        self.kept = None if config.noise_augment else self._keep()

    @property
    def samples(self) -> int:
        """Pictures a step."""
        return min(self.config.batch, len(self.seeds))

    def __call__(self, decoder: Decoder) -> tuple[Float[Tensor, "n k h w"], Int[Tensor, "n h w"]]:
        picked = own(torch.randperm(len(self.seeds))[: self.config.batch]).tolist()
        return decoder(self.taps(picked)), self.label_maps[picked]

    def taps(self, picked: Sequence[int]) -> dict[str, Float[Tensor, "n k h w"]]:
        """The taps of some of the pictures, as the decoder takes them."""
        if self.kept is not None:
            return {name: tensor[picked].float() for name, tensor in self.kept.items()}
        return draw_taps(self.generator, [self.seeds[index] for index in picked], self.names, self.options, True)

    def _keep(self) -> dict[str, Tensor]:
        # one picture at a time: the taps of ten 512 px pictures take 1.3 GB in half precision, twice that in float32
        drawn = [draw_taps(self.generator, [seed], self.names, self.options) for seed in self.seeds]
        halves = [{name: tensor.half() for name, tensor in taps.items()} for taps in drawn]
        return {name: torch.cat([taps[name] for taps in halves]) for name in self.names}


class PixelLessons:
    """Single pixels of all pictures, classes more evenly than they are (see `FitConfig.balance`), with replacement.

    Every member of an ensemble is shown pixels of its own.
    """

    def __init__(
        self, generator: Generator, shots: Sequence[Shot], decoder: Decoder, config: FitConfig, options: DrawOptions
    ) -> None:
        assert isinstance(decoder, PointwiseDecoder)
        self.generator, self.shots, self.config, self.options = generator, shots, config, options
        self.read = decoder.taps
        self.interpolation: Interpolation = decoder.first.interpolation
        self._collect()

    @property
    def samples(self) -> int:
        """Pixels a step, for each member of an ensemble."""
        return self.config.pixels

    def __call__(self, decoder: Decoder) -> tuple[Float[Tensor, "p k"], Int[Tensor, " p"]]:
        assert isinstance(decoder, PointwiseDecoder)
        if self.config.noise_augment:
            with for_all():
                self._collect(fresh_noise=True)
        count = self.config.pixels
        if not isinstance(decoder, EnsembleDecoder):
            picked = own(self.chances.draw(count))
            return decoder.pixel_logits(self.features[picked].float()), self.labels[picked]
        members = decoder.config.members
        picked = self.chances.draw(members * count).view(members, count)
        picked = own(picked.T).T
        logits = decoder.member_pixel_logits(self.features[picked].float())
        # the mean over all of them has each member's own gradient, scaled alike, so each learns as if it were alone
        return logits.transpose(0, 1).flatten(0, 1), self.labels[picked].flatten()

    def _collect(self, fresh_noise: bool = False) -> None:
        config, most = self.config, self.config.pool or self.generator.size**2
        parts = list(
            annotated_pixels(
                self.generator, self.shots, self.read, self.options, self.interpolation, most, config.seed, fresh_noise
            )
        )
        self.features = torch.cat([part.features for part in parts])
        self.labels = torch.cat([part.labels for part in parts])
        stands_for = torch.cat([part.stands_for for part in parts])
        self.chances = Chances(sampling_weights(self.labels, stands_for, config.balance))


class Chances:
    """Draws indices with replacement, each as often as its weight says; always those of the whole batch."""

    def __init__(self, weights: Float[Tensor, " p"]) -> None:
        """weights: 0 or more, not all 0."""
        self.weights, self.ends = weights, None
        if len(weights) > MOST_CHANCES:
            # in double precision, as single has no more steps than that; on the CPU, where a sum has one order
            self.ends = weights.double().cpu().cumsum(0).to(weights.device)

    def draw(self, count: int) -> Int[Tensor, " count"]:
        """So many of the indices, with torch's global generator."""
        if self.ends is None:
            return torch.multinomial(self.weights, count, replacement=True)
        with for_all():
            places = torch.rand(count, dtype=torch.float64, device=self.ends.device)
        return torch.searchsorted(self.ends, places * self.ends[-1], right=True)  # right: never one of weight 0
