"""Fitting a decoder to a few annotated pictures of its generator (Galeev et al. 2020, algorithm 1)."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gannotate.decoders.build import save_decoder
from gannotate.decoders.light import LightConfig, LightDecoder
from gannotate.errors import UsageError
from gannotate.generators.base import DrawOptions, Generator
from gannotate.labels import IGNORE, check_label_map
from gannotate.seeding import stream_seed
from gannotate.training.average import follow
from gannotate.training.loop import LoopConfig, Progress, train
from gannotate.training.losses import masked_cross_entropy


@dataclass(frozen=True)
class Shot:
    """One annotated picture of the generator: its seed and its label map, uint8 (size, size), 255 = not labelled."""

    seed: int
    label_map: np.ndarray


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How a decoder learns from a few annotated pictures."""

    decoder: LightConfig = field(default_factory=LightConfig)
    """Shape of the decoder."""
    steps: int = 200
    """Optimisation steps."""
    batch: int = 4
    """Annotated pictures a step; all of them when there are fewer."""
    learning_rate: float = 0.003
    """Adam's first step size; it falls to zero along a cosine."""
    label_smoothing: float = 0.0
    """Part of the target that is spread evenly over all classes."""
    ema: float = 0.98
    """Decay a step of the averaged weights, which are those that are saved; 0 turns the average off."""
    noise_augment: bool = False
    """Draw the annotated pictures with fresh per-pixel noise in each step (slower)."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        for name, given in (("steps", self.steps), ("batch", self.batch)):
            if given < 1:
                raise UsageError(f"{name} is {given}; use 1 or more")
        if not self.learning_rate > 0:
            raise UsageError(f"the learning rate is {self.learning_rate}; use a positive number, e.g. 0.003")
        for name, part in (("label smoothing", self.label_smoothing), ("ema", self.ema)):
            if not 0 <= part < 1:
                raise UsageError(f"{name} is {part}; use 0 up to, but not, 1")


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


class FitTrainer:
    """Teaches a light decoder; `finish()` gives the decoder to keep."""

    def __init__(
        self,
        generator: Generator,
        shots: Sequence[Shot],
        classes: int,
        config: FitConfig,
        options: DrawOptions,
    ) -> None:
        check_shots(shots, classes, generator.size)
        if config.noise_augment and options.noise == "none":
            raise UsageError("fresh noise was asked for, but the pictures are drawn with noise none; leave one out")
        self.generator, self.config, self.options = generator.eval(), config, options
        self.seeds = [shot.seed for shot in shots]
        self.device = next(generator.parameters()).device
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(config.seed, "decoder"))
            self.decoder = LightDecoder.of_generator(generator, classes, config.decoder).to(self.device)
        self.average = copy.deepcopy(self.decoder).requires_grad_(False)
        self.label_maps = torch.from_numpy(np.stack([shot.label_map for shot in shots])).long().to(self.device)
        self.optimizer = torch.optim.Adam(self.decoder.parameters(), config.learning_rate)
        self.kept = None if config.noise_augment else self._taps(range(len(shots)))
        self.about = about_fit(shots, classes, config, options)

    def _taps(self, picked: Sequence[int]) -> dict[str, Tensor]:
        seeds = [self.seeds[index] for index in picked]
        return draw_taps(self.generator, seeds, self.decoder.tap_names, self.options, self.config.noise_augment)

    def step(self, index: int) -> dict[str, float]:
        """One step on `batch` annotated pictures, drawn without replacement."""
        picked = torch.randperm(len(self.seeds))[: self.config.batch].tolist()
        taps = {name: tensor[picked] for name, tensor in self.kept.items()} if self.kept else self._taps(picked)
        self._set_rate(index)
        self.decoder.train()
        loss = masked_cross_entropy(self.decoder(taps), self.label_maps[picked], smoothing=self.config.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        follow(self.average, self.decoder, self.config.ema, index)
        return {"loss": float(loss.detach())}

    def _set_rate(self, index: int) -> None:
        rate = self.config.learning_rate * 0.5 * (1 + math.cos(math.pi * index / self.config.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def finish(self) -> LightDecoder:
        """The averaged decoder, in evaluation mode."""
        return self.average.eval()

    def state(self) -> dict[str, Any]:
        """Weights, average, optimizer and what was fitted."""
        return {
            "about": self.about,
            "decoder": self.decoder.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave.

        Raises:
            UsageError: the state is of a fit with other settings or annotations.
        """
        changed = sorted(name for name in self.about if state["about"].get(name) != self.about[name])
        if changed:
            raise UsageError(
                f"the fit to resume had other {', '.join(changed)}; resume it with the same ones, or start a new folder"
            )
        self.decoder.load_state_dict(state["decoder"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])


def about_fit(
    shots: Sequence[Shot], classes: int, config: FitConfig, options: DrawOptions
) -> dict[str, dict[str, Any]]:
    """What a decoder was fitted with: settings, seeds, labelled pixels of each class, and a hash of the labels."""
    label_maps = np.stack([shot.label_map for shot in shots])
    pixels = np.bincount(label_maps.ravel(), minlength=256)
    settings = asdict(config)
    settings["decoder"]["taps"] = list(config.decoder.taps)
    return {
        "annotations": {
            "seeds": [shot.seed for shot in shots],
            "labelled_px": pixels[:classes].tolist(),
            "ignored_px": int(pixels[IGNORE]),
            "hash": hashlib.sha256(label_maps.tobytes()).hexdigest(),
        },
        "settings": settings,
        "options": asdict(options),
    }


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


def fit(
    generator: Generator,
    shots: Sequence[Shot],
    classes: int,
    config: FitConfig,
    options: DrawOptions,
    folder: str | Path,
    resume: bool = True,
) -> Iterator[Progress]:
    """Fits a light decoder to annotated pictures; yields progress after each step.

    Iterating to the end leaves a decoder folder (see `load_decoder`) with the log beside it; `options` are how the
    annotated pictures were drawn. A fit that was stopped goes on, and ends as one that was not.

    Raises:
        UsageError: the annotations or settings cannot be used; see `check_shots`.
    """
    folder = Path(folder)
    trainer = FitTrainer(generator, shots, classes, config, options)
    yield from train(trainer, folder, LoopConfig(steps=config.steps, seed=config.seed), resume=resume)
    save_decoder(folder, trainer.finish(), **trainer.about)
