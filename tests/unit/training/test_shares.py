"""A share of a batch: its random numbers, its batch norm, and what reaches over all processes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from gannotate.errors import UsageError
from gannotate.training import distributed
from gannotate.training.shares import (
    Place,
    Share,
    current,
    for_all,
    in_parts,
    mean_of_all,
    out_of_whole,
    own,
    passes,
    place_of,
    whole,
)

Together = Callable[[Callable[[], Any], int], list[Any]]

HERE, KEPT = Place(2, 5, 8), slice(2, 5)


@given(st.integers(1, 200), st.integers(1, 17))
def test_places_cover_the_batch_once_and_evenly(samples: int, numbers: int) -> None:
    places = [place_of(samples, number, numbers) for number in range(numbers)]
    assert (places[0].start, places[-1].stop) == (0, samples)
    assert all(before.stop == after.start for before, after in pairwise(places))
    assert max(map(len, places)) - min(map(len, places)) <= 1


@given(st.integers(1, 40), st.integers(1, 50))
def test_passes_cover_the_batch_once(samples: int, number: int) -> None:
    shares = passes(samples, number)
    assert [index for share in shares for index in range(samples)[share.place.slice]] == list(range(samples))
    assert len(shares) == min(number, samples)


def chequered() -> Tensor:
    return torch.ones(8, 4, 5, 6).to(memory_format=torch.channels_last)


PER_SAMPLE: dict[str, Callable[[Tensor], Tensor]] = {
    "rand": lambda x: torch.rand(len(x)),
    "rand of a tuple": lambda x: torch.rand((len(x), 2)),
    "rand by name": lambda x: torch.rand(size=(len(x), 2)),
    "twice as many": lambda x: torch.randn(2 * len(x)).view(len(x), 2),
    "randint": lambda x: torch.randint(4, (len(x),)),
    "randint from": lambda x: torch.randint(1, 9, (len(x), 1)),
    "randint by name": lambda x: torch.randint(low=1, high=9, size=(len(x), 1)),
    "randn_like": torch.randn_like,
    "dropout": lambda x: F.dropout(x, 0.5),
    "whole channels dropped": nn.Dropout2d(0.3),
    "dropped paths": lambda x: x.new_empty(len(x), 1, 1, 1).bernoulli_(0.5),
}


@pytest.mark.parametrize("draw", PER_SAMPLE.values(), ids=list(PER_SAMPLE))
def test_samples_have_the_numbers_that_they_have_in_the_whole_batch(draw: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    expected, after = draw(chequered()), torch.rand(3)
    torch.manual_seed(0)
    with Share(HERE, (3,)):
        found = draw(chequered()[KEPT])
    assert torch.equal(found, expected[KEPT])
    assert torch.equal(torch.rand(3), after)  # as many numbers were used


def test_parts_of_a_tensor_have_their_numbers_each() -> None:
    torch.manual_seed(0)
    real, drawn = torch.rand(16, 3).chunk(2)
    torch.manual_seed(0)
    with Share(HERE, (3,)), in_parts(2):
        found = torch.rand(6, 3)
    assert torch.equal(found, torch.cat([real[KEPT], drawn[KEPT]]))


def test_what_all_samples_share_is_drawn_once() -> None:
    def draw() -> list[Tensor]:
        with for_all():
            seven = torch.rand(7)
        return [torch.randperm(9), torch.randint(5, ()), torch.multinomial(torch.ones(9), 4), seven]

    torch.manual_seed(0)
    expected = draw()
    torch.manual_seed(0)
    with Share(HERE, (3,)):
        found = draw()
    assert all(torch.equal(*pair) for pair in zip(expected, found, strict=True))


def test_a_number_of_draws_that_fits_no_sample_is_an_error() -> None:
    with Share(HERE, (3,)), pytest.raises(RuntimeError, match="7 random numbers were drawn in a share of 3 samples"):
        torch.rand(7)


def test_named_streams_and_evaluation_stay_as_they_are() -> None:
    norm, x = nn.BatchNorm2d(4).eval(), torch.randn(3, 4, 2, 2)
    with Share(HERE, (3,)):
        assert len(torch.rand(7, generator=torch.Generator())) == 7
        assert torch.equal(F.dropout(x, 0.5, training=False), x)
        assert torch.equal(norm(x), norm(x))
        assert current() is not None
    assert current() is None


def test_a_whole_batch_is_no_share() -> None:
    (share,) = passes(8)
    with share:
        assert current() is None
        assert len(torch.rand(7)) == 7


# ---------------------------------------------------------------------------------------------------------------
# Several processes

DATA = torch.Generator().manual_seed(3)
X = torch.randn(5, 3, 4, 4, generator=DATA) * 2 + 300  # far from 0: sums of squares would lose the digits
WEIGHTS = torch.randn(5, 3, 4, 4, generator=DATA)


def normed(x: Tensor, weights: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    return (norm(x).square() * weights).sum()


def gradients(x: Tensor, weights: Tensor) -> list[Tensor]:
    """The norm's answer, its gradients, the gradient of a gradient's size, and the running statistics."""
    norm = nn.BatchNorm2d(3, momentum=0.3)
    norm.weight.data.copy_(torch.tensor([0.5, 1.0, 2.0]))
    norm.bias.data.copy_(torch.tensor([0.1, -0.2, 0.3]))
    x = x.clone().requires_grad_(True)
    loss = normed(x, weights, norm)
    first = torch.autograd.grad(loss, [x, norm.weight], create_graph=True)
    # the gradient of the weight is over all samples; what is made of it counts once, not once for each process
    length = distributed.total(first[1]).square().sum() / distributed.count()
    second = torch.autograd.grad(length, x)
    return [first[0].detach(), second[0], distributed.total(first[1].detach()), norm.running_mean, norm.running_var]  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize("count", [2, 3])
def test_batch_norm_over_processes_equals_one_to_the_second_derivative(together: Together, count: int) -> None:
    def work() -> list[Tensor]:
        (share,) = passes(5)
        with share:
            return gradients(X.double()[share.place.slice], WEIGHTS.double()[share.place.slice])

    torch.set_default_dtype(torch.float64)
    try:
        expected, found = gradients(X.double(), WEIGHTS.double()), together(work, count)
    finally:
        torch.set_default_dtype(torch.float32)
    for of_samples in (0, 1):
        joined = torch.cat([answer[of_samples] for answer in found])
        torch.testing.assert_close(joined, expected[of_samples], rtol=1e-7, atol=1e-9)
    for of_all in (2, 3, 4):
        for answer in found:
            torch.testing.assert_close(answer[of_all], expected[of_all], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_plain_gradients_of_batch_norm_over_processes_equal_one(
    together: Together, affine: bool, precision: torch.dtype
) -> None:
    x = (X - 299).to(precision).contiguous(memory_format=torch.channels_last)

    def found(kept: slice) -> list[Tensor]:
        norm, given = nn.BatchNorm2d(3, affine=affine), x[kept].clone().requires_grad_(True)
        (norm(given).float() * WEIGHTS[kept]).sum().backward()
        gradients = [parameter.grad for parameter in norm.parameters()]
        return [given.grad, *(distributed.total(one) for one in gradients if one is not None)]  # pyright: ignore[reportReturnType]

    def work() -> list[Tensor]:
        (share,) = passes(5)
        with share:
            return found(share.place.slice)

    expected, answers = found(slice(None)), together(work, 2)
    close = 2e-2 if precision == torch.bfloat16 else 1e-4
    torch.testing.assert_close(torch.cat([answer[0] for answer in answers]), expected[0], rtol=close, atol=close)
    for index in range(1, len(expected)):
        torch.testing.assert_close(answers[0][index], expected[index], rtol=close, atol=close)


def test_batch_norm_keeps_the_digits_of_float32(together: Together) -> None:
    def work() -> Tensor:
        (share,) = passes(5)
        with share:
            return nn.BatchNorm2d(3)(X[share.place.slice]).detach()

    exact = nn.BatchNorm2d(3).double()(X.double()).detach().float()
    torch.testing.assert_close(torch.cat(together(work, 2)), exact, rtol=1e-4, atol=1e-4)


def test_what_reaches_over_all_processes(together: Together) -> None:
    rows = torch.arange(10.0).view(5, 2)

    def work() -> list[Tensor]:
        (share,) = passes(5)
        with share:
            mine = torch.cat([rows[share.place.slice], -rows[share.place.slice]])
            all_rows = whole(mine, parts=2)
            with in_parts(2):
                of_made_for_all = own(torch.cat([rows, -rows]))
            return [
                all_rows,
                out_of_whole(all_rows, parts=2) - mine,
                of_made_for_all - mine,
                mean_of_all(mine[: len(mine) // 2]),
            ]

    for all_rows, difference, other, mean in together(work, 2):
        assert torch.equal(all_rows, torch.cat([rows, -rows]))
        assert not difference.any()
        assert not other.any()
        assert torch.equal(mean, rows.mean(0))


def test_fewer_samples_than_processes_are_refused(together: Together) -> None:
    def work() -> str:
        with pytest.raises(UsageError) as caught:
            passes(1)
        return str(caught.value)

    assert together(work, 2)[0].startswith("a step learns from 1 sample(s), which 2 processes cannot share")
