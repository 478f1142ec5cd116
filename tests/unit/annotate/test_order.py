"""Which picture next: truths on a line of points."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gannotate.annotate.order import distances, diverse, uncertain
from gannotate.fitting.coverage import cover

LINE = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]])


def test_distances_are_euclidean():
    apart = distances(np.array([[0.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_allclose(apart, [[0, 5], [5, 0]], atol=1e-6)


def test_diverse_goes_to_the_group_that_nothing_is_taken_from():
    assert diverse(distances(LINE), [1], 1) in ([3], [4])
    assert set(diverse(distances(LINE), [], 2)) & {0, 1, 2}
    assert set(diverse(distances(LINE), [], 2)) & {3, 4}


@given(arrays(np.float64, (7, 3), elements=st.integers(-50, 50).map(float)), st.integers(1, 7))
def test_without_taken_rows_diverse_is_cover(features: np.ndarray, count: int):
    assert diverse(distances(features), [], count) == cover(features, count)


def test_uncertain_prefers_the_unsure_but_no_copies_of_them():
    unsure = np.array([0.1, 1.0, 0.1, 0.5, 0.5])
    assert uncertain(distances(LINE), unsure, [0], 1) == [3] or uncertain(distances(LINE), unsure, [0], 1) == [4]
    copies = np.array([[0.0], [5.0], [5.0], [6.0]])
    assert uncertain(distances(copies), np.array([0.0, 1.0, 0.99, 0.5]), [0], 2) == [1, 3]


def test_uncertain_alone_begins_with_the_most_unsure():
    assert uncertain(distances(LINE), np.array([0.1, 0.2, 0.9, 0.3, 0.1]), [], 1) == [2]


@given(st.sets(st.integers(0, 4)), st.integers(0, 8))
def test_both_give_every_other_row_once(taken: set[int], count: int):
    apart = distances(LINE)
    for chosen in (diverse(apart, sorted(taken), count), uncertain(apart, np.ones(5), sorted(taken), count)):
        assert len(chosen) == len(set(chosen)) == min(count, 5 - len(taken))
        assert not set(chosen) & taken
