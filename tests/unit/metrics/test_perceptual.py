"""LPIPS from weights in files: against the formula on torchvision's own network, with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gannotate.errors import GannotateError, UsageError
from gannotate.metrics.perceptual import CHANNELS, DEVIATION, MEAN, PerceptualSpace
from gannotate.torchvision_operators import make_importable

LINEAR = {f"lin{stage}.model.1.weight": (1, channels, 1, 1) for stage, channels in enumerate(CHANNELS)}


@pytest.fixture(scope="module")
def network() -> torch.nn.Sequential:
    """The convolutions of torchvision's vgg16 with random weights."""
    make_importable()
    from torchvision.models.vgg import cfgs, make_layers

    torch.manual_seed(0)
    return make_layers(cfgs["D"]).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def linear() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.rand(shape, generator=generator) for name, shape in LINEAR.items()}


@pytest.fixture(scope="module")
def files(network, linear, tmp_path_factory) -> tuple[Path, Path]:
    """vgg16 as torchvision saves it (its classifier, which is not needed, cut short) and the linear weights."""
    folder = tmp_path_factory.mktemp("weights")
    state = {f"features.{name}": value for name, value in network.state_dict().items()}
    save_file(state | {"classifier.6.bias": torch.zeros(1000)}, folder / "vgg16.safetensors")
    torch.save(linear, folder / "linear.pth")
    return folder / "vgg16.safetensors", folder / "linear.pth"


def pictures(channels: int, size: int = 32) -> Tensor:
    return torch.rand(4, channels, size, size, generator=torch.Generator().manual_seed(2)) * 2 - 1


def lpips(network: torch.nn.Sequential, a: Tensor, b: Tensor, weights: list[Tensor]) -> Tensor:
    """Equation 1 of the paper, layer by layer."""
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    total, stage = torch.zeros(len(a)), 0
    x, y = (((picture + 1) / 2 - mean) / deviation for picture in (a, b))
    for index, layer in enumerate(network):
        x, y = layer(x), layer(y)
        if index in (3, 8, 15, 22, 29):  # the last ReLU of each stage
            difference = torch.nn.functional.normalize(x) - torch.nn.functional.normalize(y)
            total += (difference.square() * weights[stage]).sum(1).mean((1, 2))
            stage += 1
    return total


def squared(space: PerceptualSpace, x: Tensor) -> Tensor:
    a, b = space.embed(x).chunk(2)
    return (a - b).square().sum(1)


def test_squared_distances_are_lpips(network, linear, files) -> None:
    a, b = pictures(3).chunk(2)
    space = PerceptualSpace(files, 3)
    assert space.published
    assert space.name.startswith("lpips-vgg16-")
    expected = lpips(network, a, b, list(linear.values()))
    torch.testing.assert_close(squared(space, pictures(3)), expected, rtol=1e-4, atol=0)


def test_without_linear_weights_every_channel_counts_and_the_name_says_so(network, files) -> None:
    a, b = pictures(3).chunk(2)
    space = PerceptualSpace(files[:1], 3)
    assert not space.published
    assert space.name.startswith("vgg16-unweighted-")
    torch.testing.assert_close(
        squared(space, pictures(3)), lpips(network, a, b, [torch.ones(1)] * 5), rtol=1e-4, atol=0
    )


def test_one_file_with_the_names_of_the_lpips_package(network, linear, files, tmp_path) -> None:
    slices = {0: 1, 2: 1, 5: 2, 7: 2, 10: 3, 12: 3, 14: 3, 17: 4, 19: 4, 21: 4, 24: 5, 26: 5, 28: 5}
    state = dict(linear) | {name.replace("lin", "lins.", 1): value for name, value in linear.items()}
    for name, value in network.state_dict().items():
        state[f"net.slice{slices[int(name.split('.')[0])]}.{name}"] = value
    torch.save(state | {"scaling_layer.shift": torch.zeros(1, 3, 1, 1)}, tmp_path / "whole.pth")
    x = pictures(3)
    whole, two = PerceptualSpace([tmp_path / "whole.pth"], 3), PerceptualSpace(files, 3)
    torch.testing.assert_close(whole.embed(x), two.embed(x), rtol=0, atol=0)


def test_grey_is_rgb_of_equal_channels_and_large_pictures_are_averaged_down(files) -> None:
    grey = pictures(1)[:1]
    as_rgb = PerceptualSpace(files, 3).embed(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(PerceptualSpace(files, 1).embed(grey), as_rgb)
    small = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(3))
    large = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(PerceptualSpace(files, 1).embed(large), PerceptualSpace(files, 1).embed(small))


def test_wrong_files_and_pictures_are_one_sentence(files, tmp_path) -> None:
    with pytest.raises(GannotateError, match=r"no torchvision vgg16 .* the first is '0.weight'"):
        PerceptualSpace(files[1:], 3)
    (tmp_path / "noise.pth").write_bytes(b"not weights at all")
    with pytest.raises(GannotateError, match="cannot read vgg16 weights"):
        PerceptualSpace([tmp_path / "noise.pth"], 3)
    torch.save({"features.0.weight": torch.zeros(64, 1, 3, 3)}, tmp_path / "grey.pth")
    with pytest.raises(GannotateError, match="26 entries are missing, unknown or of another shape"):
        PerceptualSpace([tmp_path / "grey.pth"], 3)
    with pytest.raises(UsageError, match="4 channels"):
        PerceptualSpace(files, 4)
    space = PerceptualSpace(files, 3)
    for wrong in (pictures(1), pictures(3, size=8)):
        with pytest.raises(UsageError, match="VGG16 takes 3 channels of at least 16 px"):
            space.embed(wrong)
