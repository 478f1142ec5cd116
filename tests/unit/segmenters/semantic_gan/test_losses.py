"""The encoder's losses against slow transcriptions."""

from __future__ import annotations

import math

import pytest
import torch

from gannotate.inversion.losses import OfflineLoss
from gannotate.labels import IGNORE
from gannotate.segmenters.semantic_gan.generator import codes_of
from gannotate.segmenters.semantic_gan.losses import dice_loss, label_loss, picture_losses


def toy_codes() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    label_maps = torch.randint(0, 3, (2, 3, 3))
    label_maps[0, 0, 0] = IGNORE
    return 0.3 * torch.randn(2, 3, 3, 3), label_maps


def test_label_loss_is_cross_entropy_and_dice() -> None:
    codes, label_maps = toy_codes()
    nats, counted = 0.0, 0
    products, sums = [0.0] * 3, [0.0] * 3
    for n in range(2):
        for y in range(3):
            for x in range(3):
                label, code = int(label_maps[n, y, x]), codes[n, :, y, x].tolist()
                if label == IGNORE:
                    continue
                total = sum(math.exp(value / 0.1) for value in code)
                nats -= code[label] / 0.1 - math.log(total)
                counted += 1
                for k in range(3):
                    p, t = 1 / (1 + math.exp(-code[k] / 0.3)), float(label == k)
                    products[k] += p * t
                    sums[k] += p * p + t * t
    dice = 1 - sum(2 * products[k] / sums[k] for k in (1, 2)) / 2
    assert float(dice_loss(codes, label_maps)) == pytest.approx(dice, rel=1e-5)
    assert float(label_loss(codes, label_maps)) == pytest.approx(nats / counted + dice, rel=1e-5)


def test_the_right_codes_cost_little_and_the_wrong_ones_much() -> None:
    _, label_maps = toy_codes()
    right = codes_of(label_maps, 3)
    assert float(label_loss(right, label_maps)) < 0.05
    assert float(label_loss(right.roll(1, dims=1), label_maps)) > 10


def test_pixels_without_label_teach_nothing() -> None:
    codes, label_maps = toy_codes()
    codes.requires_grad_(True)
    label_loss(codes, label_maps).backward()
    assert codes.grad is not None
    assert float(codes.grad[0, :, 0, 0].abs().sum()) == 0
    assert float(codes.grad[0, :, 0, 1].abs().sum()) > 0


def test_nothing_labelled_at_all_is_finite() -> None:
    codes = torch.randn(1, 2, 4, 4, requires_grad=True)
    label_loss(codes, torch.full((1, 4, 4), IGNORE)).backward()
    assert codes.grad is not None
    assert float(codes.grad.abs().sum()) == 0


def test_picture_losses_are_each_pictures_own() -> None:
    given, drawn = torch.rand(3, 1, 8, 8), torch.rand(3, 1, 8, 8)
    both = picture_losses(drawn, given, OfflineLoss(), 1.0, 10.0)
    for index in range(3):
        full = float((drawn[index] - given[index]).square().mean())
        halves = [torch.nn.functional.avg_pool2d(x[index], 2) for x in (drawn, given)]
        half = float((halves[0] - halves[1]).square().mean())
        assert float(both[index]) == pytest.approx(full + 10 * (full + half), rel=1e-4)
