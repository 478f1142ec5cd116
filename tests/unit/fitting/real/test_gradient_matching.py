"""Gradient matching: the formula, gradients through gradients, whose gradients are matched, and that it teaches."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gannotate.errors import UsageError
from gannotate.fitting.alternation import Labelled, Softly, Student
from gannotate.fitting.gradient_matching import (
    HEADS,
    Matching,
    MatchingConfig,
    blocks_of,
    cosine,
    matched,
    matching_loss,
)
from gannotate.segmenters.architectures import ARCHITECTURES
from gannotate.segmenters.build import SegmenterConfig, build_network
from gannotate.segmenters.networks import ClassicUNet

SHAPES = ((4, 3, 3, 3), (4,), (5, 4), (2, 6, 7))


def some_gradients(seed: int) -> list[torch.Tensor]:
    stream = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=stream) for shape in SHAPES]


def slow_matching_loss(generated: list[torch.Tensor], labelled: list[torch.Tensor], counted: str) -> float:
    """Equation 12, one output node after the other, in plain numbers."""
    layers = []
    for given_, wanted in zip(generated, labelled, strict=True):
        if given_.ndim == 1:
            if counted == "all":
                layers.append(0.0)
            continue
        distances = []
        for node in range(given_.shape[0]):
            a, b = given_[node].flatten().tolist(), wanted[node].flatten().tolist()
            dot = sum(x * y for x, y in zip(a, b, strict=True))
            distances.append(1 - dot / (math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(y * y for y in b))))
        layers.append(sum(distances) / len(distances))
    return sum(layers) / len(layers)


@pytest.mark.parametrize("counted", ["matched", "all"])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_equals_the_formula(counted: str, seed: int) -> None:
    first, second = some_gradients(seed), some_gradients(seed + 1)
    fast = matching_loss(first, second, counted)  # pyright: ignore[reportArgumentType]
    assert float(fast) == pytest.approx(slow_matching_loss(first, second, counted), abs=1e-6)


def test_counting_all_only_scales() -> None:
    first, second = some_gradients(0), some_gradients(1)
    assert float(matching_loss(first, second, "all")) == pytest.approx(float(matching_loss(first, second)) * 3 / 4)


@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 10))
@settings(max_examples=20, deadline=None)
def test_the_same_direction_is_zero_and_the_opposite_two(seed: int, scale: float) -> None:
    gradients = some_gradients(seed)
    assert float(matching_loss([scale * one for one in gradients], gradients)) == pytest.approx(0, abs=1e-5)
    assert float(matching_loss([-scale * one for one in gradients], gradients)) == pytest.approx(2, abs=1e-5)


def test_a_gradient_that_vanishes_has_no_direction_and_does_no_harm() -> None:
    nothing = torch.zeros(3, 4, requires_grad=True)
    found = cosine(nothing, torch.ones(3, 4))
    assert found.tolist() == [0, 0, 0]
    found.sum().backward()
    assert nothing.grad is not None
    assert bool(nothing.grad.isfinite().all())


def tiny_student(match: str = "all", **settings: object) -> tuple[Student, MatchingConfig]:
    torch.manual_seed(0)
    config = MatchingConfig(match=match, **settings)  # pyright: ignore[reportArgumentType]
    return Student(ClassicUNet(1, 3, 2), config, torch.ones(3)), config


def tiny_batch(seed: int = 0) -> tuple[Labelled, Softly]:
    stream = torch.Generator().manual_seed(seed)
    pictures = torch.randn(2, 1, 16, 16, generator=stream)
    label_maps = torch.randint(3, (2, 16, 16), generator=stream)
    return (pictures, label_maps), (pictures.clone(), F.one_hot(label_maps, 3).permute(0, 3, 1, 2).float())


def test_identical_pictures_and_labels_give_zero() -> None:
    student, config = tiny_student()
    # a single output node of a dead unit has no direction: only nodes that learn are asked
    labelled, softly = tiny_batch()
    names = matched(student.network, "unet-classic", "all")
    wrt = [student.weights[name] for name in names]
    given_ = torch.autograd.grad(student.soft_loss(softly), wrt)
    wanted = torch.autograd.grad(student.loss(labelled), wrt)
    alive = [one.flatten(1).norm(dim=1) > 1e-5 for one in wanted if one.ndim > 1]
    pairs = [(a, b) for a, b in zip(given_, wanted, strict=True) if a.ndim > 1]
    distances = [1 - cosine(a.flatten(1), b.flatten(1))[keep] for (a, b), keep in zip(pairs, alive, strict=True)]
    assert sum(int(keep.sum()) for keep in alive) > 50
    assert float(torch.cat(distances).abs().max()) < 1e-3
    head_only = MatchingConfig(match="head")
    assert float(Matching(head_only)(student, labelled, [softly]).detach()) == pytest.approx(0, abs=1e-4)
    other = tiny_batch(1)[1]
    assert float(Matching(config)(student, labelled, [other]).detach()) > 0.1


class Smooth(nn.Module):
    """Convolution, batch norm in training mode, pooling, bilinear growing, convolution: differentiable twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.head = nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.softplus(self.norm(F.max_pool2d(self.first(x), 2)))
        return self.head(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))


