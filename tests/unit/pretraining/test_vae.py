"""The VAE: its bound in closed form, its activations, and that it learns to draw what it is shown."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from gannotate.errors import GannotateError, UsageError
from gannotate.pretraining.vae import LEAST_DEVIATION, VAE, Posterior, VAEConfig, load_vae, negative_elbo, save_vae

TINY = VAEConfig(size=16, image_channels=1, latents=4, channel_base=128, channel_max=16)


@pytest.fixture
def vae() -> VAE:
    torch.manual_seed(0)
    return VAE(TINY)


@settings(deadline=None, max_examples=20)
@given(mean=st.floats(-3, 3), log_variance=st.floats(-5, 5))
def test_divergence_is_that_of_normal_distributions(mean: float, log_variance: float) -> None:
    posterior = Posterior(torch.full((2, 3), mean), torch.full((2, 3), log_variance))
    one = kl_divergence(Normal(mean, math.exp(log_variance / 2)), Normal(0.0, 1.0))
    torch.testing.assert_close(posterior.divergence(), 3 * one.expand(2), rtol=1e-4, atol=1e-4)


def test_samples_have_the_posteriors_moments() -> None:
    torch.manual_seed(0)
    posterior = Posterior(torch.full((20000, 1), 2.0), torch.full((20000, 1), math.log(0.25)))
    drawn = posterior.sample()
    assert float(drawn.mean()) == pytest.approx(2, abs=0.02)
    assert float(drawn.std()) == pytest.approx(0.5, abs=0.02)


def test_the_bound_is_the_likelihood_at_the_best_deviation(vae: VAE) -> None:
    pictures = torch.rand(3, 1, 16, 16) * 2 - 1
    torch.manual_seed(5)
    found = negative_elbo(vae, pictures, beta=2.0)
    torch.manual_seed(5)
    with torch.no_grad():
        posterior = vae.encode(pictures)
        mean, _ = vae.decode(posterior.sample())
    deviation = (pictures - mean).square().mean().sqrt()
    torch.testing.assert_close(found["deviation"], deviation.detach())
    torch.testing.assert_close(found["nll"], -Normal(mean, deviation).log_prob(pictures).mean())
    for other in (0.9, 1.1):  # no other deviation makes the pictures likelier
        assert float(-Normal(mean, deviation * other).log_prob(pictures).mean()) > float(found["nll"].detach())
    torch.testing.assert_close(found["kl"], posterior.divergence().mean() / 256)
    torch.testing.assert_close(found["loss"], found["nll"] + 2 * found["kl"])


def test_nothing_is_known_better_than_half_a_grey_level(vae: VAE) -> None:
    with torch.no_grad():
        vae.to_picture.weight.zero_()
        bias = vae.to_picture.bias
        assert bias is not None
        bias.zero_()
    found = negative_elbo(vae, torch.zeros(2, 1, 16, 16))
    assert float(found["deviation"]) == pytest.approx(LEAST_DEVIATION)
    assert math.isfinite(found["loss"].item())


def test_taps_are_the_activations_on_the_way_to_the_picture(vae: VAE) -> None:
    names = [tap.name for tap in vae.taps]
    assert names == ["b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1"]
    latents = torch.randn(2, 4)
    picture, taps = vae.decode(latents, names)
    for tap in vae.taps:
        assert taps[tap.name].shape == (2, tap.channels, tap.height, tap.width)
    torch.testing.assert_close(vae.to_picture(taps["b16.conv1"]), picture)
    assert vae.decode(latents)[1] == {}


def test_saved_and_loaded(vae: VAE, tmp_path: Path) -> None:
    save_vae(tmp_path, vae, note="here")
    again = load_vae(tmp_path)
    latents = torch.randn(1, 4)
    torch.testing.assert_close(again.decode(latents)[0], vae.decode(latents)[0])
    assert not any(parameter.requires_grad for parameter in again.parameters())
    (tmp_path / "config.json").write_text('{"format_version": 1, "vae": {"size": 9}}')
    with pytest.raises(GannotateError, match="does not fit"):
        load_vae(tmp_path)
    with pytest.raises(UsageError, match="gannotate pretrain --method vae"):
        load_vae(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("given_shape", "told"),
    [
        ({"size": 24}, "a power of two from 8 on"),
        ({"size": 4}, "a power of two from 8 on"),
        ({"image_channels": 2}, "image_channels is 2"),
        ({"latents": 0}, "0 latents"),
        ({"channel_base": 160}, "do not divide by 8"),
    ],
)
def test_wrong_shapes(given_shape: dict, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        VAEConfig(**{"size": 16, "image_channels": 1, **given_shape})
