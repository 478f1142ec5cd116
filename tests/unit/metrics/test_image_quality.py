"""The gauge of generator training: closed forms, orders that must hold, and what it says to wrong input."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gannotate.errors import GannotateError, UsageError
from gannotate.metrics.feature_spaces import (
    RelativeSpace,
    halve,
    high_pass,
    make_feature_space,
    morlet_wavelets,
    opponent_channels,
    principal_axes,
)
from gannotate.metrics.image_quality import Gauge, density_coverage, fid, kid, measure, precision_recall
from gannotate.torchvision_operators import make_importable


def gaussian(count: int, features: int = 4, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (count, features))


def blob_pictures(count: int, size_px: int = 32, channels: int = 1, seed: int = 0) -> np.ndarray:
    """A bright disc of varying place and size with stripes inside, on a gradient: texture, edges and a part."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size_px, :size_px] / size_px
    centre_y, centre_x, radius, phase = rng.uniform([0.35, 0.35, 0.15, 0], [0.65, 0.65, 0.3, 6.3], (count, 4)).T[
        :, :, None, None
    ]
    disc = 1 / (1 + np.exp((np.hypot(y - centre_y, x - centre_x) - radius) * size_px))
    value = 60 + 60 * x + disc * (60 + 40 * np.sin(50 * y + phase)) + rng.normal(0, 2, (count, size_px, size_px))
    tint = np.linspace(1, 0.6, channels)
    return np.clip(value[..., None] * tint, 0, 255).astype(np.uint8)


# KID


