"""Ramps: their ends, and points between that can be reckoned by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannotate.segmenters.semi_supervised.ramps import linear_ramp, polynomial_decay, sigmoid_ramp


def test_sigmoid_ramp() -> None:
    assert sigmoid_ramp(0, 10) == pytest.approx(math.exp(-5))
    assert sigmoid_ramp(5, 10) == pytest.approx(math.exp(-1.25))
    assert [sigmoid_ramp(index, 10) for index in (10, 11, 1000)] == [1, 1, 1]
    assert sigmoid_ramp(0, 0) == 1


def test_linear_ramp() -> None:
    assert [linear_ramp(index, 10, 60) for index in (0, 9, 10, 35, 60, 99)] == [0, 0, 0, 0.5, 1, 1]
    assert [linear_ramp(index, 7, 7) for index in (6, 7)] == [0, 1]


def test_polynomial_decay() -> None:
    assert polynomial_decay(0, 100) == 1
    assert polynomial_decay(50, 100) == pytest.approx(0.5**0.9)
    assert 0 < polynomial_decay(99, 100) == pytest.approx(0.01**0.9)


@given(st.integers(0, 500), st.floats(0, 300), st.floats(0, 300))
def test_ramps_rise_within_0_and_1(index: int, begin: float, more: float) -> None:
    for ramp in (lambda at: linear_ramp(at, begin, begin + more), lambda at: sigmoid_ramp(at, more)):
        assert 0 <= ramp(index) <= ramp(index + 1) <= 1
