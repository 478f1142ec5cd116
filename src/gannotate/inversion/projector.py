"""Real pictures to latents by optimisation: the projector of StyleGAN2 (Karras et al. 2020, appendix D), in batches.

Each picture has latents and noise maps of its own, and all draw the same random numbers, so that a picture's result
depends neither on the others in its batch nor on its place there (but for float tolerance between batch sizes).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.generators.base import Generator
from gannotate.inversion.latents import LatentStatistics, latent_statistics
from gannotate.inversion.losses import OfflineLoss, PictureLoss, distances
from gannotate.inversion.noise import autocorrelation, renormalise, start_noise
from gannotate.seeding import torch_stream
from gannotate.training.schedules import set_rate

Space = Literal["w", "w+"]
"""One style vector for all layers, or one for each."""

BETA1 = 0.9
"""Adam's momentum."""

OnStep = Callable[[int, Float[Tensor, " n"]], None]
"""Told the number of finished steps and each picture's distance."""


@dataclass(frozen=True, kw_only=True)
class InversionConfig:
    """How a picture is inverted; the defaults are the official projector's, but for the space and the prior."""

    space: Space = "w+"
    """w (one style for all layers: fewer pictures fit, those that do stay editable) or w+ (one for each layer)."""
    steps: int = 1000
    """Optimisation steps; 100 are enough from an encoder's start."""
    learning_rate: float = 0.1
    """Adam's largest step size."""
    beta2: float = 0.999
    """How long Adam remembers squared gradients; a short run learns more with 0.95."""
    ramp_up: float = 0.05
    """First part of the steps, in which the step size grows from 0."""
    ramp_down: float = 0.25
    """Last part of the steps, in which the step size goes to 0."""
    w_noise: float = 0.05
    """Random noise on the latent at the first step, in deviations of random latents."""
    w_noise_until: float = 0.75
    """Part of the steps after which the latent gets no more noise."""
    noise_weight: float = 1e5
    """Weight of what keeps the noise maps from drawing the picture."""
    prior_weight: float = 0.001
    """Weight of what keeps latents near those that the generator was trained with, see `typicality`; officially 0."""
    seed: int = 303
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        if self.space not in get_args(Space):
            raise UsageError(f"space {self.space!r} is not known; use {' or '.join(get_args(Space))}")
        if self.steps < 1:
            raise UsageError(f"steps is {self.steps}; use 1 or more, e.g. 1000, or 100 from an encoder's start")
        if not self.learning_rate > 0:
            raise UsageError(f"learning_rate is {self.learning_rate}; use a number above 0, e.g. 0.1")
        if not 0 <= self.beta2 < 1:
            raise UsageError(f"beta2 is {self.beta2}; use 0 or more and less than 1, e.g. 0.999")
        for name in ("w_noise", "noise_weight", "prior_weight"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}; use 0 or more")
        for name in ("ramp_up", "ramp_down", "w_noise_until"):
            if not 0 < getattr(self, name) <= 1:
                raise UsageError(f"{name} is {getattr(self, name)}; use a part of the steps, above 0 and at most 1")


@dataclass(frozen=True)
class Inverted:
    """Latents that draw given pictures.

    w (n, styles, w_dim) and noise, maps (n, 1, h, w): what `synthesize` takes. pictures (n, c, h, w): what it draws, in
    about [-1, 1]. psnr (n,): peak signal-to-noise ratio to the given pictures in dB. distance (n,): by the loss.
    """

    w: Float[Tensor, "n styles w"]
    noise: tuple[Float[Tensor, "n 1 _h _w"], ...]
    pictures: Float[Tensor, "n c h w"]
    psnr: Float[Tensor, " n"]
    distance: Float[Tensor, " n"]

    @torch.inference_mode()
    def taps(self, generator: Generator, names: Sequence[str]) -> dict[str, Float[Tensor, "n k h w"]]:
        """The activations called `names` while `generator` draws these pictures."""
        return generator.synthesize(self.w, self.noise, taps=names).taps


def step_size(config: InversionConfig, index: int) -> float:
    """Adam's step size at step `index`: a linear rise, and half a cosine down at the end."""
    t = index / config.steps
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / config.ramp_down))
    return config.learning_rate * down * min(1.0, t / config.ramp_up)


def latent_noise(config: InversionConfig, index: int) -> float:
    """Deviation of the latent's noise at step `index`, in deviations of random latents."""
    t = index / config.steps
    return config.w_noise * max(0.0, 1 - t / config.w_noise_until) ** 2


