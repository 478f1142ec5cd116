"""What decoders share that look at one pixel at a time: linear, MLP and ensemble."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Num
from torch import Tensor

from gannotate.decoders.base import Config, Decoder
from gannotate.features.projection import ProjectedLinear

BAND_VALUES = 2**21
"""Values of the first layer that are held at once where pixels do not depend on each other: 8 MB, about a cache."""


class PointwiseDecoder(Decoder[Config]):
    """A first 1x1 layer over all taps, then more layers on each pixel alone.

    In evaluation mode the picture is labelled band by band, so that memory does not grow with its size times the
    layers' width. While training, batch norm has to see all pixels at once: fit on sampled pixels instead, with
    `sample_pixels` and `pixel_logits`.
    """

    first: ProjectedLinear

    @abstractmethod
    def tail(self, x: Float[Tensor, "p outputs"]) -> Float[Tensor, "p classes"]:
        """Logits of each pixel from what the first layer made of it."""

    @property
    def channels(self) -> int:
        """Length of a pixel's feature vector."""
        return self.first.channels

    def forward(self, taps: Mapping[str, Float[Tensor, "n k h w"]]) -> Float[Tensor, "n classes size size"]:
        return self.in_bands(taps, self.tail)

    def pixel_logits(self, features: Float[Tensor, "p channels"]) -> Float[Tensor, "p classes"]:
        """Logits of single pixels from their feature vectors (see `sample_pixels`).

        In evaluation mode equal to `forward` at these pixels.
        """
        return self.tail(self.first.on_features(features))

    def in_bands(
        self, taps: Mapping[str, Tensor], tail: Callable[[Float[Tensor, "p outputs"]], Num[Tensor, "p ..."]]
    ) -> Num[Tensor, "n ... size size"]:
        """What `tail` gives for every pixel of the pictures."""
        pictures = len(taps[self.taps[0].name])
        bands = [(0, self.size)] if self.training else self.first.bands(pictures, BAND_VALUES)
        coarse, done = self.first.coarse(taps), []
        for rows in bands:
            x = self.first(taps, rows, coarse).permute(0, 2, 3, 1)
            y = tail(x.reshape(-1, self.first.outputs)).unflatten(0, x.shape[:3])
            done.append(y.movedim((1, 2), (-2, -1)))
        return torch.cat(done, dim=-2)
