"""Features of real pictures: the contract that any network meets whose activations a decoder can read.

A generator meets it by inversion (inversion/features.py); a VAE and encoders of every kind do in one pass
(pretraining/sources.py). Decoders read all of them in the same way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

from jaxtyping import Float
from torch import Tensor

from gannotate.generators.base import Tap, find_tap


class Tapped(Protocol):
    """What a decoder has to know of what it reads: a generator, or a source of features."""

    @property
    def taps(self) -> tuple[Tap, ...]:
        """Every activation that can be read, coarse to fine."""
        ...

    @property
    def size(self) -> int:
        """Side of the square picture, and of the label map, in pixels."""
        ...

    def tap(self, name: str) -> Tap:
        """The tap called `name`; UsageError when there is none."""
        ...


class FeatureSource(ABC):
    """Reads activations off pictures that it is given, where a generator has those of pictures that it draws.

    Attributes:
        taps: every activation that can be read, coarse to fine. size: side of the square pictures in pixels.
        image_channels: 1 (grey) or 3 (RGB).
    """

    taps: tuple[Tap, ...]
    size: int
    image_channels: int

    @abstractmethod
    def read(
        self, pictures: Float[Tensor, "n c size size"], names: Sequence[str]
    ) -> dict[str, Float[Tensor, "n k h w"]]:
        """The activations called `names` at pictures in [-1, 1], without gradients, as decoders take them."""

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """What it is, json-able: equal for sources that read the same, and different for others."""

    def tap(self, name: str) -> Tap:
        """The tap called `name`.

        Raises:
            UsageError: no such tap; names the nearest.
        """
        return find_tap(self.taps, name, "these features have")
