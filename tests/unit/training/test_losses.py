"""The loss that every trainer of labels shares."""

from __future__ import annotations

import pytest
import torch

from gannotate.training.losses import masked_cross_entropy


def test_cross_entropy_by_hand() -> None:
    logits = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    label_maps = torch.tensor([[[0, 1], [2, 255]], [[255, 255], [1, 1]]])
    log_p = logits.log_softmax(1)
    picked = [-log_p[n, label_maps[n, y, x], y, x] for n in range(2) for y in range(2) for x in range(2)
              if label_maps[n, y, x] != 255]  # fmt: skip
    expected = torch.stack(picked).mean()
    torch.testing.assert_close(masked_cross_entropy(logits, label_maps), expected)
    # one-hot probabilities are the same thing as class ids
    one_hot = torch.nn.functional.one_hot(label_maps.clamp(max=2), 3).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(masked_cross_entropy(logits, label_maps, one_hot), expected)

    soft = torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    soft /= soft.sum(1, keepdim=True)
    known = label_maps != 255
    torch.testing.assert_close(
        masked_cross_entropy(logits, label_maps, soft), -(soft * log_p).sum(1)[known].sum() / known.sum()
    )


def test_ignored_pixels_teach_nothing() -> None:
    logits = torch.zeros(1, 3, 2, 2, requires_grad=True)
    loss = masked_cross_entropy(logits, torch.full((1, 2, 2), 255), torch.full((1, 3, 2, 2), 1 / 3))
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_an_ignored_half_is_as_if_cut_away() -> None:
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(1))
    labels[:, :2] = 255
    loss = masked_cross_entropy(logits, labels)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[:, :, :2].abs().max() == 0
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits[:, :, 2:], labels[:, 2:]))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_pixels_in_a_row_and_in_a_picture_are_the_same(smoothing: float) -> None:
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(1))
    labels[0, 1] = 255
    rows = masked_cross_entropy(logits.permute(0, 2, 3, 1).reshape(-1, 3), labels.flatten(), smoothing=smoothing)
    torch.testing.assert_close(masked_cross_entropy(logits, labels, smoothing=smoothing), rows)
