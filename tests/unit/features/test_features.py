"""Projecting first, sampling pixels, and the papers' stack: the same numbers for any taps, size and interpolation."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.errors import UsageError
from gannotate.features.interpolation import Interpolation, next_sides, reads, route
from gannotate.features.projection import Biases, ProjectedLinear
from gannotate.features.sampling import Pixels, sample_pixels
from gannotate.features.stack import stack
from gannotate.generators.base import Tap

INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)

# resolutions as generators have them, odd ones, and ones larger than the picture (the 1024 px taps at 512 px)
heights = st.sampled_from([1, 2, 3, 4, 7, 8, 16, 32])
tap_shapes = st.lists(st.tuples(st.integers(1, 6), heights, heights), min_size=1, max_size=6)
sizes = st.sampled_from([4, 5, 8, 12, 16, 31])
quick = settings(max_examples=60, deadline=None)


def make(shapes: list[tuple[int, int, int]], pictures: int = 2, grad: bool = False):
    torch.manual_seed(len(shapes))
    taps = tuple(Tap(f"b{i}.conv", *shape) for i, shape in enumerate(shapes))
    return taps, {
        tap.name: torch.randn(pictures, tap.channels, tap.height, tap.width).requires_grad_(grad) for tap in taps
    }


def close(ours: torch.Tensor, naive: torch.Tensor) -> None:
    """Within 1e-5 of the largest value."""
    assert ours.shape == naive.shape
    ours, naive = ours.detach(), naive.detach()
    assert float((ours - naive).abs().max()) <= 1e-5 * max(1e-6, float(naive.abs().max()))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@quick
@given(shapes=tap_shapes, size=sizes, biases=st.sampled_from(get_args(Biases)))
def test_projecting_first_equals_the_layer_on_the_stack(
    interpolation: Interpolation, shapes: list[tuple[int, int, int]], size: int, biases: Biases
) -> None:
    taps, maps = make(shapes, grad=True)
    layer = ProjectedLinear(taps, 3, size, interpolation, biases)
    ours = layer(maps)
    weight = layer.stacked_weight().detach().requires_grad_()
    bias = None if layer.bias is None else layer.bias.sum(0)
    naive = F.conv2d(stack(maps, taps, size, interpolation), weight[:, :, None, None], bias)
    close(ours, naive)
    # ... and so are the gradients
    slope = torch.randn_like(naive)
    names = list(maps)
    blocks = [layer.blocks[name.replace(".", "_")] for name in names]
    got = torch.autograd.grad(ours, [*blocks, *maps.values()], slope)
    wanted = torch.autograd.grad(naive, [weight, *maps.values()], slope)
    close(torch.cat(got[: len(taps)], dim=1), wanted[0])
    for ours_slope, naive_slope in zip(got[len(taps) :], wanted[1:], strict=True):
        close(ours_slope, naive_slope)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@quick
@given(shapes=tap_shapes, size=sizes, cut=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_band_is_those_rows_of_the_whole(
    interpolation: Interpolation, shapes: list[tuple[int, int, int]], size: int, cut: tuple[float, float]
) -> None:
    taps, maps = make(shapes)
    start = min(size - 1, int(cut[0] * size))
    stop = start + 1 + int(cut[1] * (size - start - 1))
    layer = ProjectedLinear(taps, 3, size, interpolation)
    close(layer(maps, (start, stop)), layer(maps)[:, :, start:stop])


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@quick
@given(shapes=tap_shapes, size=sizes, count=st.integers(0, 20))
def test_sampled_pixels_are_those_of_the_stack(
    interpolation: Interpolation, shapes: list[tuple[int, int, int]], size: int, count: int
) -> None:
    taps, maps = make(shapes, pictures=3, grad=True)
    pixels = Pixels(torch.randint(3, (count,)), torch.randint(size, (count,)), torch.randint(size, (count,)))
    ours = sample_pixels(maps, taps, pixels, size, interpolation)
    naive = stack(maps, taps, size, interpolation)[pixels.picture, :, pixels.y, pixels.x]
    if count == 0:
        assert ours.shape == naive.shape
        return
    close(ours, naive)
    slope = torch.randn_like(naive)
    got = torch.autograd.grad(ours, list(maps.values()), slope)
    wanted = torch.autograd.grad(naive, list(maps.values()), slope)
    for ours_slope, naive_slope in zip(got, wanted, strict=True):
        close(ours_slope, naive_slope)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_layer_on_sampled_features_is_the_layer_there(interpolation: Interpolation) -> None:
    taps, maps = make([(5, 4, 4), (3, 8, 8), (2, 8, 8)])
    layer = ProjectedLinear(taps, 4, 16, interpolation)
    pixels = Pixels(torch.tensor([0, 1, 1]), torch.tensor([0, 15, 7]), torch.tensor([15, 3, 8]))
    there = layer(maps)[pixels.picture, :, pixels.y, pixels.x]
    close(layer.on_features(sample_pixels(maps, taps, pixels, 16, interpolation)), there)


@quick
@given(size=st.integers(1, 40), interpolation=st.sampled_from(INTERPOLATIONS), length=st.integers(1, 40))
def test_each_row_reads_few_rows_with_weights_that_sum_to_one(
    size: int, interpolation: Interpolation, length: int
) -> None:
    table = reads((length, size), interpolation)
    assert table.index.shape[1] <= (1 if interpolation == "nearest" else 2)
    torch.testing.assert_close(table.weight.sum(dim=1), torch.ones(size))
    assert int(table.index.max()) < length


def test_a_pyramid_passes_each_resolution_that_is_read() -> None:
    sides = [(4, 4), (8, 8), (16, 16), (64, 64)]
    assert route((4, 4), sides, 32, "pyramid") == ((4, 4), (8, 8), (16, 16), (32, 32))
    assert route((4, 4), sides, 32, "bilinear") == ((4, 4), (32, 32))
    assert next_sides(sides, 32, "pyramid")[(64, 64)] == (32, 32)
    # a cascade of bilinear steps is a quadratic spline: three sources a row
    assert reads((4, 8, 16, 32, 64), "pyramid").index.shape[1] == 3


def test_a_pyramid_is_another_interpolation_than_direct_bilinear() -> None:
    taps, maps = make([(4, 4, 4), (4, 8, 8), (4, 16, 16)])
    assert not torch.allclose(stack(maps, taps, 16, "pyramid"), stack(maps, taps, 16, "bilinear"), atol=1e-2)


def test_half_precision_taps_are_read_in_full() -> None:
    taps, maps = make([(5, 4, 4), (3, 8, 8)])
    halves = {name: x.half() for name, x in maps.items()}
    layer = ProjectedLinear(taps, 2, 16)
    assert layer(halves).dtype == torch.float32
    torch.testing.assert_close(layer(halves), layer(maps), atol=5e-3, rtol=0)
    pixels = Pixels(torch.tensor([1]), torch.tensor([5]), torch.tensor([9]))
    assert sample_pixels(halves, taps, pixels, 16).dtype == torch.float32


def test_tables_made_without_gradients_serve_training_later() -> None:
    taps, maps = make([(2, 9, 9)])  # a length that no other test asks for, so the table is made here
    pixels = Pixels(torch.tensor([0]), torch.tensor([5]), torch.tensor([9]))
    with torch.inference_mode():
        sample_pixels(maps, taps, pixels, 21)
    x = maps["b0.conv"].requires_grad_()
    sample_pixels({"b0.conv": x}, taps, pixels, 21).sum().backward()
    assert x.grad is not None
    assert math.isclose(float(x.grad.sum()), 2, rel_tol=1e-5)  # weights sum to one in each of two channels


def test_the_naive_layer_goes_in_and_comes_out() -> None:
    taps, _ = make([(5, 4, 4), (3, 8, 8)])
    weight, bias = torch.randn(4, 8), torch.randn(4)
    for biases in get_args(Biases):
        layer = ProjectedLinear(taps, 4, 8, biases=biases)
        layer.from_stacked(weight, None if biases == "none" else bias)
        assert torch.equal(layer.stacked_weight(), weight)
        got = layer.stacked_bias()
        assert got is None if biases == "none" else got is not None and torch.equal(got, bias)


def test_a_naive_layer_that_does_not_fit_is_refused() -> None:
    layer = ProjectedLinear(make([(5, 4, 4), (3, 8, 8)])[0], 4, 8, biases="none")
    with pytest.raises(UsageError, match=r"\(4, 7\); this layer takes \(4, 8\)"):
        layer.from_stacked(torch.zeros(4, 7))
    with pytest.raises(UsageError, match="has none"):
        layer.from_stacked(torch.zeros(4, 8), torch.zeros(4))


def test_bands_cover_the_picture_within_their_budget() -> None:
    layer = ProjectedLinear([Tap("a", 3, 8, 8)], 10, 16)
    bands = list(layer.bands(pictures=2, values=2 * 10 * 16 * 5))
    assert bands == [(0, 5), (5, 10), (10, 15), (15, 16)]
    assert list(layer.bands(pictures=2, values=1))[:2] == [(0, 1), (1, 2)]
    assert list(layer.bands(pictures=1, values=10**9)) == [(0, 16)]


def test_the_start_is_that_of_torch() -> None:
    torch.manual_seed(0)
    layer = ProjectedLinear([Tap("a", 300, 4, 4), Tap("b", 100, 8, 8)], 50, 8)
    torch.manual_seed(0)
    naive = torch.nn.Conv2d(400, 50, 1)
    assert math.isclose(float(layer.stacked_weight().detach().std()), float(naive.weight.detach().std()), rel_tol=0.02)
    layer.reset_parameters(per_tap=True)
    assert float(layer.blocks["b"].detach().abs().max()) > 0.099
    assert float(layer.blocks["a"].detach().abs().max()) <= 300**-0.5


def test_unusable_settings_are_one_sentence() -> None:
    with pytest.raises(UsageError, match="at least one tap"):
        ProjectedLinear([], 3, 8)
    with pytest.raises(UsageError, match="did you mean 'bilinear'"):
        ProjectedLinear([Tap("a", 3, 8, 8)], 3, 8, "bilinaer")  # pyright: ignore[reportArgumentType]
