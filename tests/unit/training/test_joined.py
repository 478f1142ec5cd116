"""Several batches in one pass: each is shared by itself, and numbers and norms are those of all together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gannotate.training.joined import JoinedShare
from gannotate.training.shares import Place, Share, in_parts, passes, place_of

Together = Callable[[Callable[[], Any], int], list[Any]]

FIRST, SECOND = Share(Place(2, 4, 5), (2, 2, 1)), Share(Place(1, 2, 3), (1, 1, 1))
KEPT = [2, 3, 5 + 1]
"""Samples 2 and 3 of five, and the second of three that come after them."""


def chequered() -> Tensor:
    return torch.ones(8, 4, 5, 6).to(memory_format=torch.channels_last)


DRAWS: dict[str, Callable[[Tensor], Tensor]] = {
    "rand": lambda x: torch.rand(len(x), 2),
    "randint": lambda x: torch.randint(4, (len(x),)),
    "randn_like": torch.randn_like,
    "whole channels dropped": nn.Dropout2d(0.3),
    "dropped paths": lambda x: x.new_empty(len(x), 1, 1, 1).bernoulli_(0.5),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=list(DRAWS))
def test_samples_have_the_numbers_that_they_have_in_the_whole_of_both(draw: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    expected, after = draw(chequered()), torch.rand(3)
    torch.manual_seed(0)
    with JoinedShare([FIRST, SECOND]):
        found = draw(chequered()[KEPT])
    assert torch.equal(found, expected[KEPT])
    assert torch.equal(torch.rand(3), after)


def test_parts_and_numbers_for_no_sample() -> None:
    torch.manual_seed(0)
    expected = torch.rand(16, 3)
    torch.manual_seed(0)
    with JoinedShare([FIRST, SECOND]), in_parts(2):
        assert torch.equal(torch.rand(6, 3), expected[[*KEPT, *(8 + place for place in KEPT)]])
        assert torch.rand(0, 3).shape == (0, 3)


def test_a_part_of_a_mean_is_by_samples() -> None:
    mean = torch.tensor(8.0)
    assert FIRST.part_of(mean) == 8 * 2 / 5
    assert JoinedShare([FIRST, SECOND]).part_of(mean) == 8 * 3 / 8
    assert Share(Place(0, 5, 5), (5,)).part_of(mean) is mean


def test_in_one_process_nothing_is_shared() -> None:
    (first,), (second,) = passes(5), passes(3)
    both = JoinedShare([first, second])
    assert both.is_whole
    torch.manual_seed(0)
    expected = torch.rand(8)
    torch.manual_seed(0)
    with both:
        assert torch.equal(torch.rand(8), expected)


def test_batch_norm_is_over_both_batches_of_all_processes(together: Together) -> None:
    torch.manual_seed(0)
    first, second = torch.randn(5, 3, 4, 4), 2 + torch.randn(3, 3, 4, 4)

    def gradient(x: Tensor, share: Share | None) -> tuple[Tensor, Tensor]:
        x = x.clone().requires_grad_(True)
        norm = nn.BatchNorm2d(3)
        if share is None:
            y = norm(x)
        else:
            with share:
                y = norm(x)
        (F.relu(y).square().sum() + y[:, 0].sum()).backward()
        assert x.grad is not None
        return x.grad, norm.running_mean + norm.running_var  # pyright: ignore[reportOptionalOperand]

    def work() -> tuple[Tensor, Tensor]:
        shares = passes(5)[0], passes(3)[0]
        own = torch.cat([first[shares[0].place.slice], second[shares[1].place.slice]])
        return gradient(own, JoinedShare(shares))

    expected, running = gradient(torch.cat([first, second]), None)
    answers = together(work, 2)
    for rank, (found, told) in enumerate(answers):
        kept = [*range(8)[place_of(5, rank, 2).slice], *(5 + place for place in range(3)[place_of(3, rank, 2).slice])]
        torch.testing.assert_close(found, expected[kept], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(told, running)
