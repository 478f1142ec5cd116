"""The closed-form head against scikit-learn and against its own definition."""

from __future__ import annotations

import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from gannotate.errors import UsageError
from gannotate.fitting.closed_form import discriminant, moments, total


def cloud(count: int = 600, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes of correlated features of very different scale."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    mix = torch.randn(5, 5, generator=torch.Generator().manual_seed(7))
    features = torch.randn(count, 5, generator=generator) @ mix
    centres = torch.tensor([[0.0, 0, 0, 0, 0], [2, 0, -1, 0, 1], [0, 3, 0, 1, 0]])
    return (features + centres[labels]) * torch.tensor([1.0, 100.0, 0.01, 1.0, 1.0]), labels


def test_equals_scikit_learn_without_shrinkage():
    features, labels = cloud()
    head = discriminant(moments(features, labels, 3), shrinkage=0.0, prior=1.0)
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(features.numpy(), labels.numpy())
    difference = head(features) - torch.from_numpy(theirs.decision_function(features.numpy())).float()
    # logits are defined up to one number a pixel
    difference = difference - difference.mean(dim=1, keepdim=True)
    assert difference.abs().max() < 2e-2
    assert (head(features).argmax(1).numpy() == theirs.predict(features.numpy())).mean() > 0.995


def test_pictures_add_up_and_can_be_left_out():
    parts = [moments(*cloud(200, seed), 3) for seed in range(3)]
    features, labels = (torch.cat(pair) for pair in zip(cloud(200, 0), cloud(200, 2), strict=True))
    together = discriminant(moments(features, labels, 3))
    left_out = discriminant(total(parts) - parts[1])
    torch.testing.assert_close(left_out.weight, together.weight, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(left_out.bias, together.bias, rtol=1e-3, atol=1e-3)


def test_a_subset_of_channels_is_a_fit_on_these_channels():
    features, labels = cloud()
    chosen = torch.tensor([0, 3, 4])
    part = discriminant(moments(features, labels, 3).of_channels(chosen))
    torch.testing.assert_close(part.weight, discriminant(moments(features[:, chosen], labels, 3)).weight)


def test_a_row_of_weight_two_is_two_rows():
    features, labels = cloud(50)
    twice = moments(torch.cat([features, features[:10]]), torch.cat([labels, labels[:10]]), 3)
    weights = torch.ones(50)
    weights[:10] = 2
    weighted = moments(features, labels, 3, weights)
    torch.testing.assert_close(weighted.products, twice.products, rtol=1e-5, atol=1e-2)
    torch.testing.assert_close(weighted.pixels, twice.pixels)


def test_ignored_pixels_and_unseen_classes():
    features, labels = cloud()
    labels[labels == 1] = 255
    head = discriminant(moments(features, labels, 4))
    assert head.bias[1] == head.bias[3] == -torch.inf
    assert not head(features).softmax(dim=1).isnan().any()
    assert set(head(features).argmax(dim=1).tolist()) == {0, 2}


def test_more_channels_than_pixels_is_solved():
    generator = torch.Generator().manual_seed(0)
    features, labels = torch.randn(20, 50, generator=generator), torch.arange(20) % 2
    head = discriminant(moments(features, labels, 2))
    assert (head(features).argmax(1) == labels).all()


def test_one_class_is_refused():
    with pytest.raises(UsageError, match="1 class is labelled"):
        discriminant(moments(torch.randn(5, 2), torch.zeros(5, dtype=torch.long), 3))