def test_gradients_through_gradients_agree_with_finite_differences() -> None:
    # through batch norm, pooling and bilinear growing, in double precision, down to the logits of the decoder
    torch.manual_seed(0)
    student = Student(Smooth().double(), MatchingConfig(), torch.ones(2).double())
    pictures, label_maps = torch.randn(2, 1, 4, 4).double(), torch.randint(2, (2, 4, 4))

    def loss(logits: torch.Tensor) -> torch.Tensor:
        grown = F.interpolate(logits, (4, 4), mode="bilinear", align_corners=False)
        return Matching(MatchingConfig())(student, (pictures, label_maps), [(pictures.flip(0), grown.softmax(1))])

    assert torch.autograd.gradcheck(loss, torch.randn(2, 2, 2, 2).double().requires_grad_())


def test_head_touches_only_the_head() -> None:
    student, config = tiny_student("head")
    names = matched(student.network, "unet-classic", "head")
    assert names == ("head.weight", "head.bias")
    labelled, softly = tiny_batch(2)
    soft = softly[1].clone().requires_grad_()
    loss = Matching(config)(student, labelled, [(softly[0].flip(0), soft)])
    # neither a gradient nor a graph reaches the weights that are not matched, and the decoder's labels get theirs
    found = torch.autograd.grad(loss, [soft, *student.network.parameters()], allow_unused=True)
    reached = [name for name, one in zip(student.weights, found[1:], strict=True) if one is not None]
    assert set(reached) <= {"head.weight", "head.bias"}
    assert found[0] is not None
    assert float(found[0].abs().max()) > 0
    # and what the head's own gradients say is the loss
    head, features = student.network.get_submodule("head"), list[torch.Tensor]()
    handle = head.register_forward_pre_hook(lambda _, given_: features.append(given_[0].detach()))  # pyright: ignore
    wanted = torch.autograd.grad(student.loss(labelled), [student.weights["head.weight"]])
    got = torch.autograd.grad(student.soft_loss((softly[0].flip(0), soft)), [student.weights["head.weight"]])
    handle.remove()
    assert float(matching_loss(got, wanted)) == pytest.approx(float(loss.detach()), abs=1e-6)
    error = softly[1] - head(features[1]).softmax(1)
    by_hand = torch.einsum("nkhw,nfhw->kf", -error, features[1]) / (2 * 16 * 16)
    torch.testing.assert_close(got[0].flatten(1), by_hand, atol=1e-5, rtol=1e-3)


def test_blocks_by_name() -> None:
    network = ClassicUNet(1, 3, 2)
    assert blocks_of(network) == (*(f"down.{i}" for i in range(5)), *(f"up.{i}" for i in range(4)), "head")
    chosen = matched(network, "unet-classic", "up.3, head")
    assert {".".join(name.split(".")[:2]) for name in chosen} == {"up.3", "head.weight", "head.bias"}
    assert len(matched(network, "unet-classic", "all")) == len(list(network.parameters()))
    with pytest.raises(UsageError, match=r"no block 'up\.9'.*down\.0.*head; did you mean 'up\.3'"):
        matched(network, "unet-classic", "up.9")


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_every_network_has_a_head(name: str) -> None:
    small = {"hrnet": "tu-hrnet_w18_small", "deeplabv3": "tu-resnet10t", "deeplabv3plus": "tu-resnet10t"}
    config = SegmenterConfig(classes=3, image_channels=1, size=32, architecture=name, encoder=small.get(name, ""))  # pyright: ignore
    network = build_network(config)
    head = matched(network, name, "head")  # pyright: ignore[reportArgumentType]
    assert 0 < len(head) < len(list(network.parameters()))
    assert not any(part.startswith("encoder.") for part in head)
    assert set(HEADS) == set(ARCHITECTURES)
