"""How close generated pictures are to real ones: KID, FID, precision, recall, density and coverage in a feature space.

The gauge of generator training. Its figures depend on the feature space, whose name they carry, and on the number
of pictures: compare like with like, as the snapshots of one training measured by one `Gauge` are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from numpy import ndarray
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.metrics.feature_spaces import FeatureSpace, RelativeSpace
from gannotate.seeding import numpy_stream

MIN_PICTURES = 50
"""Fewer pictures than this on either side say nothing; 500 and more are advised."""

ROWS = 1024
"""Rows of a distance matrix held at a time."""


@dataclass(frozen=True)
class Kid:
    """A kernel inception distance: about 0 (also slightly below) for two draws of the same pictures."""

    value: float
    """Unbiased squared maximum mean discrepancy over all the pictures."""

    standard_error: float
    """Jackknife standard error of `value`; a difference of two values below about twice this is chance."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """One measurement of generated pictures against real ones."""

    kid: float
    """KID, see `kid`; lower is better."""

    kid_standard_error: float
    """Its standard error."""

    precision: float
    """Share of generated pictures that lie on the manifold of the real ones, 0-1."""

    recall: float
    """Share of real pictures that lie on the manifold of the generated ones, 0-1."""

    density: float
    """Neighbourhoods of real pictures that a generated one lies in, relative to what a real one would: about 1 for
    real pictures, below for strays, above where they crowd around what is common."""

    coverage: float
    """Share of real pictures with a generated one close by, 0-1."""

    fid: float
    """Frechet distance, see `fid`; lower is better. Biased upwards, less so with more pictures."""

    feature_space: str
    """Name of the space all of these were measured in; figures of different spaces do not compare."""

    pictures: int
    """Generated pictures measured."""


class Gauge:
    """Measures sets of generated pictures against one set of real pictures, whose features are computed once.

    Measurements of one gauge compare with each other: same real pictures, same axes, same seed.
    """

    def __init__(self, real_pictures: UInt8[ndarray, "n h w c"], space: FeatureSpace, seed: int = 0):
        _check_count(len(real_pictures), "real")
        raw = space(real_pictures)
        self._scale = space.relative_to(raw) if isinstance(space, RelativeSpace) else None
        self._real = raw if self._scale is None else self._scale(raw)
        self._space, self._seed = space, seed

    def measure(self, fake_pictures: UInt8[ndarray, "m h w c"]) -> Quality:
        """All figures of one set of generated pictures.

        Raises:
            UsageError: fewer than 50 pictures, or pictures of another kind than the feature space takes.
        """
        _check_count(len(fake_pictures), "generated")
        fake = self._space(fake_pictures)
        fake = fake if self._scale is None else self._scale(fake)
        distance = kid(self._real, fake, seed=self._seed)
        precision, recall = precision_recall(self._real, fake)
        density, coverage = density_coverage(self._real, fake)
        return Quality(
            kid=distance.value,
            kid_standard_error=distance.standard_error,
            precision=precision,
            recall=recall,
            density=density,
            coverage=coverage,
            fid=fid(self._real, fake),
            feature_space=self._space.name,
            pictures=len(fake_pictures),
        )


def measure(
    real: UInt8[ndarray, "n h w c"], fake: UInt8[ndarray, "m h w c"], space: FeatureSpace, seed: int = 0
) -> Quality:
    """Quality of the pictures `fake` against `real`; for several sets of fakes keep a `Gauge`."""
    return Gauge(real, space, seed).measure(fake)


# ----------------------------------------------------------------------------------------------------
# KID: Binkowski, Sutherland, Arbel and Gretton 2018, "Demystifying MMD GANs", section 4.


def kid(
    real_features: Float[ndarray, "n d"],
    fake_features: Float[ndarray, "m d"],
    subsets: int = 20,
    seed: int = 0,
) -> Kid:
    """Unbiased squared MMD with the kernel (x.y / d + 1)^3 over all pairs, and its standard error.

    The value uses every pair once instead of averaging random subsets as the paper's code did: it estimates the
    same number with less variance. The standard error is the delete-a-group jackknife over `subsets` random
    groups of each side; where both sets are alike it comes out up to about twice too large.
    """
    _check_features(real_features, fake_features)
    smallest = min(len(real_features), len(fake_features))
    if not 2 <= subsets <= smallest // 2:
        raise UsageError(f"subsets={subsets} was given; with {smallest} pictures give 2 to {smallest // 2}")
    rng = numpy_stream(seed, "kid")
    real, fake = (
        np.array_split(np.asarray(features, np.float64)[rng.permutation(len(features))], subsets)
        for features in (real_features, fake_features)
    )
    real_counts, fake_counts = (np.array([len(part) for part in parts]) for parts in (real, fake))
    real_real = _kernel_sums(real, real, without_self=True)
    fake_fake = _kernel_sums(fake, fake, without_self=True)
    real_fake = _kernel_sums(real, fake, without_self=False)

    def mmd2(kept: ndarray) -> float:
        n, m = real_counts[kept].sum(), fake_counts[kept].sum()
        pairs = np.ix_(kept, kept)
        within = real_real[pairs].sum() / (n * (n - 1)) + fake_fake[pairs].sum() / (m * (m - 1))
        return float(within - 2 * real_fake[pairs].sum() / (n * m))

    everything = np.arange(subsets)
    left_out = np.array([mmd2(np.delete(everything, index)) for index in everything])
    error = np.sqrt((subsets - 1) / subsets * np.sum((left_out - left_out.mean()) ** 2))
    return Kid(mmd2(everything), float(error))


def _kernel_sums(a: list[ndarray], b: list[ndarray], *, without_self: bool) -> Float64[ndarray, "g g"]:
    """Sum of the cubic kernel over each pair of groups, with or without a picture paired with itself."""
    columns = np.concatenate(b)
    starts = np.cumsum([0] + [len(part) for part in b[:-1]])
    sums = np.empty((len(a), len(b)))
    for index, part in enumerate(a):
        kernel = (part @ columns.T / columns.shape[1] + 1) ** 3
        sums[index] = np.add.reduceat(kernel.sum(0), starts)
        if without_self:
            sums[index, index] -= np.sum(((part * part).sum(1) / part.shape[1] + 1) ** 3)
    return sums


# ----------------------------------------------------------------------------------------------------
# FID: Heusel et al. 2017, "GANs trained by a two time-scale update rule", equation 6.


def fid(real: Float[ndarray, "n d"], fake: Float[ndarray, "m d"]) -> float:
    """Squared Frechet distance of two Gaussians: |mu - nu|^2 + tr(A) + tr(B) - 2 tr((A B)^(1/2)).

    With A = R^T R and B = S^T S the last trace is the sum of the singular values of R S^T, which needs no
    matrix square root and stays exact when there are fewer pictures than features.
    """
    _check_features(real, fake)
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    difference = real.mean(0) - fake.mean(0)
    # The triangular factors of the centred features: small, whatever the number of pictures.
    factor_real, factor_fake = (
        np.linalg.qr((x - x.mean(0)) / np.sqrt(len(x) - 1), mode="reduced")[1] for x in (real, fake)
    )
    traces = np.sum(factor_real**2) + np.sum(factor_fake**2)
    cross = np.linalg.svd(factor_real @ factor_fake.T, compute_uv=False).sum()
    return max(0.0, float(difference @ difference + traces - 2 * cross))


# ----------------------------------------------------------------------------------------------------
# Precision and recall: Kynkaanniemi et al. 2019, "Improved precision and recall metric", equations 1 and 2.
# Density and coverage on the same neighbourhoods.


def precision_recall(real: Float[ndarray, "n d"], fake: Float[ndarray, "m d"], k: int = 3) -> tuple[float, float]:
    """Share of fakes within the k-NN balls of the reals, and of reals within those of the fakes.

    Both depend on the number of pictures: use the same numbers of each where figures are compared.
    """
    _check_features(real, fake)
    _check_neighbours(k, min(len(real), len(fake)))
    a, b = (torch.from_numpy(np.asarray(x, np.float64)) for x in (real, fake))
    return _share_inside(b, a, _radii(a, k)), _share_inside(a, b, _radii(b, k))


def density_coverage(real: Float[ndarray, "n d"], fake: Float[ndarray, "m d"], k: int = 5) -> tuple[float, float]:
    """Naeem et al. 2020, "Reliable fidelity and diversity metrics for generative models", equations 3 and 4.

    Both look at the k-NN balls of the reals alone, so that strays among the fakes cannot blow up the manifold as they
    do in recall. Density: how many balls a fake lies in on average, divided by k. Coverage: share of the balls that
    hold a fake. For two draws of the same pictures about 1, and 1 - 2^-k with equal numbers of pictures.
    """
    _check_features(real, fake)
    _check_neighbours(k, len(real))
    a, b = (torch.from_numpy(np.asarray(x, np.float64)) for x in (real, fake))
    radii = _radii(a, k)
    hits, covered = 0, torch.zeros(len(a), dtype=torch.bool)
    for start in range(0, len(b), ROWS):
        inside = _squared_distances(b[start : start + ROWS], a) <= radii
        hits += int(inside.sum())
        covered |= inside.any(0)
    return hits / (k * len(b)), float(covered.double().mean())


def _radii(points: Float[Tensor, "n d"], k: int) -> Float[Tensor, " n"]:
    """Squared distance of each point to its k-th nearest neighbour, itself not counted."""
    rows = []
    for start in range(0, len(points), ROWS):
        distances = _squared_distances(points[start : start + ROWS], points)
        own = torch.arange(len(distances))
        distances[own, own + start] = 0
        rows.append(distances.kthvalue(k + 1, dim=1).values)
    return torch.cat(rows)


def _share_inside(points: Float[Tensor, "m d"], centres: Float[Tensor, "n d"], radii: Float[Tensor, " n"]) -> float:
    """Share of the points that lie within the ball of any centre; `radii` are squared."""
    inside = 0
    for start in range(0, len(points), ROWS):
        inside += int((_squared_distances(points[start : start + ROWS], centres) <= radii).any(1).sum())
    return inside / len(points)


def _squared_distances(a: Float[Tensor, "m d"], b: Float[Tensor, "n d"]) -> Float[Tensor, "m n"]:
    return ((a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T).clamp_min(0)


def _check_count(count: int, kind: str) -> None:
    if count < MIN_PICTURES:
        raise UsageError(
            f"{count} {kind} pictures were given to the quality gauge; give at least {MIN_PICTURES}, "
            "better 500 and more"
        )


def _check_neighbours(k: int, pictures: int) -> None:
    if not 1 <= k < pictures:
        raise UsageError(f"k={k} was given; with {pictures} pictures give 1 to {pictures - 1}")


def _check_features(real: ndarray, fake: ndarray) -> None:
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise UsageError(
            f"features of shapes {real.shape} and {fake.shape} were given; give (pictures, features) "
            "arrays of the same feature space"
        )
    if not (np.isfinite(real).all() and np.isfinite(fake).all()):
        raise UsageError("features with NaN or infinity were given; check the weights that they come from")
