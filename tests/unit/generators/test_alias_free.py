"""StyleGAN3's filters and filtered nonlinearity against slow references and signal theory."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.generators.alias_free import enlarge, filtered_leaky, lowpass, reduce


def response(kernel: torch.Tensor, frequency: float, rate: float, angle: float = 0.0) -> float:
    """Magnitude of the filter's response to a wave of that frequency in that direction."""
    place = (torch.arange(kernel.shape[-1], dtype=torch.float64) - (kernel.shape[-1] - 1) / 2) / rate
    if kernel.ndim == 1:
        wave = torch.exp(2j * math.pi * frequency * place)
    else:
        along = math.cos(angle) * place[None, :] + math.sin(angle) * place[:, None]
        wave = torch.exp(2j * math.pi * frequency * along)
    return float((kernel * wave).sum().abs())


@pytest.mark.parametrize("radial", [False, True])
def test_lowpass_passes_low_and_stops_high_frequencies(radial):
    kernel = lowpass(24, cutoff=16, width=32, rate=128, radial=radial)
    assert kernel.shape == ((24, 24) if radial else (24,))
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-6)
    assert torch.allclose(kernel, kernel.flip(0), atol=1e-7)
    assert response(kernel, 2, 128) == pytest.approx(1, abs=0.03)
    assert response(kernel, 40, 128) < 0.03
    assert response(kernel, 16, 128) == pytest.approx(0.5, abs=0.1), "half the amplitude at the cutoff"


def test_radial_filters_have_no_preferred_direction():
    radial = lowpass(24, cutoff=16, width=32, rate=128, radial=True)
    straight, slanted = response(radial, 16, 128), response(radial, 16, 128, math.pi / 4)
    assert slanted == pytest.approx(straight, rel=0.05)
    separable = lowpass(24, cutoff=16, width=32, rate=128)
    product = torch.outer(separable, separable)
    assert response(product, 16, 128, math.pi / 4) > 1.2 * straight, "the separable filter passes more along diagonals"


def test_separable_filter_is_scipys():
    signal = pytest.importorskip("scipy.signal")
    for taps, cutoff, width, rate in ((12, 2.0, 4.57, 32), (24, 7.1, 5.0, 64), (12, 128.0, 59.2, 512)):
        wanted = signal.firwin(numtaps=taps, cutoff=cutoff, width=width, fs=rate)
        assert np.allclose(lowpass(taps, cutoff, width, rate), wanted, atol=1e-7)


def slow_enlarge(x, kernel, factor, before, size):
    """Zeros between and before, one dense convolution."""
    n, c, h, w = x.shape
    wide = torch.zeros(n, c, h * factor, w * factor, dtype=x.dtype)
    wide[:, :, ::factor, ::factor] = x
    after = size + len(kernel)
    wide = F.pad(wide, (before, after, before, after))
    square = torch.outer(kernel, kernel).flip(0, 1) * factor**2
    filtered = F.conv2d(wide.reshape(n * c, 1, *wide.shape[2:]), square[None, None])
    return filtered.reshape(n, c, *filtered.shape[2:])[:, :, :size, :size]


@settings(max_examples=25, deadline=None)
@given(factor=st.sampled_from([2, 4]), side=st.integers(3, 8), before=st.integers(-3, 9))
def test_enlarging_is_zero_insertion_and_filter(factor, side, before):
    kernel = torch.randn(6 * factor, dtype=torch.float64, generator=torch.Generator().manual_seed(side))
    x = torch.randn(2, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(before + 3))
    # as many whole overlaps as the samples reach
    size = (side - 1) * factor + 6 * factor - (6 * factor - 1 - before)
    wanted = slow_enlarge(x, kernel, factor, before, size)
    assert torch.allclose(enlarge(x, kernel, factor, before, size), wanted)


@pytest.mark.parametrize("radial", [False, True])
def test_reducing_is_filter_and_every_second_sample(radial):
    x = torch.randn(2, 3, 20, 20, dtype=torch.float64)
    kernel = torch.randn((12, 12) if radial else (12,), dtype=torch.float64)
    square = kernel if radial else torch.outer(kernel, kernel)
    slow = F.conv2d(x.reshape(6, 1, 20, 20), square.flip(0, 1)[None, None])[:, :, ::2, ::2].reshape(2, 3, 5, 5)
    assert torch.allclose(reduce(x, kernel, 2), slow)


def test_a_wave_within_the_band_survives_the_nonlinearitys_resampling():
    """Without the nonlinearity's bend (all values positive) up and down again give the signal back."""
    up = down = lowpass(12, cutoff=5, width=6, rate=32)
    place = (torch.arange(36) + 0.5 - 18) / 16
    x = 3 + torch.sin(2 * math.pi * place)[None, None, None].expand(1, 1, 36, 36)
    y = filtered_leaky(x.contiguous(), up, down, 2, 2, before=11, size=36, limit=None)
    assert torch.allclose(y[..., 8:-8, 8:-8], x[..., 8:-8, 8:-8], atol=0.05)


def test_the_limit_is_kept():
    kernel = lowpass(12, 2, 8, 32)
    y = filtered_leaky(100 * torch.ones(1, 1, 36, 36), kernel, kernel, 2, 2, before=11, size=36, limit=5.0)
    assert float(y[..., 10:-10, 10:-10].max()) == pytest.approx(5, abs=1e-4)
