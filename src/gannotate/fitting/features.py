"""Features of other networks (RepurposeGAN, Tritrong et al. 2021, supplement): a decoder learns to read the activations
of a VAE, or of a supervised or self-supervised encoder, at labelled real pictures.

The generator's counterpart is inversion_labels.py, with the same schedule; from then on both answer alike.
"""

from __future__ import annotations

from collections.abc import Generator as Steps
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gannotate.decoders.base import Decoder
from gannotate.decoders.build import SOURCE
from gannotate.errors import UsageError
from gannotate.features.source import FeatureSource
from gannotate.fitting.pupil import LessonTrainer
from gannotate.fitting.real_task import RealConfig, RealTask, check_at_least, check_task
from gannotate.generators.base import from_uint8
from gannotate.labels import ClassInfo
from gannotate.pretraining.sources import save_source
from gannotate.segmenters.build import AnswerConfig
from gannotate.segmenters.predict import Predictor, at_size, brought_to
from gannotate.training import distributed
from gannotate.training.loop import LoopConfig, Progress, train
from gannotate.training.shares import own

TOGETHER = 16
"""Pictures that pass the source together."""


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig(RealConfig):
    """How a decoder learns from features of labelled real pictures."""

    batch: int = 4
    """Labelled pictures a step; all of them when there are fewer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, batch=self.batch)


class FeatureLessons:
    """The activations at the labelled pictures, read once and kept in half precision, and the pictures' labels."""

    def __init__(self, source: FeatureSource, task: RealTask, batch: int, names: Sequence[str]) -> None:
        self.batch = batch
        self.label_maps = torch.from_numpy(task.labelled.label_maps.astype(np.int64)).to(task.device)
        pictures = from_uint8(task.labelled.pictures).to(task.device)
        parts = [_halves(source, part, names) for part in pictures.split(TOGETHER)]
        self.taps = {name: torch.cat([part[name] for part in parts]) for name in names}

    @property
    def samples(self) -> int:
        """Pictures that a step is shown in all."""
        return min(self.batch, len(self.label_maps))

    def __call__(self, decoder: Decoder) -> tuple[Float[Tensor, "n k h w"], Int[Tensor, "n h w"]]:
        """Logits of the decoder for some of the pictures, and their labels."""
        picked = own(torch.randperm(len(self.label_maps))[: self.samples])
        return decoder({name: taps[picked].float() for name, taps in self.taps.items()}), self.label_maps[picked]


def fit_features(
    task: RealTask, config: FeaturesConfig, folder: Path, resume: bool, minutes: float | None
) -> Steps[Progress, None, Decoder]:
    """Fits the decoder, which it returns, and keeps the task's source beside it.

    Raises:
        UsageError: no source, or pictures or settings that cannot be used.
    """
    check_task(task, config)
    if task.source is None:
        raise UsageError(
            "method features reads the activations of another network than the generator; name it with --features, a "
            "folder or timm:NAME"
        )
    source = task.source
    distributed.from_first(lambda: save_source(folder / SOURCE, source))
    trainer = LessonTrainer(task, config, lambda decoder: FeatureLessons(source, task, config.batch, decoder.tap_names))
    loop = LoopConfig(steps=config.steps, minutes=minutes, seed=config.seed)
    yield from train(trainer, folder, loop, resume=resume)
    decoder = trainer.finish()
    decoder.of_features = True
    return decoder


class FeatureReader(Predictor[AnswerConfig]):
    """Labels real pictures: a source reads their features, and a decoder the labels off these."""

    def __init__(self, source: FeatureSource, decoder: Decoder, classes: Sequence[ClassInfo]) -> None:
        """Checks that the parts belong together.

        Raises:
            GannotateError: the decoder reads other activations. UsageError: it tells another number of classes apart.
        """
        decoder.check_fits(source)
        if decoder.classes != len(classes):
            raise UsageError(f"the decoder tells {decoder.classes} classes apart, the project has {len(classes)}")
        self.source, self.decoder = source, decoder.eval()
        self.config = AnswerConfig.of_classes(classes, size=source.size, image_channels=source.image_channels)
        self.device = next(decoder.parameters()).device

    def answers(self, batch: np.ndarray | Sequence[np.ndarray], scale: float) -> Iterator[np.ndarray]:
        """See Predictor.

        Raises:
            UsageError: a scale other than 1; a decoder reads features of one size.
        """
        if scale != 1:
            raise UsageError(f"scale {scale} was asked for; a decoder reads features of one size, leave the scales out")
        x = np.stack([brought_to(picture, self.config.size, self.config.image_channels) for picture in batch])
        for picture, answer in zip(batch, self._probabilities(from_uint8(x)), strict=True):
            yield at_size(answer, picture.shape[0], picture.shape[1]).cpu().numpy()

    def _probabilities(self, pictures: Float[Tensor, "n c s s"]) -> Float[Tensor, "n k s s"]:
        # a generator takes gradients on the way to its activations, so inference mode comes after them
        taps = self.source.read(pictures.to(self.device), self.decoder.tap_names)
        with torch.inference_mode():
            return self.decoder.probabilities(taps)


def _halves(source: FeatureSource, pictures: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    return {name: taps.half() for name, taps in source.read(pictures, names).items()}
