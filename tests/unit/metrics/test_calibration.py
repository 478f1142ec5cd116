"""Calibration against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gannotate.errors import UsageError
from gannotate.metrics.calibration import ReliabilityCounter, fit_temperature, negative_log_likelihood


def drawn(count: int, temperature: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and labels drawn from softmax(logits / temperature)."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, 4, generator=generator) * 3
    labels = torch.multinomial((logits / temperature).softmax(1), 1, generator=generator)[:, 0]
    return logits, labels


@pytest.mark.parametrize("truth", [0.4, 1.0, 2.5])
def test_finds_the_temperature_that_the_labels_were_drawn_with(truth: float):
    logits, labels = drawn(40_000, truth)
    assert fit_temperature(logits, labels) == pytest.approx(truth, rel=0.04)


def test_its_likelihood_is_the_best_of_a_grid():
    logits, labels = drawn(2000, 1.7)
    labels[::3] = 255
    found = fit_temperature(logits, labels)
    best = min(negative_log_likelihood(logits, labels, t) for t in np.exp(np.linspace(-3, 3, 601)))
    assert negative_log_likelihood(logits, labels, found) <= best + 1e-6


def test_a_weight_counts_as_so_many_pixels():
    logits, labels = drawn(400, 1.7)
    labels[logits.argmax(1) == 0] = 1  # pixels that are wrong and count much: the temperature has to rise
    labels[::7] = 255
    weights = torch.where(labels == 1, 9.0, 1.0)
    weights[3] = 0
    logits_each, labels_each = (rows.repeat_interleave(weights.long(), dim=0) for rows in (logits, labels))
    for temperature in (0.5, 1.0, 3.0):
        found = negative_log_likelihood(logits, labels, temperature, weights)
        assert found == pytest.approx(negative_log_likelihood(logits_each, labels_each, temperature), rel=1e-5)
    found = fit_temperature(logits, labels, weights)
    assert found == pytest.approx(fit_temperature(logits_each, labels_each), rel=2e-3)
    assert found > 1.1 * fit_temperature(logits, labels)


def test_labels_that_are_all_right_do_not_run_away():
    logits = torch.eye(3).repeat(5, 1)
    assert 0.05 <= fit_temperature(logits, torch.arange(3).repeat(5)) < 0.1


def test_reliability_by_hand():
    # four pixels of two classes: confidences .9 .9 .6 .6, right, wrong, right, ignored
    probabilities = np.array([[0.9, 0.9], [0.6, 0.4]])
    label_map = np.array([[0, 1], [0, 255]])
    counter = ReliabilityCounter(bins=10)
    counter.add(np.stack([probabilities, 1 - probabilities]), label_map)
    found = counter.result()
    assert found.count.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 2]
    assert found.accuracy[[6, 9]].tolist() == [1.0, 0.5]
    assert found.ece == pytest.approx((abs(1 - 0.6) + 2 * abs(0.5 - 0.9)) / 3)
    assert found.as_dict()["accuracy"] == [None] * 6 + [1.0, None, None, 0.5]


def test_true_probabilities_have_little_error_and_sharpened_ones_much():
    logits, labels = drawn(40_000, 1.0)
    errors = []
    for scale in (1.0, 3.0):
        counter = ReliabilityCounter()
        counter.add((logits * scale).softmax(1).T.numpy(), labels.numpy())
        errors.append(counter.result().ece)
    assert errors[0] < 0.01
    assert errors[1] > 0.1


def test_nothing_labelled_is_told():
    with pytest.raises(UsageError, match="no labelled pixels"):
        fit_temperature(torch.zeros(2, 3), torch.full((2,), 255))
    with pytest.raises(UsageError, match="no labelled pixels"):
        fit_temperature(torch.zeros(2, 3), torch.tensor([1, 255]), torch.tensor([0.0, 1.0]))
    with pytest.raises(UsageError, match="no labelled pixels"):
        ReliabilityCounter().result()
