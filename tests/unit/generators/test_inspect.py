"""What `gannotate info` computes, against counts by hand and against what the networks really do."""

from __future__ import annotations

import pytest
import torch

from gannotate.generators.base import Generator
from gannotate.generators.build import build_generator
from gannotate.generators.inspect import group_of, inspect, style_groups, style_sides, styles_before_taps
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config

TINY = {"size": 16, "z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 128, "channel_max": 16}
ARCHITECTURES = ["stylegan1", "stylegan2", "stylegan3"]


def tiny(architecture: str) -> Generator:
    torch.manual_seed(0)
    layers = {"layers": 5} if architecture == "stylegan3" else {}
    generator = build_generator({"architecture": architecture, **TINY, **layers}).eval()
    for name, parameter in generator.named_parameters():
        if name == "synthesis.input.affine.weight":
            torch.nn.init.normal_(parameter)  # 0 at first: its style would change nothing
    return generator


def test_features_are_counted_by_hand():
    """Channels 16, 16, 16, 8, 8 of sides 4, 8, 8, 16, 16; 4 bytes a value."""
    found = inspect(tiny("stylegan2"))
    assert found.features == 64
    assert found.native_mb == pytest.approx((16 * 16 + 2 * 16 * 64 + 2 * 8 * 256) * 4 / 1e6)
    assert found.stacked_mb == pytest.approx(64 * 256 * 4 / 1e6)
    assert [tap.native_mb for tap in found.taps][:2] == pytest.approx([0.001024, 0.004096])
    assert {tap.stacked_mb for tap in found.taps} == {16 * 1024 / 1e6, 8 * 1024 / 1e6}


def test_the_public_network_at_1024_px():
    """StyleGAN2 config F: 30.37 M parameters; 17 taps of 5,568 channels would be 23.4 GB a picture when stacked."""
    with torch.device("meta"):
        found = inspect(StyleGAN2(StyleGAN2Config(size=1024)))
    assert sum(found.parameters.values()) / 1e6 == pytest.approx(30.37, abs=0.005)
    channels = 9 * 512 + 2 * (256 + 128 + 64 + 32)
    assert (found.features, len(found.taps), found.style_count) == (channels, 17, 18)
    assert found.stacked_mb == pytest.approx(channels * 1024**2 * 4 / 1e6)
    by_hand = 512 * (16 + 2 * (64 + 256 + 1024 + 4096)) + 2 * sum(c * (32768 // c) ** 2 for c in (256, 128, 64, 32))
    assert found.native_mb == pytest.approx(by_hand * 4 / 1e6)
    assert found.styles == {"coarse": (0, 1, 2), "middle": (3, 4, 5, 6), "fine": tuple(range(7, 18))}


def test_places_and_groups():
    found = inspect(tiny("stylegan2"))
    assert [(tap.name, tap.place, tap.of, tap.doubles, tap.group, tap.style) for tap in found.taps] == [
        ("b4.conv1", 1, 1, False, "coarse", 0),
        ("b8.conv0", 1, 2, True, "coarse", 1),
        ("b8.conv1", 2, 2, False, "coarse", 2),
        ("b16.conv0", 1, 2, True, "middle", 3),
        ("b16.conv1", 2, 2, False, "middle", 4),
    ]
    assert [group_of(side) for side in (4, 8, 16, 32, 64, 1024)] == [
        "coarse", "coarse", "middle", "middle", "fine", "fine",
    ]  # fmt: skip


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_parameter_belongs_to_one_part(architecture: str):
    generator = tiny(architecture)
    parts = inspect(generator).parameters
    assert sum(parts.values()) == sum(parameter.numel() for parameter in generator.parameters())
    assert parts["mapping"] == sum(parameter.numel() for parameter in generator.get_submodule("mapping").parameters())
    assert len(parts) > 3


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_style_drives_its_tap_and_none_before(architecture: str):
    """Another style k changes the tap that `inspect` gives to it and leaves those before as they are."""
    generator = tiny(architecture)
    names = [tap.name for tap in generator.taps]
    w = generator.map(generator.latents([1]))
    plain = generator.synthesize(w, taps=names)
    first = styles_before_taps(generator)
    assert len(style_sides(generator)) == generator.style_count
    for style in range(generator.style_count):
        other = w.clone()
        other[:, style] += 1
        drawn = generator.synthesize(other, taps=names)
        changed = [not torch.equal(drawn.taps[name], plain.taps[name]) for name in names]
        driven = max(0, style - first)
        assert not any(changed[:driven])
        assert all(changed[driven : driven + 1])
        assert not torch.equal(drawn.picture, plain.picture)


def test_groups_follow_the_size_of_the_layers_that_styles_drive():
    assert style_groups(tiny("stylegan1")) == {"coarse": (0, 1, 2, 3), "middle": (4, 5)}  # as in the paper
    assert style_groups(tiny("stylegan2")) == {"coarse": (0, 1, 2), "middle": (3, 4, 5)}
    assert style_groups(tiny("stylegan3")) == {"middle": tuple(range(7))}
