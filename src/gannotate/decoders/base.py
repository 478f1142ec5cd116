"""The decoder contract: a generator's taps in, class logits out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from gannotate.errors import GannotateError
from gannotate.generators.base import Generator, Tap


class Decoder(nn.Module, ABC):
    """Reads the labels of a generator's picture off its taps.

    Attributes:
        taps: the activations that it reads, in drawing order. classes: number of classes, background included.
        size: side of the label map in pixels, that of the generator's picture.
    """

    taps: tuple[Tap, ...]
    classes: int
    size: int

    @abstractmethod
    def forward(self, taps: Mapping[str, Float[Tensor, "n k h w"]]) -> Float[Tensor, "n classes size size"]:
        """Logits at picture size from the activations named in `tap_names` (others may be there too)."""

    @abstractmethod
    def config_dict(self) -> dict[str, Any]:
        """What `build_decoder` needs to make this network again, json-able."""

    @property
    def tap_names(self) -> tuple[str, ...]:
        """Names of the taps to ask the generator for."""
        return tuple(tap.name for tap in self.taps)

    def check_fits(self, generator: Generator) -> None:
        """Checks that `generator` has this decoder's taps, with the same shapes.

        Raises:
            GannotateError: it was fitted on another kind of generator.
        """
        missing = [tap.name for tap in self.taps if tap not in generator.taps]
        if missing or self.size != generator.size:
            what = f"tap {missing[0]} in another shape or not at all" if missing else f"{generator.size} px pictures"
            raise GannotateError(
                f"the decoder was fitted on another generator ({self.size} px): this one has {what}; fit a decoder on "
                "this generator with `gannotate fit`"
            )
