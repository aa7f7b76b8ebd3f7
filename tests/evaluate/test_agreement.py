"""A judge beside reference scores, against worked values and scipy.

What is compared with is imported where it is used: it is slow to, and each worker collects all.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from urial_tui.evaluate.agreement import agreement, average_ranks, spearman, spearman_interval
from urial_tui.shares import Z95, wilson

JUDGE = [5.0, 4.0, 4.0, 2.0, 1.0, 3.0]
REFERENCE = [4.0, 4.0, 5.0, 1.0, 3.0, 3.0]


def test_what_is_counted() -> None:
    found = agreement([*JUDGE, None, 3.0], [*REFERENCE, 2.0, None])
    assert (found.count, found.missing) == (6, 2)
    assert (found.same.hits, found.near.hits) == (2, 5)
    assert found.near.interval == wilson(5, 6)
    assert found.bias.mean == pytest.approx(-1 / 6)
    assert found.bias.interval is not None


def test_fractions_are_near_by_distance_and_the_same_by_rounding() -> None:
    found = agreement([3.5, 3.49, 4.3, 2.0], [4.0, 4.0, 3.3, 3.1])
    assert (found.same.hits, found.near.hits) == (1, 3)


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    assert average_ranks([30, 10, 20, 10, 30, 30]).tolist() == [5, 1.5, 3, 1.5, 5, 5]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=40))
def test_the_rank_correlation_is_scipys(pairs: list[tuple[int, int]]) -> None:
    from scipy import stats

    first, second = zip(*pairs, strict=True)
    found = spearman(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found is None
    else:
        expected = float(stats.spearmanr(first, second).statistic)
        assert found == pytest.approx(expected, abs=1e-9)
        assert spearman(second, first) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("values", [[], [3.0], [3.0, 3.0, 3.0]])
def test_there_is_no_rank_correlation_without_ranks(values: list[float]) -> None:
    assert spearman(values, values) is None
    assert agreement(values, values).spearman_interval is None


def test_its_interval_by_hand() -> None:
    half = Z95 * math.sqrt(1.125 / 97)
    expected = (math.tanh(math.atanh(0.5) - half), math.tanh(math.atanh(0.5) + half))
    assert spearman_interval(0.5, 100) == pytest.approx(expected, abs=1e-12)
    assert spearman_interval(0.5, 3) is None
    assert spearman_interval(1.0, 100) is None


def test_its_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Of normal pairs with correlation r, Spearman's is 6/π · asin(r/2)."""
    trials, truth = 400, 6 / math.pi * math.asin(0.3)
    random = np.random.default_rng(2)
    covered = 0
    for _ in range(trials):
        one = random.normal(size=60)
        other = 0.6 * one + 0.8 * random.normal(size=60)
        interval = spearman_interval(spearman(one.tolist(), other.tolist()), 60)
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    assert abs(covered / trials - 0.95) <= 4 * math.sqrt(0.95 * 0.05 / trials)


def test_scores_of_other_answers_are_refused() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        agreement([1, 2], [1])
    with pytest.raises(ValueError, match="finite"):
        agreement([math.nan, 2], [1, 2])
