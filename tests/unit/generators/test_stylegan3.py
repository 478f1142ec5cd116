"""StyleGAN3: bands, Fourier features, cropped taps and the generator contract, on tiny random networks."""

import math

import pytest
import torch

from gannotate.errors import UsageError
from gannotate.generators.base import DrawOptions, draw
from gannotate.generators.build import build_generator, load_generator, save_generator
from gannotate.generators.stylegan3 import FourierInput, StyleGAN3, StyleGAN3Config

SMALL = {"size": 32, "z_dim": 8, "w_dim": 8, "layers": 5, "critical_layers": 1, "channel_base": 64, "channel_max": 8}
TINY = StyleGAN3Config(**SMALL)
RADIAL = StyleGAN3Config(**SMALL, kernel=1, radial=True)


def network(config=TINY):
    torch.manual_seed(0)
    made = StyleGAN3(config)
    for name, tensor in made.state_dict().items():
        if name.endswith(("bias", "w_avg")) and "affine" not in name:
            tensor.normal_(std=0.3)
    return made.eval()


@pytest.fixture
def generator():
    return network()


def test_public_bands():
    """The 1024 px networks of the paper: sizes, channels and rates as their layers' public names tell them."""
    bands = StyleGAN3Config(size=1024).bands
    sizes = [36, 36, 52, 52, 84, 148, 148, 276, 276, 532, 1044, 1044, 1044, 1024, 1024]
    channels = [512, 512, 512, 512, 512, 512, 512, 323, 203, 128, 81, 51, 32, 32, 3]
    assert [band.size for band in bands] == sizes
    assert [band.channels for band in bands] == channels
    assert bands[0].cutoff == 2
    assert bands[-1].cutoff == 512


@pytest.mark.parametrize(("config", "millions"), [
    (StyleGAN3Config(size=1024), 22.31),
    (StyleGAN3Config(size=1024, channel_base=65536, channel_max=1024, kernel=1, radial=True), 15.09),
])  # fmt: skip
def test_public_sizes(config, millions):
    with torch.device("meta"):
        made = StyleGAN3(config)
    assert sum(p.numel() for p in made.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)
    assert made.style_count == 16


def test_taps_line_up_with_the_picture(generator):
    """As many samples as the sampling rate, though the canvas is larger."""
    assert [tap.height for tap in generator.taps] == [band.rate for band in TINY.bands[:-1]]
    names = [tap.name for tap in generator.taps]
    assert names[0] == "L0_36_8"
    drawing = generator.synthesize(generator.map(generator.latents([1, 2])), taps=names)
    for tap in generator.taps:
        assert drawing.taps[tap.name].shape == (2, tap.channels, tap.height, tap.width)


@pytest.mark.parametrize("config", [TINY, RADIAL])
def test_replacing(config):
    generator = network(config)
    w = generator.map(generator.latents([5, 6]))
    names = [tap.name for tap in generator.taps]
    drawing = generator.synthesize(w, taps=names)
    for name in names:
        assert torch.equal(generator.synthesize(w, replace={name: drawing.taps[name]}).picture, drawing.picture)
        swapped = generator.synthesize(w, taps=[name], replace={name: drawing.taps[name].flip(0)})
        assert torch.equal(swapped.taps[name], drawing.taps[name].flip(0))
        assert not torch.allclose(swapped.picture, drawing.picture)


def test_replacing_keeps_the_margin(generator):
    """Only what lies in the picture is put back: far from the border a layer sees what it is given, near it both."""
    w = generator.map(generator.latents([5]))
    name = generator.taps[0].name
    drawing = generator.synthesize(w, taps=[name])
    zeroed = generator.synthesize(w, replace={name: torch.zeros_like(drawing.taps[name])}).picture
    layer = generator.synthesis[name]
    whole = layer(generator.synthesis["input"](w[:, 0]), w[:, 1])
    whole[:, :, 10:-10, 10:-10] = 0
    x = whole
    for index, tap in enumerate(generator.taps[1:], start=2):
        x = generator.synthesis[tap.name](x, w[:, index])
    wanted = generator.synthesis[generator.torgb_name](x, w[:, -1]) * TINY.output_scale
    assert torch.allclose(zeroed, wanted, atol=1e-6)


