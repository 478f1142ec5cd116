"""What is said where memory runs out in a training."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gannotate.cli.compute import Accumulating, told
from gannotate.training.loop import Progress


def steps(*sizes: tuple[int, int]) -> Iterator[Progress]:
    """Steps in so many passes, the largest of so many pictures."""
    for done, (passes, size) in enumerate(sizes, 1):
        metrics = {"passes": float(passes), "pass_size": float(size)} if passes > 1 else {}
        yield Progress(done, len(sizes), 0.0, 0.0, metrics)


def test_more_passes_are_said_once_with_what_they_change(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(list(told(steps((1, 16), (4, 4), (4, 4), (8, 2)), Accumulating()))) == 4
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "gone through in 4 passes; batch norm (a discriminator's batch deviation) now sees 4 pictures at" in said[0]
    assert said[0].endswith("--accumulate 4 starts so")
    assert "sees 2 pictures at a time" in said[1]


def test_passes_that_were_asked_for_are_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(list(told(steps((2, 2), (2, 2)), Accumulating(accumulate=4)))) == 2
    assert capsys.readouterr().err == ""