def psnr(a: Float[Tensor, "n c h w"], b: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Peak signal-to-noise ratio of pictures in [-1, 1] (cut off beyond it) in dB; at most 100."""
    error = (a.clamp(-1, 1) - b.clamp(-1, 1)).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(4 / error.clamp_min(4e-10))


class Projection:
    """One batch's optimisation, step by step; see `invert`."""

    def __init__(
        self,
        generator: Generator,
        pictures: Float[Tensor, "n c h w"],
        config: InversionConfig,
        start: Float[Tensor, "n styles w"] | None = None,
        loss: PictureLoss | None = None,
        statistics: LatentStatistics | None = None,
    ) -> None:
        check_pictures(generator, pictures)
        self.generator, self.config = generator.eval(), config
        self.loss = loss or OfflineLoss()
        self.statistics = statistics or latent_statistics(generator)
        like = next(generator.parameters())
        with torch.inference_mode(False), torch.no_grad():  # copies, as drawn pictures may not be differentiated
            self.pictures = pictures.to(like).clone()
            self.target = self.loss.features(self.pictures)
            first = self._first(start)
            self.noise = start_noise(generator, len(pictures), config.seed)
        self.w = first.requires_grad_(True)
        for single in self.noise:
            single.requires_grad_(True)
        self.optimizer = torch.optim.Adam([self.w, *self.noise], lr=config.learning_rate, betas=(BETA1, config.beta2))

    def step(self, index: int) -> Float[Tensor, " n"]:
        """Does step `index` (from 0) and returns each picture's distance before it."""
        config = self.config
        with torch.inference_mode(False), torch.enable_grad():
            set_rate(self.optimizer, step_size(config, index))
            w = self._styles(self.w + self._jitter(index))
            picture = self.generator.synthesize(w, self.noise).picture
            distance = distances(self.loss.features(picture), self.target)
            # sums, not means: a picture's gradient must not depend on how many there are
            total = distance.sum()
            if self.noise and config.noise_weight:
                total = total + config.noise_weight * autocorrelation(self.noise).sum()
            if config.prior_weight:
                total = total + config.prior_weight * self.statistics.typicality(w).sum()
            variables = [self.w, *self.noise]
            gradients = torch.autograd.grad(total, variables, allow_unused=True)
            for variable, gradient in zip(variables, gradients, strict=True):
                variable.grad = gradient
            self.optimizer.step()
            renormalise(self.noise)
        return distance.detach()

    @torch.no_grad()
    def finish(self) -> Inverted:
        """What was found so far."""
        w, noise = self._styles(self.w.detach()), tuple(single.detach().clone() for single in self.noise)
        picture = self.generator.synthesize(w, noise).picture
        distance = distances(self.loss.features(picture), self.target)
        return Inverted(w.clone(), noise, picture, psnr(picture, self.pictures), distance)

    def _first(self, start: Tensor | None) -> Tensor:
        """What is optimised, (n, 1 or styles, w), at its start."""
        generator, count = self.generator, len(self.pictures)
        styles = generator.style_count if self.config.space == "w+" else 1
        if start is None:
            return self.statistics.average.expand(count, styles, -1).clone()
        wanted = (count, generator.style_count, generator.w_dim)
        if tuple(start.shape) != wanted:
            raise UsageError(f"the start is {tuple(start.shape)}; these pictures take {wanted} (n, styles, w)")
        start = start.to(self.pictures)
        return start.clone() if styles > 1 else start.mean(dim=1, keepdim=True)

    def _styles(self, w: Tensor) -> Float[Tensor, "n styles w"]:
        return w.expand(-1, self.generator.style_count, -1)

    def _jitter(self, index: int) -> Tensor:
        """Noise on the latents, one draw for all pictures."""
        scale = latent_noise(self.config, index) * self.statistics.deviation
        stream = torch_stream(self.config.seed, "inversion", "w", index)
        return torch.randn(1, *self.w.shape[1:], generator=stream).to(self.w) * scale


def invert(
    generator: Generator,
    pictures: Float[Tensor, "n c h w"],
    config: InversionConfig | None = None,
    *,
    start: Float[Tensor, "n styles w"] | None = None,
    loss: PictureLoss | None = None,
    on_step: OnStep | None = None,
    statistics: LatentStatistics | None = None,
) -> Inverted:
    """Finds latents that draw `pictures` (in [-1, 1], of the generator's size and channels).

    Args:
        start: latents to begin at, e.g. an encoder's; the average latent when not given.
        loss: what is made small, pixels at several scales when not given (see `make_loss`).
        on_step: told of every step.
        statistics: `latent_statistics(generator)`, to save taking them again.

    Raises:
        UsageError: pictures or a start of another shape, or a class-conditional generator.
    """
    config = config or InversionConfig()
    projection = Projection(generator, pictures, config, start, loss, statistics)
    for index in range(config.steps):
        distance = projection.step(index)
        if on_step is not None:
            on_step(index + 1, distance)
    return projection.finish()


def check_pictures(generator: Generator, pictures: Tensor) -> None:
    """Checks that `generator` could draw pictures of this shape.

    Raises:
        UsageError: it could not.
    """
    wanted = (generator.image_channels, generator.size, generator.size)
    if tuple(pictures.shape[1:]) != wanted or not len(pictures):
        raise UsageError(
            f"pictures of shape {tuple(pictures.shape)} were given; this generator draws {wanted} (c, h, w)"
        )
