"""Cross-validation as published, against the obvious reference; spreads over folds and over seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gannotate.errors import UsageError
from gannotate.metrics.folds import cross_validate, make_folds, over_folds, over_seeds, seeds_of_folds
from gannotate.metrics.protocols import figures, find_protocol

CV = find_protocol("datasetgan-cv")


@given(st.integers(5, 60), st.integers(2, 5))
def test_folds_part_the_pictures(pictures: int, parts: int):
    found = make_folds(pictures, parts)
    assert [len(fold.validation) for fold in found] == [pictures // parts] * parts
    for fold in found:
        assert sorted(fold.validation + fold.test) == list(range(pictures))
    chosen = [place for fold in found for place in fold.validation]
    assert chosen == list(range(pictures // parts * parts))  # in order; what is left over is never chosen on


def test_too_few_pictures_and_no_folds_are_refused():
    with pytest.raises(UsageError, match="4 pictures do not make 5 folds"):
        make_folds(4, 5)
    with pytest.raises(UsageError, match="lagm-fg has no folds"):
        cross_validate(np.ones((1, 5, 2, 2), np.int64), find_protocol("lagm-fg"))


def right(part: float) -> np.ndarray:
    """A picture of two classes of which such a part of the pixels is right."""
    good, bad = round(100 * part), 100 - round(100 * part)
    return np.array([[good, bad], [bad, good]])


def test_each_fold_takes_what_is_best_on_its_own_part():
    # candidate 0 is good on the first two of ten pictures, candidate 1 on the others
    first = np.stack([right(0.9 if place < 2 else 0.5) for place in range(10)])
    second = np.stack([right(0.4 if place < 2 else 0.8) for place in range(10)])
    found = cross_validate(np.stack([first, second]), CV)
    assert [fold.chosen for fold in found.folds] == [0, 1, 1, 1, 1]
    assert found.folds[0].validation == pytest.approx(90 / 110)
    assert found.folds[0].test == pytest.approx(50 / 150)  # chosen on two pictures, poor on the other eight
    tested = figures(np.concatenate([second[:2], second[4:]]).sum(axis=0), CV).miou
    assert found.folds[1].test == pytest.approx(tested)
    values = [fold.test for fold in found.folds]
    assert found.spread.mean == pytest.approx(np.mean(values))
    assert found.spread.deviation == pytest.approx(np.std(values))  # the population's, as published
    told = found.as_dict()
    assert told["value"] == found.spread.mean
    assert (told["over"], told["count"], len(told["folds"])) == ("folds", 5, 5)


def test_only_the_last_candidates_are_looked_at():
    best = np.stack([right(0.95)] * 5)
    others = [np.stack([right(0.6 + 0.01 * index)] * 5) for index in range(20)]
    counts = np.stack([best, *others])
    assert {fold.chosen for fold in cross_validate(counts, CV).folds} == {0}
    assert {fold.chosen for fold in cross_validate(counts, find_protocol("lagm-cv")).folds} == {20}


def test_spreads_say_over_what():
    folds, seeds = over_folds([0.2, 0.4]), over_seeds([0.2, 0.4])
    assert (folds.deviation, seeds.deviation) == (pytest.approx(0.1), pytest.approx(0.1 * 2**0.5))
    assert str(folds) == "0.300 ± 0.100 over 2 folds"
    assert str(seeds) == "0.300 ± 0.141 over 2 seeds"
    assert str(over_seeds([0.5])) == "0.500 over 1 seed"


def test_seeds_of_folds_spread_over_the_runs_means():
    runs = [cross_validate(np.stack([np.stack([right(part)] * 5)]), CV) for part in (0.5, 0.7)]
    found = seeds_of_folds(runs)
    means = [run.spread.mean for run in runs]
    assert (found.over, found.count) == ("seeds", 2)
    assert found.deviation == pytest.approx(np.std(means, ddof=1))
    assert all(run.spread.deviation == pytest.approx(0) for run in runs)  # no spread over folds at all
