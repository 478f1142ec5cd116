"""StyleGAN (1): AdaIN, the enlarging convolution and the generator contract, on tiny random networks."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.errors import UsageError
from gannotate.generators.base import DrawOptions, draw
from gannotate.generators.build import build_generator, load_generator, save_generator
from gannotate.generators.ops import blur_121
from gannotate.generators.stylegan1 import (
    FUSED_FROM_PX,
    PUBLIC_NAMES,
    StyleGAN1,
    StyleGAN1Config,
    ada_in,
    enlarged_conv,
)

TINY = StyleGAN1Config(size=16, z_dim=8, w_dim=8, mapping_layers=2, channel_base=128, channel_max=16)


@pytest.fixture
def generator():
    torch.manual_seed(0)
    network = StyleGAN1(TINY)
    for name, tensor in network.state_dict().items():
        if name.endswith(("bias", "noise_strength", "w_avg")):
            tensor.normal_(std=0.3)
    return network.eval()


def drawn(generator, seed, **options):
    ((_, drawing),) = draw(generator, [seed], DrawOptions(**options))
    return drawing.picture


def test_ada_in_gives_each_map_the_styles_mean_and_deviation():
    """Equation 1: whatever the input, mean is style's second half and deviation 1 + its first."""
    torch.manual_seed(0)
    x = 5 * torch.randn(3, 4, 9, 9, dtype=torch.float64) + 2
    style = torch.randn(3, 8, dtype=torch.float64)
    y = ada_in(x, style)
    assert torch.allclose(y.mean(dim=(2, 3)), style[:, 4:])
    assert torch.allclose(y.std(dim=(2, 3), correction=0), (1 + style[:, :4]).abs(), rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(side=st.integers(2, 9), inputs=st.integers(1, 3), outputs=st.integers(1, 3))
def test_enlarging_convolution_is_nearest_neighbour_then_convolution(side, inputs, outputs):
    generator = torch.Generator().manual_seed(side)
    x = torch.randn(2, inputs, side, side, dtype=torch.float64, generator=generator)
    weight = torch.randn(outputs, inputs, 3, 3, dtype=torch.float64, generator=generator)
    slow = F.conv2d(x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3), weight, padding=1)
    assert torch.allclose(enlarged_conv(x, weight), slow)


def test_large_enlarging_convolutions_mirror_the_kernel():
    """The public networks' two ways of upscaling differ so, and trained weights expect it."""
    x = torch.randn(1, 1, FUSED_FROM_PX // 2, FUSED_FROM_PX // 2, dtype=torch.float64)
    weight = torch.arange(9.0, dtype=torch.float64).view(1, 1, 3, 3)
    slow = F.conv2d(x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3), weight.flip(2, 3), padding=1)
    assert torch.allclose(enlarged_conv(x, weight), slow)


def test_blur_is_121_with_zeros_around():
    one = torch.zeros(1, 2, 5, 5)
    one[:, :, 2, 2] = 16
    row = torch.tensor([0.0, 1, 2, 1, 0])
    assert torch.allclose(blur_121(one)[0, 1], torch.outer(row, row))
    assert float(blur_121(torch.ones(1, 1, 4, 4))[0, 0, 0, 0]) == pytest.approx(0.75**2)


def test_mapping_is_the_papers_layers(generator):
    """He's gain on the weights, 0.01 on both, leaky ReLU without a gain."""
    z = generator.latents([3])
    x = z / z.square().mean().sqrt()
    for layer in (generator.mapping.fc0, generator.mapping.fc1):
        x = F.leaky_relu(x @ layer.weight.t() * 0.01 * (2 / 8) ** 0.5 + layer.bias * 0.01, 0.2)
    assert torch.allclose(generator.mapping(z), x, atol=1e-6)


def test_taps_are_two_a_resolution(generator):
    names = ["b4.conv1", "b4.style1", "b8.conv1", "b8.style1", "b16.conv1", "b16.style1"]
    assert [tap.name for tap in generator.taps] == names
    drawing = generator.synthesize(generator.map(generator.latents([1, 2])), taps=names)
    for tap in generator.taps:
        assert drawing.taps[tap.name].shape == (2, tap.channels, tap.height, tap.width)


def test_the_styled_tap_is_the_raw_one_after_noise_activation_and_ada_in(generator):
    w = generator.map(generator.latents([4]))
    drawing = generator.synthesize(w, taps=["b8.conv1", "b8.style1"])
    layer = generator.synthesis["b8"].conv1
    noisy = drawing.taps["b8.conv1"] + layer.noise_strength[:, None, None] * layer.noise_const
    styled = ada_in(F.leaky_relu(noisy, 0.2), layer.affine(w[:, 3]))
    assert torch.allclose(drawing.taps["b8.style1"], styled, atol=1e-6)
    torgb = generator.synthesize(w, taps=["b16.style1"])
    assert torch.allclose(torgb.picture, generator.torgb(torgb.taps["b16.style1"]))


