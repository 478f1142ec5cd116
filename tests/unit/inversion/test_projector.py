"""The projector: its schedule, its noise, independence of pictures, and finding what is there to find."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gannotate.errors import UsageError
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.generators.stylegan3 import StyleGAN3, StyleGAN3Config
from gannotate.inversion.latents import latent_statistics, mix_styles
from gannotate.inversion.losses import OfflineLoss
from gannotate.inversion.noise import autocorrelation, renormalise, start_noise
from gannotate.inversion.projector import InversionConfig, Projection, invert, latent_noise, psnr, step_size

OFFICIAL = InversionConfig(steps=1000)


def test_step_size_in_closed_form():
    assert step_size(OFFICIAL, 0) == 0
    assert step_size(OFFICIAL, 25) == pytest.approx(0.05)  # half of the rise
    assert [step_size(OFFICIAL, index) for index in (50, 400, 750)] == pytest.approx([0.1] * 3)
    assert step_size(OFFICIAL, 875) == pytest.approx(0.05)  # half of the cosine
    assert step_size(OFFICIAL, 999) == pytest.approx(0.1 * (0.5 - 0.5 * math.cos(math.pi * 0.004)))


def test_latent_noise_in_closed_form():
    assert latent_noise(OFFICIAL, 0) == 0.05
    assert latent_noise(OFFICIAL, 375) == pytest.approx(0.05 / 4)
    assert [latent_noise(OFFICIAL, index) for index in (750, 999)] == [0, 0]


@given(steps=st.integers(1, 400), rate=st.floats(1e-3, 1))
def test_the_step_size_stays_in_its_bounds(steps: int, rate: float):
    config = InversionConfig(steps=steps, learning_rate=rate)
    sizes = [step_size(config, index) for index in range(steps)]
    assert min(sizes) >= 0
    assert max(sizes) <= rate


def slow_autocorrelation(picture: np.ndarray) -> float:
    """One map (h, w), pixel by pixel."""
    height, width = picture.shape
    total = 0.0
    for down, right in ((0, 1), (1, 0)):
        products = [
            picture[row, column] * picture[(row - down) % height, (column - right) % width]
            for row in range(height)
            for column in range(width)
        ]
        total += (sum(products) / len(products)) ** 2
    if min(height, width) <= 8:
        return total
    half = np.array([[picture[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].mean() for c in range(width // 2)]
                     for r in range(height // 2)])  # fmt: skip
    return total + slow_autocorrelation(half)


def test_autocorrelation_equals_a_slow_transcription():
    torch.manual_seed(0)
    maps = [torch.randn(2, 1, side, side, dtype=torch.float64) for side in (4, 8, 32)]
    expected = [sum(slow_autocorrelation(x[place, 0].numpy()) for x in maps) for place in range(2)]
    assert autocorrelation(maps).tolist() == pytest.approx(expected)


def test_structure_has_more_autocorrelation_than_noise():
    torch.manual_seed(0)
    noise, ramp = torch.randn(1, 1, 32, 32), torch.linspace(-1, 1, 32).expand(1, 1, 32, 32).clone()
    renormalise([ramp])
    assert float(autocorrelation([ramp])) > 20 * float(autocorrelation([noise]))


def test_renormalised_maps_have_mean_0_and_mean_square_1_each():
    torch.manual_seed(0)
    maps = [torch.randn(3, 1, 8, 8) * torch.tensor([1.0, 5.0, 0.1]).view(3, 1, 1, 1) + 2]
    renormalise(maps)
    assert maps[0].mean(dim=(1, 2, 3)).tolist() == pytest.approx([0] * 3, abs=1e-6)
    assert maps[0].square().mean(dim=(1, 2, 3)).tolist() == pytest.approx([1] * 3, abs=1e-5)


def test_every_picture_starts_with_the_same_noise(tiny: StyleGAN2):
    one, three = start_noise(tiny, 1, seed=0), start_noise(tiny, 3, seed=0)
    assert [tuple(x.shape[-2:]) for x in one] == list(tiny.noise_shapes)
    assert all(torch.equal(a.expand_as(b), b) for a, b in zip(one, three, strict=True))
    assert not torch.equal(one[0], start_noise(tiny, 1, seed=1)[0])


def test_statistics_are_those_of_the_public_projector(tiny: StyleGAN2):
    z = torch.from_numpy(np.random.RandomState(123).randn(10000, 8)).float()
    w = tiny.map(z)[:, 0]
    found = latent_statistics(tiny)
    assert torch.allclose(found.average, w.mean(dim=0), atol=1e-5)
    assert found.deviation == pytest.approx(float(((w - w.mean(dim=0)) ** 2).sum() / 10000) ** 0.5, rel=1e-4)


@given(seed=st.integers(0, 1000), styles=st.integers(1, 6))
def test_mixed_styles_change_once(seed: int, styles: int):
    torch.manual_seed(seed)
    first, second = torch.zeros(8, styles, 2), torch.ones(8, styles, 2)
    assert torch.equal(mix_styles(first, second, 0.0), first)
    mixed = mix_styles(first, second, 1.0)
    assert torch.equal(mixed[:, 0], first[:, 0])
    assert bool((mixed.diff(dim=1) >= 0).all())  # never back again
    if styles > 1:
        assert torch.equal(mixed[:, -1], second[:, -1])


def test_typicality_is_one_for_drawn_latents_and_large_far_away(tiny: StyleGAN2):
    found = latent_statistics(tiny)
    w = tiny.map(tiny.latents(range(1000)))
    assert float(found.typicality(w).mean()) == pytest.approx(1, abs=0.1)
    assert float(found.typicality(found.average + 10 * (w - found.average)).median()) > 10


@pytest.mark.parametrize("space", ["w", "w+"])
def test_a_result_does_not_depend_on_its_batch(tiny: StyleGAN2, drawn: torch.Tensor, space):
    config = InversionConfig(space=space, steps=12)
    together, alone = invert(tiny, drawn[:3], config), invert(tiny, drawn[2:3], config)
    assert torch.allclose(together.w[2:], alone.w, atol=1e-4)
    assert all(torch.allclose(a[2:], b, atol=1e-3) for a, b in zip(together.noise, alone.noise, strict=True))
    assert float(together.distance[2]) == pytest.approx(float(alone.distance[0]), rel=1e-3)


def test_the_same_call_gives_the_same_bits(tiny: StyleGAN2, drawn: torch.Tensor):
    config = InversionConfig(steps=5)
    first, second = invert(tiny, drawn[:2], config), invert(tiny, drawn[:2], config)
    assert torch.equal(first.w, second.w)
    assert not torch.equal(first.w, invert(tiny, drawn[:2], InversionConfig(steps=5, seed=1)).w)


def test_a_known_latent_is_found_from_its_own_picture(tiny: StyleGAN2):
    quiet = copy.deepcopy(tiny)  # noise would be a part of the picture that no latent draws
    for name, parameter in quiet.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.zero_()
    truth = quiet.map(quiet.latents([7]))
    picture = quiet.synthesize(truth).picture
    found = invert(quiet, picture, InversionConfig(space="w", steps=150, prior_weight=0))
    start = latent_statistics(quiet).average
    assert float(found.psnr[0]) > 30
    assert float((found.w - truth).norm()) < 0.3 * float((start - truth).norm())


def test_w_has_one_style_and_w_plus_one_for_each_layer(tiny: StyleGAN2, drawn: torch.Tensor):
    one = invert(tiny, drawn[:1], InversionConfig(space="w", steps=5)).w
    each = invert(tiny, drawn[:1], InversionConfig(space="w+", steps=5)).w
    assert one.shape == each.shape == (1, tiny.style_count, tiny.w_dim)
    assert torch.equal(one, one[:, :1].expand_as(one))
    assert float(each.std(dim=1).max()) > 0


def test_a_start_is_where_it_begins(tiny: StyleGAN2, drawn: torch.Tensor):
    start = tiny.map(tiny.latents([3]))
    projection = Projection(tiny, drawn[3:4], InversionConfig(), start)
    assert torch.allclose(projection.finish().w, start)
    w = Projection(tiny, drawn[3:4], InversionConfig(space="w"), start).finish().w
    assert torch.allclose(w, start.mean(dim=1, keepdim=True).expand_as(start))


def test_what_was_found_draws_the_pictures_and_gives_their_taps(tiny: StyleGAN2, drawn: torch.Tensor):
    steps: list[tuple[int, int]] = []
    found = invert(tiny, drawn[:2], InversionConfig(steps=3), on_step=lambda done, d: steps.append((done, len(d))))
    assert steps == [(1, 2), (2, 2), (3, 2)]
    again = tiny.synthesize(found.w, found.noise, taps=["b8.conv1"])
    assert torch.allclose(again.picture, found.pictures, atol=1e-6)
    taps = found.taps(tiny, ["b8.conv1"])
    assert list(taps) == ["b8.conv1"]
    assert torch.allclose(taps["b8.conv1"], again.taps["b8.conv1"], atol=1e-6)
    loss = OfflineLoss()
    difference = loss.features(found.pictures) - loss.features(drawn[:2])
    assert found.distance.tolist() == pytest.approx(difference.square().sum(dim=1).tolist(), rel=1e-4)
    assert found.psnr.tolist() == pytest.approx(psnr(found.pictures, drawn[:2]).tolist())


def test_the_generator_keeps_its_weights_and_gradients(drawn: torch.Tensor):
    torch.manual_seed(1)
    generator = StyleGAN2(StyleGAN2Config(size=16, image_channels=1, z_dim=8, w_dim=8, channel_base=64))
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    invert(generator, drawn[:1], InversionConfig(steps=2))
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    assert all(parameter.grad is None for parameter in generator.parameters())


def test_pictures_drawn_in_inference_mode_are_taken(tiny: StyleGAN2):
    with torch.inference_mode():
        picture = tiny.synthesize(tiny.map(tiny.latents([0]))).picture
        assert invert(tiny, picture, InversionConfig(steps=2)).w.shape[0] == 1


def test_a_generator_without_noise_maps():
    torch.manual_seed(0)
    config = StyleGAN3Config(size=16, z_dim=8, w_dim=8, mapping_layers=1, channel_base=64, channel_max=8)
    generator = StyleGAN3(config).eval().requires_grad_(False)
    found = invert(generator, torch.zeros(1, 3, 16, 16), InversionConfig(steps=2))
    assert found.noise == ()
    assert torch.isfinite(found.distance).all()


def test_psnr_of_known_errors():
    picture = torch.zeros(2, 1, 4, 4)
    assert psnr(picture, picture + 0.2).tolist() == pytest.approx([20, 20], abs=1e-4)
    assert psnr(picture, picture).tolist() == pytest.approx([100, 100])


@pytest.mark.parametrize(
    "change",
    [
        {"space": "z"},
        {"steps": 0},
        {"learning_rate": 0},
        {"beta2": 1},
        {"w_noise": -1},
        {"ramp_up": 0},
        {"ramp_down": 2},
    ],
)
def test_wrong_settings(change):
    with pytest.raises(UsageError, match=next(iter(change))):
        InversionConfig(**change)


def test_wrong_shapes(tiny: StyleGAN2, drawn: torch.Tensor):
    config = InversionConfig(steps=1)
    with pytest.raises(UsageError, match=r"this generator draws \(1, 16, 16\)"):
        invert(tiny, torch.zeros(1, 3, 16, 16), config)
    with pytest.raises(UsageError, match="pictures of shape"):
        invert(tiny, drawn[:0], config)
    with pytest.raises(UsageError, match="the start is"):
        invert(tiny, drawn[:2], config, start=torch.zeros(1, tiny.style_count, 8))


def test_a_class_conditional_generator_is_refused():
    generator = StyleGAN2(StyleGAN2Config(size=8, z_dim=8, w_dim=8, label_dim=3, channel_base=64))
    with pytest.raises(UsageError, match="3 classes"):
        invert(generator, torch.zeros(1, 3, 8, 8), InversionConfig(steps=1))
