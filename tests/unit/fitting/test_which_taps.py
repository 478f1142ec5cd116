"""What a user may say of taps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gannotate.decoders.light import LightConfig
from gannotate.decoders.linear import LinearConfig
from gannotate.errors import UsageError
from gannotate.fitting.shot import Shot
from gannotate.fitting.which_taps import choose, named
from gannotate.generators.base import DrawOptions
from gannotate.generators.stylegan2 import StyleGAN2

Shots = Callable[[int], list[Shot]]


def test_names_and_groups_in_drawing_order(tiny: StyleGAN2):
    assert named(None, tiny) == named("auto", tiny) == ()
    assert named("b16.conv1, coarse", tiny) == ("b4.conv1", "b8.conv0", "b8.conv1", "b16.conv1")
    assert named("middle", tiny) == ("b16.conv0", "b16.conv1")


@pytest.mark.parametrize(("asked", "part"), [("fine", "no fine taps; it has coarse, middle"), ("b99.conv", "no tap")])
def test_what_is_not_there_is_told(tiny: StyleGAN2, asked: str, part: str):
    with pytest.raises(UsageError, match=part):
        named(asked, tiny)


def test_auto_chooses_among_the_taps_of_the_decoder(tiny: StyleGAN2, positive: Shots):
    choice = choose(tiny, positive(5), 2, DrawOptions(), "light", LightConfig())
    assert choice is not None
    assert "b16.conv1" in choice.chosen.names  # where the label lies
    assert set(choice.chosen.names) <= {"b4.conv1", "b8.conv1", "b16.conv1"}
    assert choose(tiny, positive(1), 2, DrawOptions(), "linear", LinearConfig()) is None
