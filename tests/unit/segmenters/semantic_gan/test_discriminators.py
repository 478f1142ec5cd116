"""D_m: its scales, and its losses against slow transcriptions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gannotate.segmenters.semantic_gan.discriminators import (
    Activations,
    PairDiscriminator,
    deceit_loss,
    hinge_loss,
    matching_loss,
    patch_logits,
)


def seen(seed: int) -> list[Activations]:
    torch.manual_seed(seed)
    return [[torch.randn(3, 4, 6, 6), torch.randn(3, 2, 3, 3), 2 * torch.randn(3, 1, side, side)] for side in (4, 2)]


@pytest.mark.parametrize(("size", "scales"), [(8, 1), (16, 2), (32, 3), (64, 3)])
def test_scales_too_small_for_a_patch_are_left_out(size: int, scales: int) -> None:
    found = PairDiscriminator(3, size, width=2, scales=3)(torch.randn(2, 3, size, size))
    assert len(found) == scales
    for activations in found:
        assert [x.shape[1] for x in activations] == [2, 4, 8, 16, 1]
    assert patch_logits(found).shape == (2,)


def test_a_patch_sees_its_own_place_and_the_pairs_do_not_mix() -> None:
    torch.manual_seed(0)
    discriminator = PairDiscriminator(2, 16, width=2, scales=1).eval()
    x = torch.randn(2, 2, 16, 16)
    both, alone = discriminator(x)[0][-1], discriminator(x[:1])[0][-1]
    torch.testing.assert_close(both[:1], alone)


def test_hinge_loss() -> None:
    real, fake = seen(1), seen(2)
    expected = np.mean(
        [
            np.mean([max(0.0, 1 - v) for v in a[-1].flatten().tolist()]) / 2
            + np.mean([max(0.0, 1 + v) for v in b[-1].flatten().tolist()]) / 2
            for a, b in zip(real, fake, strict=True)
        ]
    )
    assert float(hinge_loss(real, fake)) == pytest.approx(expected, rel=1e-5)
    sure = [[torch.full((1, 1, 2, 2), 5.0)]]
    assert float(hinge_loss(sure, [[-sure[0][0]]])) == 0


def test_deceit_loss() -> None:
    fake = seen(2)
    assert float(deceit_loss(fake)) == pytest.approx(-np.mean([float(scale[-1].mean()) for scale in fake]), rel=1e-5)


def test_matching_loss_and_its_gradient() -> None:
    real, fake = seen(1), seen(2)
    expected = np.mean(
        [
            sum(float((a[k] - b[k]).abs().mean()) for k in range(2))  # not the logits
            for a, b in zip(real, fake, strict=True)
        ]
    )
    assert float(matching_loss(real, fake)) == pytest.approx(expected, rel=1e-5)
    assert float(matching_loss(real, real)) == 0
    real[0][0].requires_grad_(True)
    fake[0][0].requires_grad_(True)
    matching_loss(real, fake).backward()
    assert real[0][0].grad is None
    assert fake[0][0].grad is not None


def test_patch_logits_sum_the_scales() -> None:
    found = seen(1)
    expected = sum(scale[-1].mean(dim=(1, 2, 3)) for scale in found)
    torch.testing.assert_close(patch_logits(found), expected)
