"""Training an encoder on its generator's own pictures, by the common training loop.

Of those every latent is known. Real pictures, where given, are learned from too: only how well they are redrawn counts.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gannotate.decoders.base import last_of_each_resolution
from gannotate.errors import UsageError
from gannotate.files import drop
from gannotate.generators.base import Generator, from_uint8
from gannotate.inversion.encoder import ENCODER, EncoderConfig, make_encoder, save_encoder, tap_distance
from gannotate.inversion.latents import LatentStatistics, latent_statistics, mix_styles
from gannotate.inversion.losses import OfflineLoss, PictureLoss, distances
from gannotate.inversion.projector import InversionConfig, check_pictures
from gannotate.seeding import stream_seed
from gannotate.synthesis import fingerprint
from gannotate.training import distributed
from gannotate.training.average import follow
from gannotate.training.descent import fill_gradients
from gannotate.training.loop import LoopConfig, Progress, train
from gannotate.training.resuming import check_place, hash_of, holds_training
from gannotate.training.schedules import half_cosine, set_rate
from gannotate.training.shares import passes

EMA = 0.995
"""Of the averaged weights, which are kept."""


@dataclass(frozen=True, kw_only=True)
class EncoderTraining:
    """How an encoder is trained."""

    steps: int = 3000
    """Optimisation steps."""
    batch: int = 16
    """Pictures a step, drawn anew for each; and half as many real ones, where given."""
    learning_rate: float = 0.001
    """Adam's first step size; it goes to 0 along half a cosine."""
    mixing: float = 0.5
    """Part of the pictures that are drawn with two styles, so that w+ is learned too."""
    w_weight: float = 0.1
    """Weight of the latents' mean squared error, in deviations of random latents."""
    picture_weight: float = 1.0
    """Weight of the redrawn picture's distance."""
    tap_weight: float = 0.0
    """Weight of the activations' relative squared error, averaged over the last tap of each resolution."""
    width: int = EncoderConfig.width
    """Channels at half the picture's size."""
    seed: int = 0
    """Seed of every random draw."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} of the encoder is {getattr(self, name)}; use 1 or more")
        if not 0 <= self.mixing <= 1:
            raise UsageError(f"mixing is {self.mixing}; use a part of the pictures, 0 to 1")
        weights = (self.w_weight, self.picture_weight, self.tap_weight)
        if min(weights) < 0 or not any(weights):
            raise UsageError(f"the encoder's weights are {weights}; use 0 or more, and at least one above 0")


class EncoderTrainer:
    """Teaches an encoder the latents of drawn pictures, and to redraw `real` ones; `average` is the one to keep.

    Several processes each take a part of the drawn pictures of a step, and of the real ones.
    """

    remedy = "Try another --seed, or leave --encoder out"  # its learning rate has no flag

    def __init__(
        self,
        generator: Generator,
        config: EncoderTraining,
        loss: PictureLoss,
        statistics: LatentStatistics,
        real: UInt8[np.ndarray, "n h w c"] | None = None,
    ) -> None:
        self.generator, self.config, self.loss = generator.eval().requires_grad_(False), config, loss
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(config.seed, "encoder"))
            self.encoder = make_encoder(generator, statistics, config.width)
        self.average = copy.deepcopy(self.encoder).eval().requires_grad_(False)
        self.optimizer: torch.optim.Optimizer = torch.optim.Adam(self.encoder.parameters(), config.learning_rate)
        taps = last_of_each_resolution(generator.taps) if config.tap_weight else ()
        self.tap_names = tuple(tap.name for tap in taps)
        self.statistics, self.real = statistics, real
        counts = (config.batch,) if real is None else (config.batch, -(-config.batch // 2))
        if counts[-1] < distributed.count():
            raise UsageError(
                f"a step of the encoder learns from {counts[-1]} {'drawn' if real is None else 'real'} picture(s), "
                f"which {distributed.count()} processes cannot share; start {counts[-1]} at most"
            )
        self.shares = tuple(passes(count)[0] for count in counts)
        self.weights = {
            "w": config.w_weight,
            "picture": config.picture_weight,
            "taps": config.tap_weight,
            "real": config.picture_weight,
            "typicality": InversionConfig.prior_weight,
        }
        self.about: dict[str, Any] = {
            "settings": asdict(config),
            "loss": loss.name,
            "generator": fingerprint(generator),
            "real_pictures": None,
        }
        if real is not None:
            check_pictures(generator, from_uint8(real[:1]))
            self.about["real_pictures"] = {"count": len(real), "sha256": hash_of(real)}

    def step(self, index: int) -> dict[str, float]:
        """One step on newly drawn pictures."""
        config = self.config
        set_rate(self.optimizer, config.learning_rate * half_cosine(index, config.steps))
        with self.shares[0] as share:
            parts = {name: share.part_of(part) for name, part in self._of_drawn(len(share.place)).items()}
        if self.real is not None:
            with self.shares[1] as share:
                of_real = self._of_real(self.real, len(share.place))
                parts |= {name: share.part_of(part) for name, part in of_real.items()}
        loss = torch.stack([self.weights[name] * part for name, part in parts.items()]).sum()
        fill_gradients(self.optimizer, loss)
        self.optimizer.step()
        follow(self.average, self.encoder, EMA, index)
        return distributed.summed(loss=loss, **parts)

    def state(self) -> dict[str, Any]:
        """Weights, average, optimizer and the settings."""
        return {
            "about": self.about,
            "encoder": self.encoder.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave.

        Raises:
            UsageError: the state is of a training with other settings.
        """
        if state["about"] != self.about:
            raise UsageError("the encoder to resume was trained with other settings; give a new folder to --encoder")
        self.encoder.load_state_dict(state["encoder"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _of_drawn(self, count: int) -> dict[str, Tensor]:
        """How far newly drawn pictures' latents, their redrawing and its activations are from the truth."""
        config = self.config
        with torch.no_grad():
            w, noise = self._latents(count), self._noise(count)
            drawn = self.generator.synthesize(w, noise, taps=self.tap_names)
        found = self.encoder(drawn.picture)
        parts = {"w": ((found - w) / self.encoder.deviation).square().mean()}
        if config.picture_weight or config.tap_weight:
            # the same noise again, so that only the latents make a difference
            redrawn = self.generator.synthesize(found, noise, taps=self.tap_names)
            parts["picture"] = self._distance(redrawn.picture, drawn.picture)
            if config.tap_weight:
                parts["taps"] = tap_distance(list(redrawn.taps.values()), list(drawn.taps.values()))
        return parts

    def _of_real(self, real: UInt8[np.ndarray, "n h w c"], count: int) -> dict[str, Tensor]:
        """How far some real pictures are from what their latents draw, and how strange those latents are."""
        pictures = from_uint8(real[torch.randint(len(real), (count,)).numpy()]).to(next(self.generator.parameters()))
        found = self.encoder(pictures)
        redrawn = self.generator.synthesize(found, self._noise(count)).picture
        return {"real": self._distance(redrawn, pictures), "typicality": self.statistics.typicality(found).mean()}

    def _distance(self, pictures: Float[Tensor, "n c h w"], truth: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        with torch.no_grad():
            target = self.loss.features(truth)
        return distances(self.loss.features(pictures), target).mean()

    def _latents(self, count: int) -> Float[Tensor, "n styles w"]:
        """w+ of random latents; a part of them changes to a second one at a random layer."""
        shape, like = (count, self.generator.z_dim), next(self.generator.parameters())
        first, second = (self.generator.map(torch.randn(shape).to(like)) for _ in range(2))
        return mix_styles(first, second, self.config.mixing)

    def _noise(self, count: int) -> list[Tensor]:
        like = next(self.generator.parameters())
        return [torch.randn(count, 1, height, width).to(like) for height, width in self.generator.noise_shapes]


def check_new_encoder(folder: Path) -> None:
    """Checks that the training of an encoder can begin, or go on, in `folder`.

    Raises:
        UsageError: it holds something else.
    """
    check_place(folder, "invert --encoder", begun=holds_training(folder, ENCODER.name))


def train_encoder(
    generator: Generator,
    folder: Path,
    config: EncoderTraining | None = None,
    *,
    loss: PictureLoss | None = None,
    statistics: LatentStatistics | None = None,
    real: UInt8[np.ndarray, "n h w c"] | None = None,
    minutes: float | None = None,
    resume: bool = True,
    about: dict[str, Any] | None = None,
) -> Iterator[Progress]:
    """Trains; iterate to the end. Afterwards `folder` is an encoder (see `load_encoder`) with its log.

    A killed training goes on from its checkpoint with the same call. The first of several processes leaves the folder;
    the others may read it when they have waited for that. `real` are pictures of the generator's size, e.g.
    those that it was trained on: the start for real pictures becomes much closer. `about` goes to config.json.

    Raises:
        UsageError: a class-conditional generator, real pictures of another shape, a folder that holds something else,
            or a training to resume with other settings.
    """
    config, loss = config or EncoderTraining(), loss or OfflineLoss()
    distributed.from_first(lambda: check_new_encoder(folder))
    trainer = EncoderTrainer(generator, config, loss, statistics or latent_statistics(generator), real)
    loop = LoopConfig(steps=config.steps, minutes=minutes, seed=config.seed)
    last = None
    for progress in train(trainer, folder, loop, resume=resume):
        last = progress
        yield progress
    if not distributed.is_first():
        return
    done = {"steps": last.done, "seconds": round(last.seconds, 1)} if last else {}
    save_encoder(folder, trainer.average, **trainer.about, **done, **(about or {}))
    drop(folder / "checkpoint.safetensors")
