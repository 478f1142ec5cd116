"""Losses of inversion: the pixels' scales, the kept discriminator, and LPIPS with gradients."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from gannotate.errors import GannotateError
from gannotate.generators.adversarial.discriminator import (
    FILE,
    Discriminator,
    load_discriminator,
    save_discriminator,
)
from gannotate.inversion.losses import DISCRIMINATOR_WEIGHT, OfflineLoss, PerceptualLoss, distances, make_loss
from gannotate.metrics.perceptual import CHANNELS, STAGES, PerceptualSpace

from .conftest import TINY


@pytest.fixture(scope="module")
def discriminator() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(TINY, group=2, patch_stem=True).eval().requires_grad_(False)


def pictures(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_pixels_are_mean_squared_errors_of_three_scales():
    a, b = pictures(2)
    half = torch.nn.functional.avg_pool2d((a - b)[None], 2)
    quarter = torch.nn.functional.avg_pool2d(half, 2)
    expected = sum(float(x.square().mean()) for x in (a - b, half, quarter))
    loss = OfflineLoss()
    assert loss.name == "pixels"
    assert float(distances(loss.features(a[None]), loss.features(b[None]))) == pytest.approx(expected, rel=1e-5)


def test_the_discriminator_counts_with_unit_length_activations(discriminator: Discriminator):
    a, b = (one[None] for one in pictures(2))
    expected = 0.0
    for x, y in zip(discriminator.activations(a), discriminator.activations(b), strict=True):
        unit = torch.nn.functional.normalize(x) - torch.nn.functional.normalize(y)
        expected += DISCRIMINATOR_WEIGHT * float(unit.square().sum(dim=1).mean())
    both, pixels = OfflineLoss(discriminator), OfflineLoss()
    found = distances(both.features(a), both.features(b)) - distances(pixels.features(a), pixels.features(b))
    assert float(found) == pytest.approx(expected, rel=1e-3)


def test_a_row_is_its_own_pictures_alone(discriminator: Discriminator):
    loss, three = OfflineLoss(discriminator), pictures(3)
    assert torch.allclose(loss.features(three)[1:2], loss.features(three[1:2]), atol=1e-6)


def test_activations_go_from_large_to_small(discriminator: Discriminator):
    found = discriminator.activations(pictures(2))
    assert [x.shape[-1] for x in found] == [8, 4]


@pytest.mark.parametrize("patch_stem", [False, True])
def test_a_discriminator_comes_back(tmp_path: Path, patch_stem: bool):
    torch.manual_seed(0)
    saved = Discriminator(TINY, group=2, patch_stem=patch_stem).eval()
    save_discriminator(tmp_path, saved)
    loaded = load_discriminator(tmp_path)
    assert loaded is not None
    assert (loaded.group, loaded.patch_stem) == (2, patch_stem)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert torch.allclose(loaded(pictures()), saved(pictures()), atol=2e-2)
    assert make_loss(tmp_path, 1).name == "pixels+discriminator"


def test_a_generator_without_its_discriminator_has_pixels_alone(tmp_path: Path):
    assert load_discriminator(tmp_path) is None
    assert make_loss(tmp_path, 1).name == "pixels"


def test_a_damaged_discriminator_is_named(tmp_path: Path):
    (tmp_path / FILE).write_bytes(b"nothing")
    with pytest.raises(GannotateError, match="is damaged"):
        load_discriminator(tmp_path)


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with vgg16's convolutions, almost all of their channels zero."""
    state, inputs = {}, 3
    stream = torch.Generator().manual_seed(0)
    for outputs, convolutions in zip(CHANNELS, STAGES, strict=True):
        for index in convolutions:
            weight = torch.zeros(outputs, inputs, 3, 3)
            weight[:4, : min(inputs, 4)] = torch.randn(4, min(inputs, 4), 3, 3, generator=stream)
            state |= {f"features.{index}.weight": weight, f"features.{index}.bias": torch.zeros(outputs)}
            inputs = outputs
    path = tmp_path_factory.mktemp("weights") / "vgg16.safetensors"
    save_file(state, path)
    return path


def test_perceptual_features_are_those_of_the_measure_and_have_gradients(vgg: Path):
    loss, space = make_loss("nowhere", 1, [vgg]), PerceptualSpace([vgg], 1)
    assert isinstance(loss, PerceptualLoss)
    assert loss.name == space.name
    given = pictures(2).requires_grad_(True)
    found = loss.features(given)
    assert torch.allclose(found, space.embed(given), atol=1e-6)
    found[:, ::7].sum().backward()
    assert given.grad is not None
    assert float(given.grad.abs().sum()) > 0
