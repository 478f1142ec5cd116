"""Pictures and label codes from one latent: what is taken over, what is new, and what the codes mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from gannotate.errors import UsageError
from gannotate.generators.build import save_generator
from gannotate.generators.ops import upsample
from gannotate.generators.stylegan1 import StyleGAN1, StyleGAN1Config
from gannotate.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from gannotate.labels import IGNORE
from gannotate.segmenters.semantic_gan.generator import (
    JointGenerator,
    codes_of,
    joint_generator,
    probabilities,
    start_generator,
)


def test_the_picture_part_is_taken_over_and_the_branch_is_new(start: StyleGAN2, network: StyleGAN2Config) -> None:
    torch.manual_seed(0)
    fresh = JointGenerator(network, 3).label_branch.state_dict()
    torch.manual_seed(0)
    joint = joint_generator(network, 3, start)
    w = joint.map(torch.randn(2, 8))
    pair = joint.pair(w)
    assert pair.pictures.shape == (2, 1, 16, 16)
    assert pair.codes.shape == (2, 3, 16, 16)
    torch.testing.assert_close(pair.pictures, start.synthesize(w).picture, atol=0, rtol=0)
    for name, tensor in joint.label_branch.state_dict().items():
        torch.testing.assert_close(tensor, fresh[name], atol=0, rtol=0, msg=name)
    assert set(joint.state_dict()) - set(start.state_dict()) == {f"label_branch.{name}" for name in fresh}


def test_codes_are_the_sum_of_every_resolutions_share(toy: JointGenerator) -> None:
    w = torch.randn(2, toy.style_count, 8)
    taps = ("b4.conv1", "b8.conv1", "b16.conv1")
    activations = toy.synthesize(w, taps=taps).taps
    expected = torch.zeros(2, 2, 2, 2)
    for name, style in zip(taps, (1, 3, 5), strict=True):
        layer = toy.label_branch.to_labels[name.split(".")[0]]
        modulation = F.linear(w[:, style], layer.conv.affine.weight / 8**0.5, layer.conv.affine.bias)  # pyright: ignore
        weight = layer.conv.weight[:, :, 0, 0] / layer.conv.weight.shape[1] ** 0.5  # pyright: ignore
        share = torch.einsum("oi,ni,nihw->nohw", weight, modulation, activations[name])
        expected = upsample(expected) + share + layer.bias.view(1, -1, 1, 1)  # pyright: ignore
    torch.testing.assert_close(toy.pair(w).codes, expected, atol=1e-5, rtol=1e-5)


def test_the_toy_knows_its_labels(toy: JointGenerator) -> None:
    pair = toy.pair(toy.map(torch.randn(4, 8)))
    assert torch.equal(pair.codes.argmax(1), (pair.pictures[:, 0] > 0).long())
    assert 0.2 < float((pair.pictures > 0).float().mean()) < 0.8


@pytest.mark.parametrize("apart", [False, True])
def test_apart_keeps_the_codes_gradient_in_the_branch(toy: JointGenerator, apart: bool) -> None:
    toy.requires_grad_(True)
    w = torch.randn(1, toy.style_count, 8, requires_grad=True)
    wanted = [w, toy.synthesis["b8"].conv1.conv.weight, toy.label_branch.to_labels["b8"].conv.weight]  # pyright: ignore
    found = torch.autograd.grad(toy.pair(w, apart=apart).codes.sum(), wanted, allow_unused=True)  # pyright: ignore
    assert [gradient is not None for gradient in found] == [not apart, not apart, True]
    assert float(found[2].abs().sum()) > 0


@given(st.integers(2, 6), st.integers(0, 10_000))
def test_codes_of_a_label_map(classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label_maps = torch.from_numpy(rng.integers(0, classes, (2, 4, 4)))
    hidden = torch.from_numpy(rng.random((2, 4, 4)) < 0.3)
    codes = codes_of(torch.where(hidden, IGNORE, label_maps), classes)
    assert codes.shape == (2, classes, 4, 4)
    assert torch.equal(codes.abs().sum(1) == 0, hidden)
    assert torch.equal(codes.argmax(1)[~hidden], label_maps[~hidden])
    assert set(codes.permute(0, 2, 3, 1)[~hidden].unique().tolist()) <= {-1.0, 1.0}
    assert torch.equal((codes > 0).sum(1), (~hidden).long())


def test_probabilities_add_up_and_order_as_the_codes() -> None:
    codes = torch.randn(2, 4, 3, 3)
    found = probabilities(codes)
    torch.testing.assert_close(found.sum(1), torch.ones(2, 3, 3))
    assert torch.equal(found.argmax(1), codes.argmax(1))
    # a tenth apart is one nat
    assert float(probabilities(torch.tensor([0.1, 0.0]).view(1, 2, 1, 1))[0, 0]) == pytest.approx(1 / (1 + np.exp(-1)))


def test_generators_that_cannot_be_started_from(tmp_path: Path, start: StyleGAN2) -> None:
    save_generator(tmp_path / "good", start)
    assert start_generator(tmp_path / "good", 16, 1).mapping.fc0.weight.requires_grad  # pyright: ignore
    with pytest.raises(UsageError, match=r"draws 16 px with 1 channel\(s\); the labelled pictures have 32 px and 3"):
        start_generator(tmp_path / "good", 32, 3)
    save_generator(tmp_path / "one", StyleGAN1(StyleGAN1Config(size=8, z_dim=8, w_dim=8, channel_max=8)))
    with pytest.raises(UsageError, match="is a stylegan1; pairs of pictures and labels start from a stylegan2 without"):
        start_generator(tmp_path / "one", 8, 3)
    with pytest.raises(UsageError, match="is not a generator"):
        start_generator(tmp_path / "nothing", 16, 1)