def slow_mmd2(real: np.ndarray, fake: np.ndarray) -> float:
    """Equation 4 of Binkowski et al. with loops over pairs."""

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return (float(a @ b) / len(a) + 1) ** 3

    n, m = len(real), len(fake)
    within_real = sum(kernel(real[i], real[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_fake = sum(kernel(fake[i], fake[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_real + within_fake - 2 * sum(kernel(a, b) for a in real for b in fake) / (n * m)


@settings(max_examples=15, deadline=None)
@given(st.integers(8, 23), st.integers(8, 23), st.integers(2, 4), st.integers(0, 100))
def test_kid_equals_the_sum_over_pairs(n: int, m: int, subsets: int, seed: int) -> None:
    real, fake = gaussian(n, seed=seed), gaussian(m, seed=seed + 1, shift=0.5)
    assert kid(real, fake, subsets=subsets, seed=seed).value == pytest.approx(slow_mmd2(real, fake), rel=1e-9)


def test_kid_is_unbiased_and_its_error_is_that_of_repeated_draws() -> None:
    """With d = 1 and x ~ N(0, 1), y ~ N(1, 1): MMD^2 = sum over p of binom(3, p) (E x^p - E y^p)^2 = 3 + 3 + 16."""
    draws = [kid(gaussian(300, 1, seed), gaussian(300, 1, 1000 + seed, shift=1.0)) for seed in range(120)]
    values = np.array([draw.value for draw in draws])
    errors = np.array([draw.standard_error for draw in draws])
    assert values.mean() == pytest.approx(3 + 3 + 16, abs=4 * values.std() / np.sqrt(len(values)))
    assert errors.mean() == pytest.approx(values.std(), rel=0.3)


def test_kid_of_the_same_distribution_is_within_its_error_of_zero_on_average() -> None:
    values = [kid(gaussian(200, 8, seed), gaussian(200, 8, 500 + seed)).value for seed in range(60)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0 < max(values)


# FID


def test_fid_of_commuting_gaussians_is_the_closed_form() -> None:
    """|mu|^2 + sum of (sigma - tau)^2 where both covariances are diagonal, exact for whitened samples."""
    white = gaussian(400, 5)
    white = (white - white.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(white.T))).T
    sigma, tau = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 2, 1, 0.5, 7])
    mu = np.array([1.0, 0, -2, 0, 0])
    assert fid(white * sigma, white * tau + mu) == pytest.approx(5 + np.sum((sigma - tau) ** 2), rel=1e-9)
    assert fid(white, white) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("count", [20, 200])
def test_fid_equals_the_matrix_square_root(count: int) -> None:
    """Also where there are fewer pictures (20) than features (30), and the covariances are singular."""
    rng = np.random.default_rng(0)
    real, fake = (
        rng.normal(size=(count, 30)),
        rng.normal(size=(count + 7, 30)) @ rng.normal(size=(30, 30)) / 5,
    )
    a, b = np.cov(real.T), np.cov(fake.T)
    values, vectors = np.linalg.eigh(a)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ b @ root).clip(0)).sum()
    expected = np.sum((real.mean(0) - fake.mean(0)) ** 2) + np.trace(a) + np.trace(b) - 2 * cross
    assert fid(real, fake) == pytest.approx(expected, rel=1e-5)


# Precision and recall


def slow_precision_recall(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float]:
    def share(points: np.ndarray, centres: np.ndarray) -> float:
        radii = [sorted(np.linalg.norm(centres - centre, axis=1))[k] for centre in centres]
        inside = [any(np.linalg.norm(p - c) <= r for c, r in zip(centres, radii, strict=True)) for p in points]
        return float(np.mean(inside))

    return share(fake, real), share(real, fake)


@settings(max_examples=15, deadline=None)
@given(st.integers(6, 30), st.integers(6, 30), st.integers(1, 5), st.integers(0, 100))
def test_precision_recall_equals_the_definition(n: int, m: int, k: int, seed: int) -> None:
    real, fake = gaussian(n, 2, seed), gaussian(m, 2, seed + 1, shift=0.7)
    assert precision_recall(real, fake, k) == pytest.approx(slow_precision_recall(real, fake, k))


def test_more_points_than_rows_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = gaussian(90, 2), gaussian(70, 2, 1, shift=0.7)
    whole = precision_recall(real, fake)
    monkeypatch.setattr("gannotate.metrics.image_quality.ROWS", 16)
    assert precision_recall(real, fake) == whole


def test_a_dropped_mode_costs_recall_and_strays_cost_precision() -> None:
    modes = np.concatenate([gaussian(200, 3, 1), gaussian(200, 3, 2, shift=30.0)])
    one_mode, strays = gaussian(400, 3, 3), gaussian(400, 3, 4, shift=-50.0)
    strays[:200] = modes[::2] + 0.01
    precision, recall = precision_recall(modes, one_mode)
    assert precision > 0.85
    assert 0.4 < recall <= 0.5
    assert 0.45 < precision_recall(modes, strays)[0] <= 0.51
    assert precision_recall(modes, modes) == (1.0, 1.0)


# Density and coverage


def slow_density_coverage(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, float]:
    """Equations 3 and 4 of Naeem et al. with loops."""
    radii = [sorted(np.linalg.norm(real - centre, axis=1))[k] for centre in real]
    inside = np.array([[np.linalg.norm(f - c) <= r for c, r in zip(real, radii, strict=True)] for f in fake])
    return float(inside.sum() / (k * len(fake))), float(inside.any(0).mean())


@settings(max_examples=15, deadline=None)
@given(st.integers(6, 30), st.integers(1, 30), st.integers(1, 5), st.integers(0, 100))
def test_density_coverage_equals_the_definition(n: int, m: int, k: int, seed: int) -> None:
    real, fake = gaussian(n, 2, seed), gaussian(m, 2, seed + 1, shift=0.7)
    assert density_coverage(real, fake, k) == pytest.approx(slow_density_coverage(real, fake, k))


def test_density_and_coverage_of_the_same_distribution_are_those_of_the_paper() -> None:
    """E density = 1; E coverage = 1 - (n - 1) ... (n - k) / ((m + n - 1) ... (m + n - k)), whatever the space."""
    n, m, k = 120, 80, 5
    found = np.array([density_coverage(gaussian(n, 3, s), gaussian(m, 3, 900 + s), k) for s in range(40)])
    uncovered = np.prod([(n - i) / (m + n - i) for i in range(1, k + 1)])
    errors = found.std(0) / np.sqrt(len(found))
    assert np.all(np.abs(found.mean(0) - [1, 1 - uncovered]) < 4 * errors)


def test_one_stray_blows_up_recall_and_not_coverage() -> None:
    """Fakes on one mode of two, but for a few strays far out whose balls hold everything."""
    modes = np.concatenate([gaussian(200, 3, 1), gaussian(200, 3, 2, shift=30.0)])
    fakes = gaussian(400, 3, 3)
    fakes[:5] += [[300.0, 0, 0], [0, 300, 0], [0, 0, 300], [-300, 0, 0], [0, -300, 0]]
    assert precision_recall(modes, fakes)[1] > 0.9
    density, coverage = density_coverage(modes, fakes)
    assert 0.45 < coverage <= 0.5
    assert 0.6 < density < 1.4


# Feature spaces


@pytest.mark.parametrize("name", ["scattering", "pixels-32px"])
def test_float_pictures_have_the_features_of_uint8_ones_without_their_rounding(name: str) -> None:
    pictures = blob_pictures(3)
    space = make_feature_space(name, 1)
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1
    np.testing.assert_array_equal(space.embed(x).numpy(), space(pictures))
    step = space.embed(x + 1e-3) - space.embed(x)  # an eighth of a grey level
    assert step.abs().max() > 1e-5
    np.testing.assert_array_equal(space.embed(x.clone().requires_grad_(True)).numpy(), space(pictures))
    with pytest.raises(UsageError, match="pictures with 3 channels were given; this feature space takes 1"):
        space.embed(x.expand(-1, 3, -1, -1))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 64), (100, 80), (256, 256)])
