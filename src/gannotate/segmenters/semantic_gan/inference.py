"""Labelling pictures with a SemanticGAN: each is drawn again, and its labels come with it (Li et al. 2021).

The encoder's latents are optimised in w+, with the noise maps, until they draw the picture; every picture has its own
and none depends on the others in its batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gannotate.errors import UsageError
from gannotate.generators.base import from_uint8
from gannotate.inversion.losses import OfflineLoss, PerceptualLoss, PictureLoss
from gannotate.inversion.noise import autocorrelation, renormalise, start_noise
from gannotate.inversion.projector import InversionConfig, step_size
from gannotate.segmenters.build import AnswerConfig
from gannotate.segmenters.predict import Predictor, at_size, brought_to
from gannotate.segmenters.semantic_gan.build import SemanticGAN, load_semantic_gan
from gannotate.segmenters.semantic_gan.config import InferenceConfig
from gannotate.segmenters.semantic_gan.generator import Pair, probabilities
from gannotate.segmenters.semantic_gan.losses import picture_losses
from gannotate.training.schedules import set_rate


class InvertingSegmenter(Predictor[AnswerConfig]):
    """Labels pictures by drawing them again; a picture takes as long as `inference.steps` drawings and their gradients.

    `loss` is the perceptual distance; pixels at several scales when not given.
    """

    def __init__(
        self, model: SemanticGAN, inference: InferenceConfig | None = None, loss: PictureLoss | None = None
    ) -> None:
        self.model, self.config = model.eval(), model.answers
        self.inference, self.loss = inference or model.inference, loss or OfflineLoss()
        self.device = next(model.parameters()).device

    @classmethod
    def load(
        cls, folder: str | Path, device: str | torch.device = "cpu", perceptual: Sequence[Path] = ()
    ) -> InvertingSegmenter:
        """The SemanticGAN in `folder`; `perceptual` are files with VGG16's weights, if any.

        Raises:
            UsageError: not such a folder. GannotateError: damaged, or of a newer version.
        """
        model = load_semantic_gan(folder, device)
        return cls(model, loss=picture_loss(perceptual, model.answers.image_channels, device))

    def answers(self, batch: np.ndarray | Sequence[np.ndarray], scale: float) -> Iterator[np.ndarray]:
        """See Predictor.

        Raises:
            UsageError: a scale other than 1; the generator draws one size.
        """
        if scale != 1:
            raise UsageError(
                f"a semantic-gan draws pictures of {self.config.size} px only, not {scale:g} times that; leave the "
                "scales out"
            )
        x = np.stack([brought_to(picture, self.config.size, self.config.image_channels) for picture in batch])
        found = probabilities(self.redraw(from_uint8(x).to(self.device)).codes)
        for picture, answer in zip(batch, found, strict=True):
            yield at_size(answer, picture.shape[0], picture.shape[1]).cpu().numpy()

    def redraw(self, pictures: Float[Tensor, "n c s s"]) -> Pair:
        """Pictures in [-1, 1] as the generator draws them, with the label codes that come with that."""
        with torch.inference_mode(False):
            w, noise = self._embed(pictures)
            with torch.no_grad():
                return self.model.generator.pair(w, noise)

    def _embed(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The w+ and noise maps that draw `pictures`."""
        settings, generator, encoder = self.inference, self.model.generator, self.model.encoder
        with torch.no_grad():
            start = encoder(pictures)
        w, noise = start.clone().requires_grad_(True), start_noise(generator, len(pictures), settings.seed)
        variables = [w, *(single.requires_grad_(True) for single in noise)]
        optimizer = torch.optim.Adam(variables, settings.learning_rate)
        schedule = InversionConfig(steps=max(1, settings.steps), learning_rate=settings.learning_rate)
        for index in range(settings.steps):
            set_rate(optimizer, step_size(schedule, index))
            optimizer.zero_grad(set_to_none=True)
            # a sum over the pictures: the gradient of one must not depend on how many there are
            with torch.enable_grad():
                self._distances(pictures, w, noise, start).sum().backward()
            optimizer.step()
            renormalise(noise)
        return w.detach(), [single.detach() for single in noise]

    def _distances(self, pictures: Tensor, w: Tensor, noise: list[Tensor], start: Tensor) -> Float[Tensor, " n"]:
        """What is made small for each picture."""
        settings = self.inference
        drawn = self.model.generator.synthesize(w, noise).picture
        total = picture_losses(drawn, pictures, self.loss, settings.pixel_weight, settings.perceptual_weight)
        total = total + settings.noise_weight * autocorrelation(noise)
        if settings.consistency_weight:
            with torch.no_grad():
                again = self.model.encoder(drawn)
            total = total + settings.consistency_weight * (w - again).square().mean(dim=(1, 2))
        if settings.start_weight:
            total = total + settings.start_weight * (w - start).square().mean(dim=(1, 2))
        return total


def picture_loss(perceptual: Sequence[Path | str], channels: int, device: str | torch.device = "cpu") -> PictureLoss:
    """LPIPS from files with VGG16's weights, or the pixels at several scales where none are given.

    Raises:
        GannotateError: the files hold something else.
    """
    return PerceptualLoss([Path(path) for path in perceptual], channels, device) if perceptual else OfflineLoss()
