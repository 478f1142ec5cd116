"""Large pictures are drawn in passes of a few; who asks does not see it."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from gannotate.generators import base
from gannotate.generators.base import DrawOptions, draw
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config


@pytest.fixture
def generator() -> StyleGAN2:
    torch.manual_seed(0)
    config = StyleGAN2Config(size=16, z_dim=8, w_dim=8, mapping_layers=2, channel_base=64, channel_max=8)
    made = StyleGAN2(config).eval()
    for name, parameter in made.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.constant_(parameter, 0.5)
    return made


@pytest.mark.parametrize("noise", ["const", "seeded"])
@pytest.mark.parametrize("pictures", [1, 3, 4])
def test_passes_draw_what_a_whole_chunk_draws(
    generator: StyleGAN2, monkeypatch: pytest.MonkeyPatch, noise: Literal["const", "seeded"], pictures: int
):
    options, taps, seeds = DrawOptions(psi=0.7, noise=noise), ["b8.conv0", "b16.conv1"], range(3, 19)
    whole = list(draw(generator, seeds, options, taps))
    monkeypatch.setattr(base, "CACHED_PIXELS", pictures * generator.size**2)
    shown: list[int] = []
    synthesize = generator.synthesize
    monkeypatch.setattr(
        generator, "synthesize", lambda w, noise="const", taps=(): shown.append(len(w)) or synthesize(w, noise, taps)
    )
    passed = list(draw(generator, seeds, options, taps))
    assert max(shown) == pictures
    assert sum(shown) == 2 * base.CHUNK
    for (seed, one), (same, other) in zip(whole, passed, strict=True):
        assert seed == same
        torch.testing.assert_close(other.picture, one.picture, rtol=1e-4, atol=1e-5)
        assert list(other.taps) == taps
        for name in taps:
            torch.testing.assert_close(other.taps[name], one.taps[name], rtol=1e-4, atol=1e-5)


def test_a_seed_is_the_same_bit_for_bit_whatever_is_asked_beside_it(
    generator: StyleGAN2, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(base, "CACHED_PIXELS", 3 * generator.size**2)
    several = {seed: one.picture for seed, one in draw(generator, range(40))}
    ((_, alone),) = draw(generator, [21])
    assert torch.equal(alone.picture, several[21])