def test_input_translation_moves_the_features():
    """A shift of two samples by w's translation is a shift of two samples of the feature maps (section 3.2)."""
    torch.manual_seed(0)
    band = TINY.bands[0]
    features = FourierInput(4, band)
    w = torch.zeros(1, 4)
    still = features(w)
    with torch.no_grad():
        features.affine.bias.copy_(torch.tensor([1.0, 0.0, 2 / band.rate, 0.0]))
    assert torch.allclose(features(w)[..., 2:], still[..., :-2], atol=1e-4)
    with torch.no_grad():
        features.affine.bias.copy_(torch.tensor([2.0, 0.0, 0.0, 0.0]))
        features.transform[1, 2] = 3 / band.rate
    assert torch.allclose(features(w)[..., :-3, :], still[..., 3:, :], atol=1e-4)


def test_input_rotation_turns_the_features():
    torch.manual_seed(0)
    features = FourierInput(4, TINY.bands[0])
    still = features(torch.zeros(1, 4))
    with torch.no_grad():
        features.affine.bias.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0]))
    assert torch.allclose(features(torch.zeros(1, 4)), still.rot90(1, (2, 3)), atol=1e-4)


def test_picture_follows_the_input_translation():
    """Equivariance, the paper's point: a shift by 2 of 16 samples moves the 32 px picture by 4 px."""
    generator = network(StyleGAN3Config(**SMALL | {"layers": 7, "critical_layers": 2, "channel_max": 16}))
    w = generator.map(generator.latents([3]))
    features = generator.synthesis["input"]
    with torch.inference_mode():
        still = generator.synthesize(w).picture
        features.affine.bias.copy_(torch.tensor([1.0, 0.0, 2 / features.band.rate, 0.0]))
        moved = generator.synthesize(w).picture
    error = (moved[..., 4:] - still[..., :-4]).square().mean()
    spread = (still[..., 4:] - still[..., :-4]).square().mean()
    assert 10 * math.log10(float(spread / error)) > 20, "shift error 20 dB below what not shifting would give"


def test_out_of_band_frequencies_fade():
    """A transform that shrinks the picture raises frequencies beyond the sampling limit: nothing is left of them."""
    features = FourierInput(4, TINY.bands[0])
    features.transform[:2, :2] *= 1000
    assert features(torch.zeros(1, 4)).count_nonzero() == 0


@pytest.mark.parametrize("noise", ["const", "seeded", "none"])
def test_a_seed_is_a_picture_without_noise(generator, noise):
    options = DrawOptions(noise=noise)
    assert generator.noise_shapes == ()
    among = {seed: d.picture for seed, d in draw(generator, [40, 21], options)}
    ((_, alone),) = draw(generator, [21])
    assert torch.equal(alone.picture, among[21])
    assert not torch.allclose(among[40], among[21])


def test_magnitude_average_scales_the_input(generator):
    """Four times the average energy halves what the layer sees."""
    layer = generator.synthesis[generator.taps[1].name]
    x, w = generator.synthesis["input"](torch.zeros(1, 8)), torch.randn(1, 8)
    halved = layer(x / 2, w)
    layer.magnitude_ema.fill_(4.0)
    assert torch.allclose(layer(x, w), halved, atol=1e-6)


def test_saving_and_loading(tmp_path):
    generator = network(RADIAL)
    save_generator(tmp_path, generator)
    loaded = load_generator(tmp_path)
    w = generator.map(generator.latents([7]), psi=0.7)
    assert torch.equal(loaded.synthesize(w).picture, generator.synthesize(w).picture)
    assert build_generator(generator.config_dict()).config == RADIAL


def test_gradients_reach_every_parameter(generator):
    generator.synthesize(generator.map(generator.latents([1]))).picture.square().sum().backward()
    assert [name for name, p in generator.named_parameters() if p.grad is None] == []


def test_classes():
    generator = network(StyleGAN3Config(**SMALL, label_dim=3))
    z = generator.latents([1])
    first, second = (generator.map(z, labels=generator.labels_of(label, 1)) for label in (0, 2))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g: g.tap("L0_36_512"), "L0_36_8"),
        (lambda g: g.synthesize(g.map(g.latents([0])), noise=[torch.zeros(1, 1, 4, 4)]), "takes none"),
        (lambda g: StyleGAN3Config(size=48), "power of two"),
        (lambda g: StyleGAN3Config(kernel=5), "StyleGAN3-t"),
        (lambda g: StyleGAN3Config(layers=2, critical_layers=2), "use 1 to 1"),
    ],
)
def test_wrong_requests_are_explained(generator, call, words):
    with pytest.raises(UsageError, match=words):
        call(generator)
