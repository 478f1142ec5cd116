"""Summing coarse maps at nodes is bilinear upsampling of each, exactly."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.features.nodes import from_nodes, heights_for_nodes, sum_at_nodes
from gannotate.features.projection import ProjectedLinear
from gannotate.features.stack import stack
from gannotate.generators.base import Tap

quick = settings(max_examples=40, deadline=None)
heights = st.sets(st.sampled_from([1, 2, 3, 4, 6, 8, 12, 16]), min_size=2)
sizes = st.sampled_from([16, 24, 32, 48, 64])


def test_only_maps_that_are_much_smaller_and_nested_go_over_nodes() -> None:
    squares = [(r, r) for r in (4, 8, 16, 32, 64, 128, 256)]
    assert heights_for_nodes(squares, 256) == (4, 8, 16, 32, 64)
    assert heights_for_nodes([(4, 4), (4, 8), (8, 8), (6, 6)], 96) == (4, 8)
    assert heights_for_nodes([(4, 4), (64, 64)], 64) == ()  # one alone is upsampled as it is
    assert heights_for_nodes([(4, 4), (8, 8)], 36) == ()


@quick
@given(chosen=heights, size=sizes, cut=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_the_sum_is_that_of_the_upsampled_maps(chosen: set[int], size: int, cut: tuple[float, float]) -> None:
    used = heights_for_nodes([(height, height) for height in chosen], size)
    if not used:
        return
    torch.manual_seed(size)
    maps = [torch.randn(2, 3, height, height) for height in used]
    naive = sum(F.interpolate(x, (size, size), mode="bilinear", align_corners=False) for x in maps)
    assert isinstance(naive, torch.Tensor)
    nodes = sum_at_nodes(maps)
    torch.testing.assert_close(from_nodes(nodes, size, (0, size)), naive, atol=1e-5, rtol=0)
    start = min(size - 1, int(cut[0] * size))
    stop = start + 1 + int(cut[1] * (size - start - 1))
    torch.testing.assert_close(from_nodes(nodes, size, (start, stop)), naive[:, :, start:stop], atol=1e-5, rtol=0)


@pytest.mark.parametrize("extra", [(), ((4, 8),), ((32, 32), (64, 64)), ((128, 128),)])
def test_a_layer_with_coarse_taps_equals_the_layer_on_the_stack(extra: tuple[tuple[int, int], ...]) -> None:
    sides = [(4, 4), (8, 8), (8, 8), (16, 16), *extra]
    taps = [Tap(f"t{place}", 5, *side) for place, side in enumerate(sides)]
    torch.manual_seed(0)
    maps = {tap.name: torch.randn(2, 5, tap.height, tap.width).requires_grad_() for tap in taps}
    layer = ProjectedLinear(taps, 3, 64)
    ours = layer(maps)
    naive = F.conv2d(stack(maps, taps, 64), layer.stacked_weight()[:, :, None, None], layer.stacked_bias())
    torch.testing.assert_close(ours, naive, atol=1e-5, rtol=1e-5)
    coarse = layer.coarse(maps)
    assert coarse is not None
    assert coarse.shape == (2, 3, 33, 33)
    torch.testing.assert_close(layer(maps, (7, 30), coarse), naive[:, :, 7:30], atol=1e-5, rtol=1e-5)
    slope = torch.randn_like(naive)
    inputs = [*layer.parameters(), *maps.values()]
    for got, wanted in zip(
        torch.autograd.grad(ours, inputs, slope), torch.autograd.grad(naive, inputs, slope), strict=True
    ):
        assert float((got - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())
