"""The generator contract on tiny random StyleGAN2 networks."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from gannotate.errors import GannotateError, UsageError
from gannotate.generators.base import CHUNK, DrawOptions, draw, from_uint8, to_uint8
from gannotate.generators.build import build_generator, load_generator, save_generator
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


def shaped(**settings):
    torch.manual_seed(0)
    return StyleGAN2(dataclasses.replace(TINY, **settings)).eval()


def test_classes_move_w_by_their_normalised_embedding():
    """The embedding goes into the first layer beside z, both at mean square one."""
    conditional = shaped(label_dim=3)
    z = conditional.latents([1, 2])
    labels = torch.nn.functional.one_hot(torch.tensor([0, 2]), 3).float()
    embedded = (labels @ conditional.mapping.embed.weight.detach().t() / 3**0.5).numpy()
    inputs = np.concatenate([x / np.sqrt((x**2).mean(axis=1, keepdims=True)) for x in (z.numpy(), embedded)], axis=1)
    layer = conditional.mapping.fc0
    linear = inputs @ layer.weight.detach().numpy().T * (0.01 / 16**0.5)
    wanted = np.where(linear > 0, linear, 0.2 * linear) * 2**0.5
    assert np.allclose(conditional.map(z, labels=labels)[:, 0].detach().numpy(), wanted, atol=1e-4)


def test_drawing_a_class():
    conditional = shaped(label_dim=3)
    pictures = [next(draw(conditional, [5], label=label))[1].picture for label in (0, 2, 0)]
    assert torch.equal(pictures[0], pictures[2])
    assert not torch.allclose(pictures[0], pictures[1])


def test_clamping_limits_taps_and_pictures(generator):
    clamped = shaped(conv_clamp=0.5)
    clamped.load_state_dict(generator.state_dict())
    w, names = generator.map(generator.latents([1])), [tap.name for tap in generator.taps]
    free, held = generator.synthesize(w, taps=names), clamped.synthesize(w, taps=names)
    assert torch.equal(held.taps["b4.conv1"], free.taps["b4.conv1"].clamp(-0.5, 0.5))
    assert all(float(tap.detach().abs().max()) == 0.5 for tap in held.taps.values())
    shares = len(clamped.config.resolutions)
    assert float(held.picture.detach().abs().max()) <= 0.5 * shares + 1e-6, "a sum of clamped shares"
    held.picture.square().sum().backward()


@pytest.mark.parametrize("connections", ["resnet", "orig"])
def test_other_connections(connections):
    network = shaped(connections=connections)
    names = [name for name, _ in network.named_parameters()]
    assert [name for name in names if "torgb.bias" in name] == ["synthesis.b16.torgb.bias"]
    assert any("skip" in name for name in names) == (connections == "resnet")
    w = network.map(network.latents([5]))
    for tap in network.taps:
        drawing = network.synthesize(w, taps=[tap.name])
        assert torch.equal(network.synthesize(w, replace=drawing.taps).picture, drawing.picture)
    torgb = network.synthesis["b16"].torgb
    assert torch.equal(drawing.picture, torgb(drawing.taps["b16.conv1"], w[:, -1])), "nothing else reaches the picture"


def test_residuals_are_what_the_taps_of_a_resnet_hold():
    """Zero strength of the convolutions leaves the upsampled input of the block, at half its energy."""
    network = shaped(connections="resnet")
    with torch.no_grad():
        network.synthesis["b8"].conv1.conv.weight.zero_()
    drawing = network.synthesize(network.map(network.latents([5])), noise="none", taps=["b4.conv1", "b8.conv1"])
    skip = network.synthesis["b8"].skip(drawing.taps["b4.conv1"])
    assert torch.allclose(drawing.taps["b8.conv1"], skip * 0.5**0.5, atol=1e-6)


def test_mapping_without_layers_is_the_normalised_latent():
    network = shaped(mapping_layers=0)
    w = network.map(network.latents([1, 2]))
    assert torch.allclose(w.square().mean(dim=2), torch.ones(2, network.style_count))


def test_configurations_from_before_the_new_settings_still_load(generator, tmp_path):
    save_generator(tmp_path, generator)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    for name in ("label_dim", "conv_clamp", "connections"):
        del config["generator"][name]
    path.write_text(json.dumps(config))
    assert torch.equal(picture(load_generator(tmp_path), 7), picture(generator, 7))


def test_unknown_architectures_and_settings_are_refused():
    with pytest.raises(GannotateError, match="known are stylegan1, stylegan2, stylegan3"):
        build_generator({"architecture": "biggan"})
    with pytest.raises(GannotateError, match="unheard"):
        build_generator({"architecture": "stylegan2", "unheard": 1})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g: shaped(label_dim=3).map(torch.ones(1, 8)), "3 classes; say which one, 0 to 2"),
        (lambda g: shaped(label_dim=3).map(torch.ones(1, 8), labels=torch.ones(1, 4)), "4 wide"),
        (lambda g: list(draw(shaped(label_dim=3), [0])), "3 classes"),
        (lambda g: list(draw(shaped(label_dim=3), [0], label=3)), "use 0 to 2"),
        (lambda g: list(draw(g, [0], label=1)), "has no classes"),
        (lambda g: g.map(g.latents([0]), labels=torch.ones(1, 3)), "takes no class labels"),
        (lambda g: shaped(connections="dense"), "skip, resnet, orig"),
        (lambda g: shaped(mapping_layers=0, z_dim=4), "use 4"),
        (lambda g: g.synthesize(g.map(g.latents([0])), noise=[]), "0 noise maps were given; this generator takes 5"),
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
