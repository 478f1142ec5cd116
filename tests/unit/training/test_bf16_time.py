"""Whether half precision pays: the shortest step of each way counts, and doctor says what to do."""

from __future__ import annotations

import itertools

import pytest

from gannotate.cli.doctor import bf16_advice
from gannotate.training import bf16_time as timing


def test_the_shortest_steps_are_compared(monkeypatch: pytest.MonkeyPatch):
    steps_s = itertools.chain.from_iterable([(9, 8), (2, 8), (3, 4), (2, 5), *[(7, 7)] * (timing.STEPS - 4)])
    ticks = itertools.accumulate(one for step in steps_s for one in (0.0, step))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(ticks))
    assert timing.bf16_time() == pytest.approx(2 / 4)


def test_both_ways_run_for_real():
    assert 0 < timing.bf16_time() < 1000


@pytest.mark.parametrize(("times", "advice"), [(0.5, "0.50 times as long here: use it"), (0.95, ": leave it out")])
def test_doctor_says_what_to_do(times: float, advice: str):
    assert bf16_advice(times).endswith(advice)
