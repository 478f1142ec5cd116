"""Several processes: what each adds to a number of all, and work that one does by itself meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gannotate.training import distributed
from gannotate.training.descent import fill_gradients
from gannotate.training.losses import masked_cross_entropy, shared_cross_entropy, shared_mean

Together = Callable[[Callable[[], Any], int], list[Any]]


def test_sums_by_name(together: Together) -> None:
    def work() -> dict[str, float]:
        rank = distributed.rank()
        return distributed.summed(loss=torch.tensor(0.5 + rank), taught=torch.tensor(rank, dtype=torch.int64))

    assert together(work, 3) == [{"loss": 4.5, "taught": 3.0}] * 3
    assert distributed.summed(loss=torch.tensor(0.1)) == {"loss": pytest.approx(0.1)}


def test_means_over_labels_are_of_all_processes_labels(together: Together) -> None:
    torch.manual_seed(0)
    network, pictures = nn.Conv2d(1, 3, 1), torch.randn(4, 1, 5, 5)
    label_maps = torch.randint(0, 3, (4, 5, 5))
    label_maps[:2, :4] = 255  # the second process has most of the labels

    def gradients(kept: slice) -> list[Tensor]:
        logits = network(pictures[kept])
        loss = shared_cross_entropy(logits, label_maps[kept])
        loss = loss + shared_mean(logits[:, 0].square(), label_maps[kept] == 1)
        fill_gradients(torch.optim.SGD(network.parameters(), 0.1), loss)
        return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]

    expected = gradients(slice(None))
    logits = network(pictures)
    by_hand = masked_cross_entropy(logits, label_maps) + logits[:, 0].square()[label_maps == 1].mean()
    by_hand.backward(inputs=list(network.parameters()))  # adds to what is there
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * gradient)

    def work() -> list[Tensor]:
        network.zero_grad(set_to_none=True)
        return gradients(slice(0, 1) if distributed.is_first() else slice(1, 4))

    for found in together(work, 2):
        torch.testing.assert_close(found, expected)


def test_nothing_labelled_anywhere_is_zero() -> None:
    assert shared_cross_entropy(torch.randn(1, 2, 2, 2), torch.full((1, 2, 2), 255)) == 0
    assert shared_mean(torch.randn(2, 2), torch.zeros(2, 2, dtype=torch.bool)) == 0


def test_work_apart_thinks_it_is_alone(together: Together) -> None:
    def alone() -> Iterator[tuple[int, bool, float]]:
        for step in range(3 - distributed.rank()):
            yield distributed.count(), distributed.is_first(), float(distributed.total(torch.tensor(step + 1.0)))

    def work() -> tuple[list[Any], int]:
        steps = []
        for step in distributed.apart(alone()):
            steps.append(step)
            assert distributed.count() == 2  # between its steps there are two again
        return steps, int(distributed.total(torch.tensor(len(steps))))

    expected = [(1, True, 1.0), (1, True, 2.0), (1, True, 3.0)]
    assert together(work, 2) == [(expected, 6)] * 2


def test_an_error_apart_leaves_several(together: Together) -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("a slip")

    def work() -> int:
        with pytest.raises(ValueError, match="a slip"):
            list(distributed.apart(failing()))
        return distributed.count()

    assert together(work, 2) == [2, 2]
