"""The decoder that is shipped is the decoder that was trained, with less arithmetic."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gannotate.segmenters.architectures import Architecture
from gannotate.segmenters.build import SegmenterConfig, build_network
from gannotate.segmenters.upsampled import UpsampledConv, folded


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(1, 3),
    inputs=st.integers(1, 4),
    outputs=st.integers(1, 4),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    biased=st.booleans(),
    seed=st.integers(0, 99),
)
def test_it_is_the_convolution_of_repeated_pixels(
    count: int, inputs: int, outputs: int, height: int, width: int, biased: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, inputs, height, width, generator=generator, dtype=torch.float64)
    weight = torch.randn(outputs, inputs, 3, 3, generator=generator, dtype=torch.float64)
    bias = torch.randn(outputs, generator=generator, dtype=torch.float64) if biased else None
    expected = F.conv2d(F.interpolate(x, scale_factor=2), weight, bias, padding=1)
    torch.testing.assert_close(UpsampledConv(weight, bias)(x), expected)


@pytest.mark.parametrize(
    ("architecture", "depth"), [("unet", 3), ("unet", 4), ("unet", 5), ("unet-mobile", 4), ("lraspp", 5)]
)
def test_a_network_says_the_same(architecture: Architecture, depth: int) -> None:
    config = SegmenterConfig(
        classes=3, image_channels=1, size=64, architecture=architecture, depth=depth, decoder_width=32
    )
    torch.manual_seed(0)
    network = build_network(config).eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):  # as after training: no norm leaves what it gets
            assert part.running_mean is not None
            assert part.running_var is not None
            nn.init.normal_(part.running_mean, 0, 0.3)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    pictures = torch.randn(2, 1, 64, 64)
    less = folded(network)
    with torch.inference_mode():
        (expected, plain), (found, spent) = (counted(one, pictures) for one in (network, less))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    if architecture == "lraspp":
        assert less is network
    else:
        assert spent < plain
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())  # it stays as it was


def counted(network: nn.Module, pictures: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Its answer, and the sums and products that this takes."""
    with FlopCounterMode(display=False) as counter:
        return network(pictures), counter.get_total_flops()