@pytest.mark.parametrize("name", ["b4.conv1", "b4.style1", "b8.conv1", "b16.conv1", "b16.style1"])
def test_replacing(generator, name):
    """A tap by itself changes nothing; by another seed's, what follows."""
    w = generator.map(generator.latents([5, 6]))
    drawing = generator.synthesize(w, taps=[name])
    again = generator.synthesize(w, replace={name: drawing.taps[name]})
    assert torch.equal(again.picture, drawing.picture)
    swapped = generator.synthesize(w, taps=[name], replace={name: drawing.taps[name].flip(0)})
    assert torch.equal(swapped.taps[name], drawing.taps[name].flip(0))
    assert not torch.allclose(swapped.picture, drawing.picture)


@pytest.mark.parametrize("noise", ["const", "seeded", "none"])
def test_a_seed_is_a_picture(generator, noise):
    among = {seed: d.picture for seed, d in draw(generator, [40, 21, 20], DrawOptions(noise=noise))}
    assert torch.equal(drawn(generator, 21, noise=noise), among[21])
    assert not torch.allclose(among[20], among[21])


def test_noise_modes_differ(generator):
    const, seeded, none = (drawn(generator, 3, noise=mode) for mode in ("const", "seeded", "none"))
    assert not torch.allclose(const, none)
    assert not torch.allclose(const, seeded)


def test_truncation(generator):
    z, average = generator.latents([1, 2]), generator.mapping.w_avg
    full, cut = generator.map(z), generator.map(z, psi=0.7, cutoff=2)
    assert torch.equal(cut[:, 2:], full[:, 2:])
    assert torch.allclose(cut[:, :2], average + 0.7 * (full[:, :2] - average))


@pytest.mark.parametrize(("size", "millions", "styles"), [(256, 26.08, 14), (512, 26.17, 16), (1024, 26.21, 18)])
def test_public_sizes_have_the_public_parameter_counts(size, millions, styles):
    with torch.device("meta"):
        network = StyleGAN1(StyleGAN1Config(size=size))
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.006)
    assert (network.style_count, len(network.taps)) == (styles, styles)


def test_every_public_name_is_one_of_ours(generator):
    """The table covers each parameter once, from names as the public files have them."""
    public = [f"g_mapping.dense{i}.{kind}" for i in range(2) for kind in ("weight", "bias")]
    public += ["g_synthesis.torgb.weight", "g_synthesis.torgb.bias"]
    for size in (4, 8, 16):
        block = f"g_synthesis.blocks.{size}x{size}"
        first, second = ("const", "conv") if size == 4 else ("conv0_up", "conv1")
        public += (
            [f"{block}.const", f"{block}.bias"] if size == 4 else [f"{block}.{first}.{k}" for k in ("weight", "bias")]
        )
        public += [f"{block}.{second}.weight", f"{block}.{second}.bias"]
        for end in ("epi1", "epi2"):
            public += [f"{block}.{end}.top_epi.noise.weight"]
            public += [f"{block}.{end}.style_mod.lin.{kind}" for kind in ("weight", "bias")]
    found = [re.sub(old, new, name) for name in public for old, new in PUBLIC_NAMES.items() if re.fullmatch(old, name)]
    assert sorted(found) == sorted(name for name, _ in generator.named_parameters())


def test_saving_and_loading(generator, tmp_path):
    save_generator(tmp_path, generator)
    assert torch.equal(drawn(load_generator(tmp_path), 7), drawn(generator, 7))
    assert build_generator(generator.config_dict()).config == TINY


def test_gradients_reach_every_parameter(generator):
    w = generator.map(generator.latents([1]))
    generator.synthesize(w).picture.square().sum().backward()
    without = [name for name, p in generator.named_parameters() if p.grad is None or not np.isfinite(p.grad).all()]
    assert without == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g: g.tap("b8.conv0"), "b8.conv1"),
        (lambda g: g.synthesize(g.map(g.latents([0])), noise="seeded"), "noise_of_seeds"),
        (lambda g: g.synthesize(g.map(g.latents([0])), noise=[]), "0 noise maps were given; this generator takes 6"),
        (lambda g: g.map(g.latents([0]), labels=torch.ones(1, 3)), "takes no class labels"),
        (lambda g: list(draw(g, [0], label=0)), "has no classes"),
        (lambda g: StyleGAN1Config(size=48), "power of two"),
        (lambda g: StyleGAN1Config(mapping_layers=0), "1 or more"),
    ],
)
def test_wrong_requests_are_explained(generator, call, words):
    with pytest.raises(UsageError, match=words):
        call(generator)
