"""The similarity wand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.annotate.tools import similarity, unit_vectors, wand_taps
from gannotate.errors import UsageError
from gannotate.features.stack import stack
from gannotate.generators.base import Tap

HALVES = Tap("b8", 6, 8, 8)


def halves() -> dict[str, torch.Tensor]:
    """A tap whose left half has one feature vector and its right half the opposite one."""
    tap = torch.randn(6, generator=torch.Generator().manual_seed(0))[None, :, None, None].repeat(1, 1, 8, 8)
    tap[..., 4:] *= -1
    return {"b8": tap}


def test_two_halves_are_told_apart():
    found = similarity(halves(), [HALVES], 16, x=2, y=8)
    assert (found[:, :7] == 255).all()
    assert (found[:, 9:] == 0).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 15), st.integers(0, 15))
def test_it_equals_the_mean_cosine_on_the_upsampled_unit_vectors(x: int, y: int):
    taps = (Tap("a", 5, 4, 4), Tap("b", 3, 16, 16))
    stream = torch.Generator().manual_seed(1)
    drawn = {tap.name: torch.randn(1, tap.channels, tap.height, tap.width, generator=stream) for tap in taps}
    expected = torch.zeros(16, 16)
    for tap in taps:
        full = stack({tap.name: unit_vectors(drawn[tap.name])}, [tap], 16)[0]
        clicked = full[:, y, x] / full[:, y, x].norm()
        expected += torch.einsum("k,khw->hw", clicked, full) / 2
    expected = (expected.clamp(0, 1) / expected[y, x]).clamp(0, 1) * 255
    found = similarity(drawn, taps, 16, x, y)
    assert found[y, x] == 255
    assert (found.float() - expected).abs().max() <= 1


def test_a_dead_channel_and_an_even_picture_do_no_harm():
    drawn = {"b8": torch.ones(1, 6, 8, 8)}
    assert similarity(drawn, [HALVES], 16, 3, 3).shape == (16, 16)


@pytest.mark.parametrize(("x", "y"), [(-1, 0), (0, 16), (16, 0)])
def test_points_outside_are_refused(x: int, y: int):
    with pytest.raises(UsageError, match="lies outside of the picture; give 0 to 15"):
        similarity(halves(), [HALVES], 16, x, y)


def test_the_coarsest_taps_are_left_out_when_there_are_others():
    taps = tuple(Tap(f"t{side}{place}", 4, side, side) for side in (4, 8, 16, 32) for place in "ab")
    assert [tap.name for tap in wand_taps(taps)] == ["t16b", "t32b"]
    assert [tap.name for tap in wand_taps(taps[:2])] == ["t4b"]
