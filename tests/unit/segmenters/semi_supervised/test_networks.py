"""The small networks: any size of picture, places to tell apart, and normalisation by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gannotate.segmenters.semi_supervised.judge import Judge
from gannotate.segmenters.semi_supervised.networks import (
    FlawDetector,
    MixedNorm,
    PatchDiscriminator,
    PictureClassifier,
    PictureDiscriminator,
    halvings,
)
from gannotate.segmenters.semi_supervised.ramps import polynomial_decay


@pytest.mark.parametrize(("size", "most", "times"), [(8, 5, 1), (16, 5, 1), (64, 5, 3), (96, 5, 3), (256, 5, 5)])
def test_halvings(size: int, most: int, times: int) -> None:
    assert halvings(size, most) == times


@given(st.integers(1, 100).map(lambda step: 8 * step), st.integers(1, 5))
def test_halvings_leave_places(size: int, most: int) -> None:
    times = halvings(size, most)
    assert 1 <= times <= most
    assert size >> times >= (8 if size >= 16 else 4)


@pytest.mark.parametrize("size", [8, 16, 40, 64])
@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 5)])
def test_any_size(size: int, channels: int, classes: int) -> None:
    pictures, maps = torch.randn(2, channels, size, size), torch.randn(2, classes, size, size).softmax(1)
    assert PatchDiscriminator(classes, size, 4)(maps).shape == (2, size, size)
    assert FlawDetector(channels + classes, size, 4)(pictures, maps).shape == (2, size, size)
    assert PictureClassifier(channels, classes, size, 4)(pictures).shape == (2, classes)
    logits, features = PictureDiscriminator(channels + classes, size, 4)(maps, pictures)
    assert logits.shape == (2,)
    assert features.shape == (2, 32)


def test_the_patch_discriminator_is_of_places() -> None:
    torch.manual_seed(0)
    network, maps = PatchDiscriminator(2, 64, 4), torch.rand(1, 2, 64, 64, requires_grad=True)
    network(maps)[0, 4, 4].backward()
    assert maps.grad is not None
    seen = maps.grad.abs().sum((0, 1)) > 0
    assert seen[4, 4]
    assert not seen[-8:].any()
    assert not seen[:, -8:].any()


def test_the_picture_discriminator_sees_pictures_from_0_to_1() -> None:
    network = PictureDiscriminator(3, 16, 4).eval()
    seen: list[torch.Tensor] = []
    network.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.full((1, 2, 16, 16), 0.25), torch.full((1, 1, 16, 16), -1.0))
    assert seen[0].amin((0, 2, 3)).tolist() == [0.25, 0.25, 0]


def test_mixed_norm_by_hand() -> None:
    x = torch.randn(3, 5, 4, 4) * 3 + 2
    normed = MixedNorm(5)(x)
    over_batch = (x[:, :3] - x[:, :3].mean((0, 2, 3), keepdim=True)) / x[:, :3].std(
        (0, 2, 3), keepdim=True, unbiased=False
    )
    over_picture = (x[:, 3:] - x[:, 3:].mean((2, 3), keepdim=True)) / x[:, 3:].std((2, 3), keepdim=True, unbiased=False)
    torch.testing.assert_close(normed, torch.cat([over_batch, over_picture], 1), atol=1e-4, rtol=1e-4)


def test_a_frozen_judge_lets_gradients_through() -> None:
    judge, x = Judge(nn.Linear(2, 1), 0.1, 10), torch.ones(1, 2, requires_grad=True)
    with judge.frozen():
        said = judge(x)
    said.sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert all(weight.grad is None and weight.requires_grad for weight in judge.network.parameters())


def test_a_judge_takes_the_papers_steps() -> None:
    judge = Judge(nn.Linear(2, 1, bias=False), 0.1, 10)
    before = judge.network.weight.detach().clone()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    judge.learn(judge(torch.ones(1, 2)).sum())
    judge.move(5)
    # the first step of Adam is the step size, whatever the gradient
    expected = before - 0.1 * polynomial_decay(5, 10)
    torch.testing.assert_close(judge.network.weight, expected, atol=1e-6, rtol=1e-5)
    assert judge.optimizer.param_groups[0]["betas"] == (0.9, 0.99)
