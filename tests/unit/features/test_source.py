"""The contract of features: any source gives decoders what they read, and names what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from gannotate.decoders.build import DECODERS, make_decoder
from gannotate.errors import GannotateError, UsageError
from gannotate.features.source import FeatureSource
from gannotate.generators.base import Tap


class Halves(FeatureSource):
    """The picture at a half and at a quarter of its side: the smallest source."""

    taps = (Tap("level4", 3, 4, 4), Tap("level8", 3, 8, 8))
    size, image_channels = 16, 3

    def read(self, pictures: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        return {name: torch.nn.functional.adaptive_avg_pool2d(pictures, self.tap(name).height) for name in names}

    def about(self) -> dict[str, Any]:
        return {"kind": "halves"}


@pytest.mark.parametrize("kind", DECODERS)
def test_every_decoder_reads_any_source(kind: str) -> None:
    source = Halves()
    decoder = make_decoder(kind, source, classes=3).eval()
    decoder.check_fits(source)
    pictures = torch.rand(2, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        logits = decoder(source.read(pictures, decoder.tap_names))
    assert logits.shape == (2, 3, 16, 16)


def test_a_tap_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"no tap 'level'; these features have level4, level8; did you mean 'level8'"):
        Halves().tap("level")


def test_a_decoder_of_other_activations_does_not_fit() -> None:
    decoder = make_decoder("linear", Halves(), classes=2)
    other = Halves()
    other.taps = (Tap("level4", 5, 4, 4), Halves.taps[1])
    with pytest.raises(GannotateError, match="tap level4 in another shape"):
        decoder.check_fits(other)
