"""How good a generator is: its pictures against real ones beside what real pictures get, and its path length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.generators.base import DrawOptions, Generator, draw, to_uint8
from gannotate.metrics.feature_spaces import Embedding, FeatureSpace
from gannotate.metrics.image_quality import MIN_PICTURES, Gauge, Quality
from gannotate.metrics.path_length import PathLength, PathLengthConfig, path_lengths, summarise
from gannotate.seeding import numpy_stream
from gannotate.training.loop import Clock, Progress

FIRST_SEED = 1_000_000
"""Seeds from here are drawn, as while training: far from those that people look at and label."""

USUAL_PICTURES = 1000


@dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """How a generator is measured."""

    pictures: int | None = None
    """Pictures to draw; as many as real ones are held back for the floor (at most 1000) when not given."""
    first_seed: int = FIRST_SEED
    """Seed of the first picture drawn, the others follow."""
    options: DrawOptions | None = None
    """How the pictures are drawn; untruncated when not given."""
    label: int | None = None
    """Class that a class-conditional generator draws; give real pictures of that class."""
    real: int = 2000
    """Real pictures to measure against, at most, drawn with the seed: as many as while training; 0 takes all."""
    floor: bool = True
    """Hold half of the real pictures back, no more than are drawn, and measure them too."""
    paths: PathLengthConfig | None = None
    """How path length is measured; not at all when not given."""
    seed: int = 0
    """Seed of the choice of real pictures that are held back, of KID's groups and of the paths."""

    def __post_init__(self) -> None:
        if self.pictures is not None and self.pictures < MIN_PICTURES:
            raise UsageError(
                f"{self.pictures} drawn pictures say nothing; ask for at least {MIN_PICTURES}, better 1000"
            )
        if self.real and self.real < MIN_PICTURES:
            raise UsageError(f"{self.real} real pictures say nothing; ask for at least {MIN_PICTURES}, better 2000")


class QualityRun:
    """One measurement: iterate to the end, then read the figures.

    Attributes:
        generated: figures of drawn pictures. floor: of real pictures that were held back; None without them.
        against: real pictures that both were measured against. path_length: None when not asked for.
    """

    generated: Quality
    floor: Quality | None = None
    against: int
    path_length: PathLength | None = None

    def __init__(
        self,
        generator: Generator,
        real: UInt8[np.ndarray, "n h w c"],
        space: FeatureSpace,
        config: QualityConfig | None = None,
        embedding: Embedding | None = None,
    ) -> None:
        """Takes real pictures of the generator's size and channels.

        Args:
            space: where the pictures are compared. embedding: where path length is measured, if it is asked for.
        """
        self.generator, self.space, self.embedding = generator, space, embedding
        self.config = config or QualityConfig()
        usual = min(USUAL_PICTURES, max(len(real) // 2, MIN_PICTURES))
        self.pictures = usual if self.config.pictures is None else self.config.pictures
        rest, self.held_back = split(real, self.pictures if self.config.floor else 0, self.config.seed)
        chosen = numpy_stream(self.config.seed, "reference").permutation(len(rest))[: self.config.real or None]
        self.reference = rest[np.sort(chosen)]
        self.against = len(self.reference)

    def __iter__(self) -> Iterator[Progress]:
        """Yields progress, counted in pictures drawn.

        Raises:
            UsageError: fewer than 50 pictures on either side.
        """
        gauge = Gauge(self.reference, self.space, self.config.seed)
        clock, paths, drawn = Clock(), self.config.paths, []
        steps = self.pictures + (2 * paths.pairs if paths else 0)
        seeds = range(self.config.first_seed, self.config.first_seed + self.pictures)
        for _, drawing in draw(self.generator, seeds, self.config.options, label=self.config.label):
            drawn.append(to_uint8(drawing.picture)[0])
            yield _progress(len(drawn), steps, clock)
        self.generated = gauge.measure(np.stack(drawn))
        self.floor = gauge.measure(self.held_back) if len(self.held_back) else None
        if paths and self.embedding:
            lengths = []
            for some in generator_path_lengths(self.generator, self.embedding, paths, self.config):
                lengths.append(some)
                yield _progress(self.pictures + 2 * sum(map(len, lengths)), steps, clock)
            self.path_length = summarise(lengths, self.embedding, paths)


def split(
    real: UInt8[np.ndarray, "n h w c"], most: int, seed: int
) -> tuple[UInt8[np.ndarray, "r h w c"], UInt8[np.ndarray, "k h w c"]]:
    """The real pictures to measure against, and others to hold back: half of them, but no more than `most`.

    None are held back when that were fewer than the gauge takes.
    """
    count = min(most, len(real) // 2)
    count = count if count >= MIN_PICTURES else 0
    order = numpy_stream(seed, "held back").permutation(len(real))
    return real[np.sort(order[count:])], real[np.sort(order[:count])]


def generator_path_lengths(
    generator: Generator, embedding: Embedding, paths: PathLengthConfig, config: QualityConfig
) -> Iterator[Float[np.ndarray, " n"]]:
    """`path_lengths` of a generator: truncated as its pictures are, with one noise for both ends of a step."""
    options = config.options or DrawOptions()
    like = next(generator.parameters())
    noise = generator.noise_of_seeds([config.first_seed]) if options.noise == "seeded" else options.noise

    @torch.inference_mode()
    def to_styles(z: Float[Tensor, "n z"]) -> Tensor:
        labels = generator.labels_of(config.label, len(z))
        return generator.map(z.to(like), psi=options.psi, cutoff=options.cutoff, labels=labels)

    @torch.inference_mode()
    def to_pictures(styles: Tensor) -> Float[Tensor, "n c h w"]:
        maps = noise if isinstance(noise, str) else [one.expand(len(styles), -1, -1, -1) for one in noise]
        return generator.synthesize(styles.to(like), maps).picture

    generator.eval()
    return path_lengths(to_styles, to_pictures, embedding, generator.z_dim, paths, config.seed)


def _progress(done: int, steps: int, clock: Clock) -> Progress:
    return Progress(done, steps, clock.seconds, clock.seconds / done * (steps - done), {})
