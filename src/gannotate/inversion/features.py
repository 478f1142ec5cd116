"""A generator as a source of features (RepurposeGAN, Tritrong et al. 2021, section 3.1): a picture is inverted, and the
activations are those that draw it again. Slower than any network that looks once: each picture is an optimisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gannotate.features.source import FeatureSource
from gannotate.inversion.inverter import Inverter


class GeneratorFeatures(FeatureSource):
    """The taps of a generator at pictures that it did not draw."""

    def __init__(self, inverter: Inverter) -> None:
        generator = inverter.generator
        self.inverter, self.generator = inverter, generator
        self.taps, self.size, self.image_channels = generator.taps, generator.size, generator.image_channels

    def read(
        self, pictures: Float[Tensor, "n c size size"], names: Sequence[str]
    ) -> dict[str, Float[Tensor, "n k h w"]]:
        """See FeatureSource; all pictures are inverted together."""
        wanted = [self.tap(name).name for name in names]
        found = self.inverter.invert(pictures.to(next(self.generator.parameters())))
        with torch.no_grad():
            return self.generator.synthesize(found.w, found.noise, taps=wanted).taps

    def about(self) -> dict[str, Any]:
        """Kind, and how pictures are inverted in which generator."""
        return {"kind": "generator", **self.inverter.settings}
