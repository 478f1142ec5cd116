"""How pictures are inverted, all in one: generator, schedule, loss, encoder and the latents' statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gannotate.generators.base import Generator, from_uint8
from gannotate.generators.build import load_generator
from gannotate.inversion.encoder import Encoder, load_encoder_of
from gannotate.inversion.latents import LatentStatistics, latent_statistics
from gannotate.inversion.losses import PictureLoss, make_loss
from gannotate.inversion.projector import InversionConfig, Inverted, Projection, Space, check_pictures
from gannotate.synthesis import fingerprint

STEPS_FROM_ENCODER, RATE_FROM_ENCODER, BETA2_FROM_ENCODER = 100, 0.2, 0.95
"""Default schedule of a picture that an encoder gave a start; InversionConfig has that of one without."""


def usual_config(
    space: Space = InversionConfig.space, steps: int | None = None, encoder: bool = False
) -> InversionConfig:
    """The schedule: the projector's, or fewer and larger steps where an encoder gives the start.

    Noise on the latents, which lets the projector find the right valley, would only drive a good start away.
    """
    if not encoder:
        return InversionConfig(space=space, steps=InversionConfig.steps if steps is None else steps)
    return InversionConfig(
        space=space,
        steps=STEPS_FROM_ENCODER if steps is None else steps,
        learning_rate=RATE_FROM_ENCODER,
        beta2=BETA2_FROM_ENCODER,
        w_noise=0.0,
    )


@dataclass(frozen=True)
class Inverter:
    """Inverts pictures, always in the same way.

    Attributes:
        generator: what shall draw the pictures. config: the schedule. loss: what is made small.
        statistics: of the generator's latents. encoder: gives the start; without one it is the average latent.
    """

    generator: Generator
    config: InversionConfig
    loss: PictureLoss
    statistics: LatentStatistics
    encoder: Encoder | None = None

    @classmethod
    def load(
        cls,
        generator_folder: str | Path,
        config: InversionConfig,
        *,
        encoder: str | Path | None = None,
        perceptual: Sequence[Path] = (),
        device: str | torch.device = "cpu",
    ) -> Inverter:
        """An inverter for the generator in a folder.

        Args:
            encoder: folder of the encoder that gives the start. perceptual: files of weights for LPIPS; the offline
                loss when none are given (see `make_loss`).

        Raises:
            UsageError: no generator folder, a class-conditional one, or no encoder of it.
        """
        generator = load_generator(generator_folder, device)
        start = None if encoder is None else load_encoder_of(encoder, generator)
        statistics = latent_statistics(generator)
        loss = make_loss(generator_folder, generator.image_channels, perceptual, device)
        return cls(generator, config, loss, statistics, start)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What makes inversions comparable, JSON-able."""
        return {
            **asdict(self.config),
            "loss": self.loss.name,
            "generator": fingerprint(self.generator)[:16],
            "encoder": None if self.encoder is None else fingerprint(self.encoder)[:16],
        }

    def projection(self, pictures: UInt8[np.ndarray, "n h w c"] | Float[Tensor, "n c h w"]) -> Projection:
        """The optimisation of a batch, at its start.

        Raises:
            UsageError: pictures of another shape than the generator's.
        """
        given = from_uint8(pictures) if isinstance(pictures, np.ndarray) else pictures
        check_pictures(self.generator, given)
        return Projection(self.generator, given, self.config, self.start(given), self.loss, self.statistics)

    def steps(self, projection: Projection) -> Iterator[tuple[int, float]]:
        """Does all steps; yields (steps done, mean distance) after each."""
        for index in range(self.config.steps):
            yield index + 1, float(projection.step(index).mean())

    def invert(self, pictures: UInt8[np.ndarray, "n h w c"] | Float[Tensor, "n c h w"]) -> Inverted:
        """Inverts a batch from start to end."""
        projection = self.projection(pictures)
        for _ in self.steps(projection):
            pass
        return projection.finish()

    @torch.no_grad()
    def start(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n styles w"] | None:
        """Where to begin; None for the average latent."""
        if self.encoder is None:
            return None
        return self.encoder(pictures.to(next(self.encoder.parameters())))

    def gate_statistics(self, inverted: Inverted) -> dict[str, Float[np.ndarray, " n"]]:
        """What a gate looks at, by name (see gate.STATISTICS)."""
        typicality = self.statistics.typicality(inverted.w)
        return {"distance": inverted.distance.cpu().double().numpy(), "typicality": typicality.cpu().double().numpy()}
