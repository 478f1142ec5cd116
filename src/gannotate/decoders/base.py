"""The decoder contract: a generator's taps in, class logits out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, ClassVar, Generic, TypeVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gannotate.errors import GannotateError, UsageError
from gannotate.features.source import FeatureSource, Tapped
from gannotate.generators.base import Tap


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """What every kind of decoder can be told."""

    taps: tuple[str, ...] = ()
    """Names of the activations to read; this kind of decoder's own choice when not given."""


Config = TypeVar("Config", bound=DecoderConfig)
Kind = TypeVar("Kind", bound="Decoder")


class Decoder(nn.Module, ABC, Generic[Config]):
    """Reads the labels of a generator's picture off its taps.

    Attributes:
        architecture: its name in config.json and on the command line. config_class: what it is configured with.
        taps: the activations that it reads, in drawing order. classes: number of classes, background included.
        size: side of the label map in pixels, that of the generator's picture. config: how it was configured.
        temperature: what logits are divided by before they become probabilities (see `probabilities`).
        of_features: whether it reads another network's features of given pictures, and no generator's activations.
    """

    architecture: ClassVar[str]
    config_class: ClassVar[type[DecoderConfig]]
    taps: tuple[Tap, ...]
    classes: int
    size: int
    config: Config
    temperature: float = 1.0
    of_features: bool = False

    def __init__(self, taps: tuple[Tap, ...], classes: int, size: int, config: Config) -> None:
        super().__init__()
        if not taps:
            raise UsageError("a decoder needs at least one tap to read")
        self.taps, self.classes, self.size, self.config = taps, classes, size, config

    @classmethod
    def of_generator(cls: type[Kind], generator: Tapped, classes: int, config: Any = None) -> Kind:
        """A new decoder (random weights from the global torch generator) for `generator`'s taps and size.

        `config` is of this decoder's `config_class`; its defaults when not given.

        Raises:
            UsageError: the configuration names a tap that the generator lacks.
        """
        chosen = cls.config_class() if config is None else config
        taps = named_taps(generator, chosen.taps) or cls.default_taps(generator.taps, chosen)
        return cls(taps, classes, generator.size, chosen)

    @classmethod
    @abstractmethod
    def default_taps(cls, taps: tuple[Tap, ...], config: Config) -> tuple[Tap, ...]:
        """Which of a generator's taps this kind of decoder reads when none are named."""

    @abstractmethod
    def forward(self, taps: Mapping[str, Float[Tensor, "n k h w"]]) -> Float[Tensor, "n classes size size"]:
        """Logits at picture size from the activations named in `tap_names` (others may be there too)."""

    def probabilities(self, taps: Mapping[str, Float[Tensor, "n k h w"]]) -> Float[Tensor, "n classes size size"]:
        """Class probabilities at picture size: softmax(logits / temperature)."""
        return self.pooled(self.member_probabilities(taps))

    def member_probabilities(
        self, taps: Mapping[str, Float[Tensor, "n k h w"]]
    ) -> Float[Tensor, "n m classes size size"]:
        """Class probabilities at picture size of each member, one but in ensembles; `pooled` makes them one answer."""
        return (self(taps).float() / self.temperature).softmax(dim=1)[:, None]

    def pooled(self, members: Float[Tensor, "n m classes h w"]) -> Float[Tensor, "n classes h w"]:
        """The decoder's probabilities from its members'."""
        return members[:, 0]

    def config_dict(self) -> dict[str, Any]:
        """What `build_decoder` needs to make this network again, json-able."""
        return {
            "architecture": self.architecture,
            "classes": self.classes,
            "size": self.size,
            "taps": [asdict(tap) for tap in self.taps],
            "config": asdict(self.config),
            "temperature": self.temperature,
            **({"of_features": True} if self.of_features else {}),
        }

    @property
    def tap_names(self) -> tuple[str, ...]:
        """Names of the taps to ask the generator for."""
        return tuple(tap.name for tap in self.taps)

    def check_fits(self, generator: Tapped) -> None:
        """Checks that `generator`, or source of features, is what this decoder reads: taps of the same shapes.

        Raises:
            UsageError: it reads another network's features. GannotateError: it was fitted on another kind of generator.
        """
        if self.of_features and not isinstance(generator, FeatureSource):  # its taps may be called and shaped alike
            raise UsageError(
                "the decoder reads another network's features, not the generator's activations; name another decoder, "
                "or fit one on this generator with `gannotate fit`"
            )
        missing = [tap.name for tap in self.taps if tap not in generator.taps]
        if missing or self.size != generator.size:
            what = f"tap {missing[0]} in another shape or not at all" if missing else f"{generator.size} px pictures"
            raise GannotateError(
                f"the decoder was fitted on another generator or network ({self.size} px): this one has {what}; name "
                "another decoder, or fit one on this generator with `gannotate fit`"
            )


def named_taps(generator: Tapped, names: tuple[str, ...]) -> tuple[Tap, ...]:
    """The named taps in drawing order.

    Raises:
        UsageError: no such tap.
    """
    wanted = {generator.tap(name) for name in names}
    return tuple(tap for tap in generator.taps if tap in wanted)


def side_of(tap: Tap) -> tuple[int, int]:
    """(height, width)."""
    return tap.height, tap.width


def last_of_each_resolution(taps: tuple[Tap, ...]) -> tuple[Tap, ...]:
    """One tap a resolution: the output of its block."""
    return tuple(list(level)[-1] for _, level in groupby(taps, key=side_of))


def all_but_last_resolution(taps: tuple[Tap, ...]) -> tuple[Tap, ...]:
    """All taps that are smaller than the largest; all of them when there is one resolution only."""
    largest = max(side_of(tap) for tap in taps)
    return tuple(tap for tap in taps if side_of(tap) != largest) or taps


def to_size(logits: Float[Tensor, "n classes h w"], size: int) -> Float[Tensor, "n classes size size"]:
    """Logits at picture size, bilinear where they are not yet."""
    if tuple(logits.shape[-2:]) == (size, size):
        return logits
    return F.interpolate(logits, (size, size), mode="bilinear", align_corners=False)
