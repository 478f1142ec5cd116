"""Shots: annotated pictures of a generator, what they must be, and their taps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.generators.base import DrawOptions, Generator
from gannotate.labels import IGNORE, check_label_map


@dataclass(frozen=True)
class Shot:
    """One annotated picture of the generator: its seed and its label map, uint8 (size, size), 255 = not labelled."""

    seed: int
    label_map: np.ndarray


def check_shots(shots: Sequence[Shot], classes: int, size: int) -> None:
    """Checks that the annotations can teach a decoder of a generator of `size` px.

    Raises:
        UsageError: none, twice the same seed, nothing labelled, fewer than 2 classes. GannotateError: unknown class
            ids. Both name the seed.
    """
    if not shots:
        raise UsageError("no annotated pictures were given; annotate at least one")
    if classes < 2:
        raise UsageError(f"{classes} classes were given; a decoder tells at least 2 apart")
    seeds = [shot.seed for shot in shots]
    for shot in shots:
        source = f"annotation of seed {shot.seed}"
        check_label_map(shot.label_map, classes, source)
        if shot.label_map.shape != (size, size):
            height, width = shot.label_map.shape
            raise UsageError(f"{source}: it is {width}x{height} px, the generator's pictures are {size}x{size}")
        if seeds.count(shot.seed) > 1:
            raise UsageError(f"{source}: given {seeds.count(shot.seed)} times; give each seed once")
    if all((shot.label_map == IGNORE).all() for shot in shots):
        raise UsageError(
            f"nothing is labelled in the {len(shots)} annotations (every pixel is {IGNORE}, ignore); label some pixels"
        )


def draw_taps(
    generator: Generator,
    seeds: Sequence[int],
    names: Sequence[str],
    options: DrawOptions,
    fresh_noise: bool = False,
) -> dict[str, Float[Tensor, "n k h w"]]:
    """Taps of a few pictures in one pass; equal to `draw` within float tolerance.

    `fresh_noise` replaces the per-pixel noise by maps from the global torch generator.
    """
    with torch.no_grad():
        w = generator.map(generator.latents(seeds), psi=options.psi, cutoff=options.cutoff)
        if fresh_noise:
            noise = [torch.randn(len(seeds), 1, *shape).to(w) for shape in generator.noise_shapes]
        else:
            noise = generator.noise_of_seeds(seeds) if options.noise == "seeded" else options.noise
        return generator.synthesize(w, noise, taps=names).taps
