"""Perceptual path length (Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial
Networks", section 4.1): how much a picture changes for a small step between two latents. Smooth latent spaces have
short paths.

The generator comes as two functions, latent to styles and styles to pictures, and the distance as an `Embedding`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.metrics.feature_spaces import Embedding
from gannotate.seeding import numpy_stream

PathSpace = Literal["w", "z"]
"""Where the path runs: straight between two styles, or on the sphere between two latents."""

Sampling = Literal["end", "full"]
"""Where on the path the step is taken: at its beginning, or anywhere."""

ToStyles = Callable[[Float[Tensor, "n z"]], Tensor]
"""Latents (n, z_dim) to styles, float (n, ...)."""

ToPictures = Callable[[Tensor], Float[Tensor, "n c h w"]]
"""Styles to float pictures in about [-1, 1], not rounded to grey levels; a row depends on its own style alone."""

OUTLIERS_PERCENT = 1.0
"""Left out at each end, as the paper's code does."""

FEWEST_PAIRS = 50


@dataclass(frozen=True, kw_only=True)
class PathLengthConfig:
    """How path length is measured."""

    pairs: int = 1000
    """Steps measured, each between latents of its own; published figures take 50,000."""
    space: PathSpace = "w"
    """Where the path runs: w (straight between styles) or z (along the sphere)."""
    sampling: Sampling = "end"
    """Where the step is taken: end (the path's beginning) or full (anywhere on it)."""
    epsilon: float = 1e-4
    """Length of the step, as a part of the path."""

    def __post_init__(self) -> None:
        if self.pairs < FEWEST_PAIRS:
            raise UsageError(f"{self.pairs} pairs are too few for a path length; give at least {FEWEST_PAIRS}")
        if self.space not in get_args(PathSpace):
            raise UsageError(f"path space {self.space!r} is not known; use {' or '.join(get_args(PathSpace))}")
        if self.sampling not in get_args(Sampling):
            raise UsageError(f"sampling {self.sampling!r} is not known; use {' or '.join(get_args(Sampling))}")
        if not 0 < self.epsilon <= 0.1:
            raise UsageError(f"epsilon is {self.epsilon}; use a number above 0, at most 0.1, e.g. 0.0001")


@dataclass(frozen=True, kw_only=True)
class PathLength:
    """A path length and how it was measured."""

    value: float
    """Mean squared distance of the two pictures of a step, divided by epsilon squared; lower is smoother."""

    standard_error: float
    """Of `value`, over the steps that were kept."""

    pairs: int
    """Steps measured, before the outliers were left out."""

    distance: str
    """Name of the embedding; figures of different ones do not compare."""

    space: PathSpace
    """Where the paths ran."""

    sampling: Sampling
    """Where on the paths the steps were taken."""


def path_lengths(
    to_styles: ToStyles,
    to_pictures: ToPictures,
    embedding: Embedding,
    z_dim: int,
    config: PathLengthConfig | None = None,
    seed: int = 0,
    batch: int = 8,
) -> Iterator[Float[ndarray, " n"]]:
    """Yields d(picture at t, picture at t + epsilon) / epsilon^2 of `batch` steps at a time; see `summarise`.

    Step k is the same for any number of pairs and any batch. Latents are interpolated in float64: only the ends of a
    step are rounded to the generator's float32, not the step.
    """
    config = config or PathLengthConfig()
    for first in range(0, config.pairs, batch):
        starts, ends = [], []
        for pair in range(first, min(first + batch, config.pairs)):
            start, end = step_of_pair(to_styles, z_dim, config, seed, pair)
            starts.append(start)
            ends.append(end)
        # one pass for both ends of the steps, so that no kernel chosen by batch size can tell them apart
        vectors = embedding.embed(to_pictures(torch.cat(starts + ends)))
        before, after = vectors.double().chunk(2)
        yield ((after - before).square().sum(dim=1) / config.epsilon**2).cpu().numpy()


def step_of_pair(
    to_styles: ToStyles, z_dim: int, config: PathLengthConfig, seed: int, pair: int
) -> tuple[Tensor, Tensor]:
    """Styles (1, ...) at both ends of step `pair`."""
    rng = numpy_stream(seed, "path length", pair)
    z = torch.from_numpy(rng.standard_normal((2, z_dim)))
    t = rng.uniform() if config.sampling == "full" else 0.0
    if config.space == "z":
        ends = torch.cat([slerp(z[:1], z[1:], t), slerp(z[:1], z[1:], t + config.epsilon)])
        start, end = to_styles(ends.float()).chunk(2)
        return start, end
    styles = to_styles(z.float())
    a, b = styles.double().chunk(2)
    return torch.lerp(a, b, t).to(styles.dtype), torch.lerp(a, b, t + config.epsilon).to(styles.dtype)


def slerp(a: Float[Tensor, "n z"], b: Float[Tensor, "n z"], t: float) -> Float[Tensor, "n z"]:
    """The point a part `t` along the great circle from `a` to `b`, on the sphere of radius sqrt(z).

    That is the length of a typical latent; the lengths of `a` and `b` do not matter (Shoemake 1985).
    """
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (a, b))
    cosine = (a * b).sum(dim=1, keepdim=True)
    across = b - cosine * a
    across = across / across.norm(dim=1, keepdim=True).clamp_min(1e-12)
    angle = t * torch.acos(cosine.clamp(-1, 1))
    return (a * angle.cos() + across * angle.sin()) * a.shape[1] ** 0.5


def summarise(lengths: Sequence[Float[ndarray, " _n"]], embedding: Embedding, config: PathLengthConfig) -> PathLength:
    """The mean of what `path_lengths` yielded, without the lowest and the highest hundredth."""
    values = np.concatenate(lengths)
    low = np.percentile(values, OUTLIERS_PERCENT, method="lower")
    high = np.percentile(values, 100 - OUTLIERS_PERCENT, method="higher")
    kept = values[(values >= low) & (values <= high)]
    return PathLength(
        value=float(kept.mean()),
        standard_error=float(kept.std(ddof=1) / len(kept) ** 0.5),
        pairs=len(values),
        distance=embedding.name,
        space=config.space,
        sampling=config.sampling,
    )
