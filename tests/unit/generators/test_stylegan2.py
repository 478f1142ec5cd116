"""The generator contract on tiny random StyleGAN2 networks."""

import numpy as np
import pytest
import torch

from gannotate.errors import GannotateError, UsageError
from gannotate.generators.base import CHUNK, DrawOptions, draw, from_uint8, to_uint8
from gannotate.generators.build import load_generator, save_generator
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.seeding import latent_of_seed

TINY = StyleGAN2Config(size=16, z_dim=8, w_dim=8, mapping_layers=1, channel_base=128, channel_max=16)


@pytest.fixture
def generator():
    torch.manual_seed(0)
    network = StyleGAN2(TINY)
    for name, parameter in network.named_parameters():
        if "noise_strength" in name:
            torch.nn.init.constant_(parameter, 0.3)
    network.mapping.w_avg.normal_()
    return network.eval()


def picture(generator, seed, **options):
    ((_, drawing),) = draw(generator, [seed], DrawOptions(**options))
    return drawing.picture


def test_taps_are_named_in_drawing_order(generator):
    assert [tap.name for tap in generator.taps] == ["b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1"]
    w = generator.map(generator.latents([1, 2]))
    drawing = generator.synthesize(w, taps=[tap.name for tap in generator.taps])
    for tap in generator.taps:
        assert drawing.taps[tap.name].shape == (2, tap.channels, tap.height, tap.width)


def test_no_tap_asked_for_keeps_none(generator):
    assert generator.synthesize(generator.map(generator.latents([1]))).taps == {}


def test_public_sizes_have_the_public_parameter_counts():
    """Facts of the public networks: 24.77 M (256 px, half width) and 30.37 M (1024 px) parameters."""
    with torch.device("meta"):
        half = StyleGAN2(StyleGAN2Config(size=256, channel_base=16384))
        full = StyleGAN2(StyleGAN2Config(size=1024))
    assert sum(p.numel() for p in half.parameters()) / 1e6 == pytest.approx(24.77, abs=0.005)
    assert sum(p.numel() for p in full.parameters()) / 1e6 == pytest.approx(30.37, abs=0.005)
    assert (half.style_count, full.style_count) == (14, 18)


def test_latent_is_the_public_one():
    assert np.array_equal(latent_of_seed(85, 512), np.random.RandomState(85).randn(1, 512)[0])


@pytest.mark.parametrize("noise", ["const", "seeded", "none"])
def test_a_seed_is_a_picture(generator, noise):
    """Bit for bit the same alone, among neighbours, in any order; different from other seeds."""
    alone = picture(generator, 21, noise=noise)
    among = {seed: d.picture for seed, d in draw(generator, [40, 21, 20, 22], DrawOptions(noise=noise))}
    assert torch.equal(alone, among[21])
    assert not torch.allclose(among[20], among[21])


def test_batch_size_changes_floats_only_slightly(generator):
    alone = generator.synthesize(generator.map(generator.latents([21]))).picture
    assert torch.allclose(alone, picture(generator, 21), atol=1e-5)


def test_noise_modes_differ(generator):
    const, seeded, none = (picture(generator, 3, noise=mode) for mode in ("const", "seeded", "none"))
    assert not torch.allclose(const, none)
    assert not torch.allclose(const, seeded)


def test_truncation(generator):
    z = generator.latents([1, 2])
    full, average = generator.map(z), generator.map(z, psi=0.0)
    assert torch.allclose(average, generator.mapping.w_avg.expand_as(average))
    half = generator.map(z, psi=0.5)
    assert torch.allclose(half, generator.mapping.w_avg + 0.5 * (full - generator.mapping.w_avg))
    cut = generator.map(z, psi=0.5, cutoff=2)
    assert torch.equal(cut[:, 2:], full[:, 2:])
    assert torch.allclose(cut[:, :2], half[:, :2])


@pytest.mark.parametrize("name", [tap for tap in ("b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1")])
def test_replacing_a_tap_by_itself_changes_nothing(generator, name):
    w = generator.map(generator.latents([5]))
    drawn = generator.synthesize(w, taps=[name])
    again = generator.synthesize(w, replace={name: drawn.taps[name]})
    assert torch.equal(again.picture, drawn.picture)


def test_replacing_a_tap_by_another_seeds_moves_what_follows(generator):
    w = generator.map(generator.latents([5, 6]))
    drawn = generator.synthesize(w, taps=["b8.conv1", "b16.conv1"])
    swapped = generator.synthesize(w, taps=["b16.conv1"], replace={"b8.conv1": drawn.taps["b8.conv1"].flip(0)})
    assert not torch.allclose(swapped.taps["b16.conv1"], drawn.taps["b16.conv1"])


def test_grey_generator():
    grey = StyleGAN2(StyleGAN2Config(size=8, image_channels=1, z_dim=4, w_dim=4, channel_base=64, channel_max=8))
    assert picture(grey, 0).shape == (1, 1, 8, 8)


def test_saving_and_loading(generator, tmp_path):
    save_generator(tmp_path / "full", generator)
    save_generator(tmp_path / "half", generator, half=True)
    assert torch.equal(picture(load_generator(tmp_path / "full"), 7), picture(generator, 7))
    assert torch.allclose(picture(load_generator(tmp_path / "half"), 7), picture(generator, 7), atol=0.02)


def test_pictures_round_trip():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    assert np.array_equal(to_uint8(from_uint8(pixels)), pixels)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g: g.tap("b8.conv2"), "b8.conv1"),
        (lambda g: g.synthesize(g.map(g.latents([0])), taps=["conv"]), "no tap 'conv'"),
        (lambda g: g.synthesize(g.map(g.latents([0])), noise="seeded"), "noise_of_seeds"),
        (lambda g: list(draw(g, [-1])), "out of range"),
        (lambda g: DrawOptions(psi=9), "psi"),
        (lambda g: DrawOptions(noise="random"), "const, seeded, none"),
        (lambda g: StyleGAN2Config(size=48), "power of two"),
        (lambda g: load_generator("no/such/folder"), "train-generator"),
    ],
)
def test_wrong_requests_are_explained(generator, call, words):
    with pytest.raises(UsageError, match=words):
        call(generator)


def test_damaged_generator_files(generator, tmp_path):
    save_generator(tmp_path, generator)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(GannotateError, match="damaged"):
        load_generator(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"format_version": 1', '"format_version": 99'))
    with pytest.raises(GannotateError, match="newer"):
        load_generator(tmp_path)


def test_chunks_are_what_identity_rests_on():
    assert CHUNK == 16, "changing it changes pictures in their last bits: say so in a decision"
