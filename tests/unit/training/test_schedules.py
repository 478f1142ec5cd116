"""Step sizes in closed form."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gannotate.training.schedules import half_cosine, set_rate


def test_half_a_cosine() -> None:
    found = [half_cosine(index, 4) for index in range(5)]
    assert found == pytest.approx([1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5, 0])


@given(steps=st.integers(1, 1000), index=st.integers(0, 999))
def test_it_falls_and_is_symmetric(steps: int, index: int) -> None:
    index = min(index, steps - 1)
    assert half_cosine(index, steps) > half_cosine(index + 1, steps)
    assert half_cosine(index, steps) + half_cosine(steps - index, steps) == pytest.approx(1)


def test_every_group_gets_the_rate() -> None:
    one, other = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [one]}, {"params": [other], "lr": 7.0}], 1.0)
    set_rate(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