def test_every_size_gives_the_same_number_of_finite_features(channels: int, height: int, width: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, height, width, channels), dtype=np.uint8)
    pictures[1] = 0
    for name in ("scattering", "pixels"):
        features = make_feature_space(name, channels)(pictures)
        assert features.dtype == np.float32
        assert features.shape == (2, make_feature_space(name, channels)(pictures[:, :32, :32]).shape[1])
        assert np.isfinite(features).all()


def test_features_do_not_depend_on_the_company_and_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = blob_pictures(10)
    space = make_feature_space("scattering", 1)
    together = space(pictures)
    np.testing.assert_array_equal(together, make_feature_space("scattering", 1)(pictures))
    monkeypatch.setattr("gannotate.metrics.feature_spaces.CHUNK", 3)
    np.testing.assert_allclose(np.concatenate([space(p[None]) for p in pictures]), together, atol=1e-4)


def test_wavelets_ignore_constants_and_answer_their_direction() -> None:
    wavelets = morlet_wavelets(6)
    assert wavelets.shape == (12, 1, 7, 7)
    torch.testing.assert_close(wavelets.sum((1, 2, 3)), torch.zeros(12), atol=1e-6, rtol=0)
    across = torch.cos(0.6 * torch.pi * torch.arange(7.0)).expand(1, 1, 7, 7)  # varies along x: direction 0
    moduli = torch.hypot(*torch.nn.functional.conv2d(across, wavelets).flatten().chunk(2))
    assert moduli.argmax() == 0
    assert moduli[0] > 5 * moduli[3]


def test_halving_keeps_ramps_and_high_pass_sees_only_checkers() -> None:
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    torch.testing.assert_close(halve(ramp)[0, 0, 0, 1:-1], torch.arange(8.0)[1:-1] * 2 + 0.5)
    torch.testing.assert_close(high_pass(ramp), torch.zeros(1, 1, 16, 16))
    sign = 1 - 2.0 * ((torch.arange(16)[:, None] + torch.arange(16)) % 2)
    torch.testing.assert_close(high_pass(sign[None, None])[0, 0, 1:-1, 1:-1], sign[1:-1, 1:-1])


def test_opponent_channels_keep_lengths_and_give_grey_no_colour() -> None:
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(opponent_channels(x).norm(dim=1), x.norm(dim=1))
    grey = opponent_channels(x[:, :1].expand(-1, 3, -1, -1))
    torch.testing.assert_close(grey[:, 1:], torch.zeros(2, 2, 4, 4), atol=1e-6, rtol=0)


