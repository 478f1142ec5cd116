"""Small trainings of every method, and slow ways of reckoning their losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gannotate.data.augment import STILL
from gannotate.data.labelled import LabelledSet
from gannotate.labels import IGNORE, Mirror
from gannotate.segmenters.build import SegmenterConfig
from gannotate.segmenters.semi_supervised.build import METHODS, make_trainer
from gannotate.segmenters.sources import Batch
from gannotate.segmenters.supervised import SegmenterTraining

Squares = Callable[..., LabelledSet]

STEPS = 100


@dataclass
class Small:
    """Makes trainers whose pictures stand still, and watches one step of them."""

    squares: Squares
    config: SegmenterConfig

    def trainer(self, method: str, soft: bool = False, **settings: Any) -> Any:
        """A trainer on three labelled and nine unlabelled pictures, of 100 steps, that narrow its judge to 4."""
        training = SegmenterTraining(steps=STEPS, batch=4, warp=STILL, mirror=Mirror("no"), ema=0.9)
        info = METHODS[method]
        if hasattr(info.settings(), "width"):
            settings.setdefault("width", 4)
        unlabelled = self.squares(9, seed=5).pictures
        return make_trainer(
            method, self.squares(3, soft=soft), unlabelled, self.config, training, info.settings(**settings)
        )

    @contextmanager
    def caught(self, *learners: Any) -> Iterator[list[Tensor]]:
        """Within it, `learn` of the trainer or judge moves nothing; the losses that it was given are listed."""
        losses: list[Tensor] = []
        with pytest.MonkeyPatch.context() as patch:
            for learner in learners:
                patch.setattr(learner, "learn", lambda loss: losses.append(loss.detach()))
            yield losses

    def draw(self, trainer: Any, seed: int = 3) -> tuple[Batch, Tensor]:
        """The labelled batch and the unlabelled pictures that a step draws after `torch.manual_seed(seed)`."""
        torch.manual_seed(seed)
        labelled = trainer.augmented(trainer.source.batch(4, trainer.device))
        return labelled, trainer.unlabelled.batch(4, trainer.device)

    def apart(self, network: nn.Module, labelled: Tensor, unlabelled: Tensor) -> Tensor:
        """What a network in training says of both kinds, one after the other."""
        return torch.cat([network.train()(labelled), network.train()(unlabelled)])


@pytest.fixture
def narrow() -> SegmenterConfig:
    """A U-Net of few weights: grey pictures of 16 px."""
    return SegmenterConfig(classes=3, image_channels=1, size=16, architecture="unet-classic", decoder_width=8)


@pytest.fixture
def small(squares: Squares, narrow: SegmenterConfig) -> Small:
    """See `Small`."""
    return Small(squares, narrow)


def slow_cross_entropy(probabilities: Tensor, label_maps: Tensor, soft: Tensor | None = None) -> float:
    """Mean of -sum_k y_k log p_k over the labelled pixels, one after the other."""
    total, count = 0.0, 0
    for n, y, x in np.ndindex(*label_maps.shape):
        label = int(label_maps[n, y, x])
        if label == IGNORE:
            continue
        count += 1
        if soft is None:
            total -= float(torch.log(probabilities[n, label, y, x]))
        else:
            total -= float((soft[n, :, y, x] * torch.log(probabilities[n, :, y, x])).sum())
    return total / max(count, 1)


@pytest.fixture(name="slow_cross_entropy")
def slow_cross_entropy_fixture() -> Callable[..., float]:
    """`slow_cross_entropy`."""
    return slow_cross_entropy