@pytest.mark.parametrize("features", [60, 300])
def test_principal_axes_are_half_whitened_uncorrelated_and_of_unit_scale(features: int) -> None:
    """With more pictures (160) than features and with fewer, the two ways to the same axes."""
    real = gaussian(160, features) @ np.diag(np.linspace(1, 5, features))
    real[:, 1] = real[:, 0] + 0.1 * real[:, 1]
    scaled = principal_axes(real.astype(np.float32))(real)
    assert scaled.shape == (160, 20)
    assert np.mean(scaled**2) == pytest.approx(1, rel=1e-3)
    covariance = np.cov(scaled.T)
    off_diagonal = covariance - np.diag(np.diag(covariance))
    assert np.abs(off_diagonal).max() < 1e-3
    standard = (real - real.mean(0)) / np.sqrt(real.var(0) + 0.01 * real.var(0).mean())
    variances = np.linalg.eigvalsh(np.cov(standard.T))[-20:]
    np.testing.assert_allclose(
        np.diag(covariance) / np.sqrt(variances), np.diag(covariance)[0] / variances[0] ** 0.5, rtol=1e-2
    )


# The gauge


@pytest.fixture(scope="module")
def gauge() -> Gauge:
    return Gauge(blob_pictures(300), make_feature_space("scattering", 1), seed=3)


def test_the_gauge_orders_damage_and_finds_none_where_there_is_none(gauge: Gauge) -> None:
    fresh = blob_pictures(300, seed=1)
    blurred = ((fresh[:, :, :-1].astype(int) + fresh[:, :, 1:]) // 2).astype(np.uint8)
    swapped = fresh.copy()
    swapped[:, :8, :8], swapped[:, 12:20, 12:20] = fresh[:, 12:20, 12:20], fresh[:, :8, :8]
    half_swapped = np.concatenate([swapped[:150], fresh[150:]])
    none, blur, half, whole = (gauge.measure(fakes) for fakes in (fresh, blurred, half_swapped, swapped))
    assert abs(none.kid) < 4 * none.kid_standard_error
    assert none.precision > 0.5
    assert none.recall > 0.3
    for damaged in (blur, half, whole):
        assert damaged.kid > none.kid + 4 * damaged.kid_standard_error
        assert damaged.fid > none.fid
    assert whole.kid > half.kid
    assert whole.precision < half.precision < none.precision


def test_scattering_sees_a_slight_blur_that_pixels_do_not() -> None:
    real, fresh = blob_pictures(200), blob_pictures(200, seed=1)
    blurred, wide = fresh.copy(), fresh.astype(int)
    blurred[:, :, 1:-1] = (wide[:, :, :-2] + 2 * wide[:, :, 1:-1] + wide[:, :, 2:] + 2) // 4
    pixels = measure(real, blurred, make_feature_space("pixels-32px", 1))
    scattering = measure(real, blurred, make_feature_space("scattering", 1))
    assert pixels.kid < 2 * pixels.kid_standard_error
    assert scattering.kid > 5 * scattering.kid_standard_error


def test_measure_equals_a_gauge_and_names_its_space(gauge: Gauge) -> None:
    fresh = blob_pictures(60, seed=2)
    quality = gauge.measure(fresh)
    assert quality == measure(blob_pictures(300), fresh, make_feature_space("scattering", 1), seed=3)
    assert quality.feature_space == "scattering-64px"
    assert quality.pictures == 60
    assert all(isinstance(value, float | int | str) for value in dataclasses.asdict(quality).values())


def test_a_space_without_scaling_is_used_as_it_is() -> None:
    class Mean:
        name = "mean"

        def __call__(self, pictures: np.ndarray) -> np.ndarray:
            return pictures.mean((1, 2)).astype(np.float32) / 255

    assert not isinstance(Mean(), RelativeSpace)
    real, fake = blob_pictures(80), blob_pictures(80, seed=1)
    assert measure(real, fake, Mean()).kid == kid(Mean()(real), Mean()(fake)).value


# What it says to wrong input


def test_wrong_requests_are_one_sentence(gauge: Gauge) -> None:
    few, space = blob_pictures(49), make_feature_space("scattering", 1)
    with pytest.raises(UsageError, match=r"49 real pictures were given .* at least 50"):
        Gauge(few, space)
    with pytest.raises(UsageError, match=r"49 generated pictures were given .* at least 50"):
        gauge.measure(few)
    with pytest.raises(UsageError, match=r"shape \(50, 32, 32, 3\).*\(n, height, width, 1\)"):
        gauge.measure(blob_pictures(50, channels=3))
    with pytest.raises(UsageError, match="all the same"):
        Gauge(np.zeros((60, 32, 32, 1), np.uint8), space)
    with pytest.raises(UsageError, match="did you mean 'scattering'"):
        make_feature_space("scatering", 3)
    with pytest.raises(UsageError, match="50 px; give a multiple of 32"):
        make_feature_space("scattering-50px", 3)
    with pytest.raises(UsageError, match="4 channels"):
        make_feature_space("scattering", 4)
    with pytest.raises(UsageError, match=r"subsets=1 .* 2 to 30"):
        kid(gaussian(60), gaussian(60), subsets=1)
    with pytest.raises(UsageError, match=r"k=60 .* 1 to 59"):
        precision_recall(gaussian(60), gaussian(60), k=60)
    with pytest.raises(UsageError, match=r"k=60 .* 1 to 59"):
        density_coverage(gaussian(60), gaussian(60), k=60)
    with pytest.raises(UsageError, match="NaN"):
        fid(gaussian(60), gaussian(60) * np.nan)
    with pytest.raises(UsageError, match=r"\(60, 4\) and \(60, 5\)"):
        fid(gaussian(60), gaussian(60, 5))


# Inception weights by path


@pytest.fixture(scope="module")
def inception_state() -> dict[str, torch.Tensor]:
    make_importable()
    from torchvision.models import inception_v3

    torch.manual_seed(0)
    return inception_v3(weights=None, aux_logits=True, init_weights=False).state_dict()


def test_inception_features_are_those_of_torchvision(tmp_path, inception_state) -> None:
    from safetensors.torch import save_file
    from torchvision.models import inception_v3

    torch.save(inception_state, tmp_path / "weights.pth")
    save_file(inception_state, tmp_path / "weights.safetensors")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 299, 299, 1), dtype=np.uint8)
    features = make_feature_space(str(tmp_path / "weights.pth"), 1)(pictures)
    other = make_feature_space(str(tmp_path / "weights.safetensors"), 1)
    assert other.name.startswith("inception_v3-")
    np.testing.assert_array_equal(other(pictures), features)

    network = inception_v3(weights=None, aux_logits=True, init_weights=False).eval()
    network.load_state_dict(inception_state)
    pooled = []
    network.avgpool.register_forward_hook(lambda _module, _inputs, output: pooled.append(output.flatten(1)))
    with torch.inference_mode():
        network(torch.from_numpy(pictures).permute(0, 3, 1, 2).expand(-1, 3, -1, -1) / 127.5 - 1)
    assert features.shape == (2, 2048)
    np.testing.assert_allclose(features, pooled[0].numpy(), rtol=1e-3, atol=1e-4)


def test_inception_files_that_do_not_fit_are_refused(tmp_path, inception_state) -> None:
    wrong = tmp_path / "wrong.pth"
    torch.save({**inception_state, "Conv2d_1a_3x3.conv.weight": torch.zeros(1)}, wrong)
    with pytest.raises(GannotateError, match=r"1 entries .* 'Conv2d_1a_3x3.conv.weight'"):
        make_feature_space(str(wrong), 3)
    torch.save([1, 2], wrong)
    with pytest.raises(GannotateError, match="holds no state dict"):
        make_feature_space(str(wrong), 3)
    for name in ("noise.pth", "noise.safetensors"):
        (tmp_path / name).write_bytes(b"not weights at all")
        with pytest.raises(GannotateError, match="cannot read inception_v3 weights"):
            make_feature_space(str(tmp_path / name), 3)
