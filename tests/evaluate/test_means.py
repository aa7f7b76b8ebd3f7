"""Means with their intervals, against worked values, scipy, and data whose truth is known.

What is compared with is imported where it is used: it is slow to, and each worker collects all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from urial_tui.evaluate.means import (
    EXACT_FLIPS,
    IntervalMethod,
    flip_test,
    mean_interval,
    mean_of,
    paired_difference,
    resampled_means,
    share_of,
)
from urial_tui.shares import wilson

SCORES = [5.0, 4.0, 4.0, 3.0, 5.0, 1.0, 2.0, 5.0, 4.5, 3.5]
SKEWED = np.random.default_rng(3).exponential(size=60)


def scipy_interval(values: Sequence[float], method: str, means: np.ndarray) -> tuple[float, float]:
    """scipy's interval of these draws; it makes none of its own."""
    from scipy import stats

    given = stats.bootstrap((np.asarray(values),), np.mean, n_resamples=2, method="percentile")
    given.bootstrap_distribution = means
    found = stats.bootstrap(
        (np.asarray(values),), np.mean, n_resamples=0, method=method, bootstrap_result=given
    ).confidence_interval
    return float(found.low), float(found.high)


# -- means -----------------------------------------------------------------------------


def test_values_that_are_missing_are_counted_and_left_out() -> None:
    found = mean_of([1, None, 2, 6, None])
    assert (found.mean, found.count, found.missing) == (3.0, 3, 2)


@pytest.mark.parametrize(
    ("values", "mean"), [([], None), ([None], None), ([4], 4.0), ([1, 2, 3, 4], 2.5)]
)
def test_few_values_have_no_interval(values: list[float | None], mean: float | None) -> None:
    found = mean_of(values, bounds=(1, 5))
    assert (found.mean, found.interval) == (mean, None)


@pytest.mark.parametrize("method", ["bca", "percentile"])
@pytest.mark.parametrize(
    "values", [SCORES, SKEWED.tolist(), [1.0, 2.0, 2.0, 2.0, 5.0], [1.0] * 99 + [5.0]]
)
def test_the_interval_is_scipys_for_the_same_draws(
    values: list[float], method: IntervalMethod
) -> None:
    means = resampled_means(np.array(values), seed=7)
    expected = scipy_interval(values, {"bca": "BCa"}.get(method, method), means)
    assert mean_of(values, method=method, seed=7).interval == pytest.approx(expected, abs=1e-9)


def test_both_ways_of_drawing_have_the_same_distribution() -> None:
    few = np.array([1.0] * 40 + [4.0] * 40)
    many = few + np.arange(80) * 1e-9
    counted, drawn = (resampled_means(v, resamples=20_000, seed=1) for v in (few, many))
    # sd of a mean of 80 is 1.5 / sqrt(80); of 20,000 draws, its own error is 1/sqrt(40,000).
    expected = 1.5 / math.sqrt(80)
    assert counted.std() == pytest.approx(expected, rel=0.02)
    assert drawn.std() == pytest.approx(expected, rel=0.02)
    assert counted.mean() == pytest.approx(2.5, abs=4 * expected / math.sqrt(20_000))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=40), st.randoms())
def test_the_order_of_the_items_does_not_matter(values: list[int], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (mean_of(v, bounds=(1, 5), resamples=200) for v in (values, shuffled))
    assert one.mean == pytest.approx(other.mean)
    assert one.interval == pytest.approx(other.interval)


def test_a_seed_gives_its_interval_again_and_another_gives_another() -> None:
    one, again, other = (mean_of(SKEWED.tolist(), seed=seed).interval for seed in (1, 1, 2))
    assert one == again != other


def test_equal_values_have_the_score_interval_of_their_bounds() -> None:
    low, high = wilson(10, 10)
    assert mean_of([5] * 10, bounds=(1, 5)).interval == pytest.approx((1 + 4 * low, 5.0))
    assert high == 1.0
    half = wilson(5, 10)
    assert mean_of([3] * 10, bounds=(1, 5)).interval == pytest.approx(
        (1 + 4 * half[0], 1 + 4 * half[1])
    )
    assert mean_of([5] * 10).interval is None


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.9, 5.1])
def test_what_is_no_score_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"finite|bounds"):
        mean_of([3, value], bounds=(1, 5))


@pytest.mark.parametrize("bounds", [(5, 1), (1, 1), (0, math.inf)])
def test_bounds_that_are_none_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="bounds"):
        mean_of([1, 1], bounds=bounds)


@pytest.mark.parametrize("method", ["bca", "percentile"])
@pytest.mark.parametrize("chances", [(0.02, 0.03, 0.1, 0.25, 0.6), (0.2, 0.2, 0.2, 0.2, 0.2)])
def test_the_interval_covers_the_truth_as_often_as_it_says(
    chances: tuple[float, ...], method: IntervalMethod
) -> None:
    trials = 400
    random = np.random.default_rng(11)
    scale = np.arange(1.0, 6.0)
    truth = float(scale @ chances)
    covered = 0
    for trial in range(trials):
        values = random.choice(scale, p=chances, size=80)
        interval = mean_interval(values, method=method, resamples=500, seed=trial)
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    # Of 400 trials, 0.95 has a standard deviation of 1.1 %; four of them are chance.
    deviation = math.sqrt(0.95 * 0.05 / trials)
    assert abs(covered / trials - 0.95) <= 4 * deviation


# -- shares ----------------------------------------------------------------------------


def test_a_share_counts_what_is_known() -> None:
    found = share_of([True, False, None, True])
    assert (found.hits, found.count, found.missing) == (2, 3, 1)
    assert found.share == 2 / 3
    assert found.interval == wilson(2, 3)


def test_a_share_of_nothing_is_none() -> None:
    found = share_of([None])
    assert (found.share, found.interval, found.count, found.missing) == (None, None, 0, 1)


# -- differences -----------------------------------------------------------------------


def test_a_difference_is_over_the_items_that_both_have() -> None:
    found = paired_difference([5, 4, None, 2, 1], [3, 4, 5, None, 2])
    assert (found.first, found.second) == (10 / 3, 3.0)
    assert found.difference == pytest.approx(1 / 3)
    assert (found.count, found.missing) == (3, 2)
    assert (found.higher, found.lower, found.equal) == (1, 1, 1)
    assert found.sign_p_value == 1.0
    # Of the signs of 2 and 1, both of those with |sum| >= 1: all four.
    assert found.p_value == 1.0


def test_a_difference_of_no_items_is_unknown() -> None:
    found = paired_difference([None], [3])
    assert (found.difference, found.interval, found.p_value, found.sign_p_value) == (None,) * 4
    assert (found.count, found.missing) == (0, 1)


def test_runs_over_other_items_are_refused() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        paired_difference([1, 2], [1])


def test_a_run_against_itself_has_no_difference() -> None:
    found = paired_difference(SCORES, SCORES, bounds=(1, 5))
    assert (found.difference, found.equal, found.p_value, found.sign_p_value) == (0, 10, 1, 1)
    low, high = wilson(5, 10)
    assert found.interval == pytest.approx((-4 + 8 * low, -4 + 8 * high))


def test_swapped_runs_have_the_negative_difference() -> None:
    other = SCORES[3:] + SCORES[:3]
    one, back = paired_difference(SCORES, other), paired_difference(other, SCORES)
    assert one.difference == pytest.approx(-(back.difference or 0))
    assert one.p_value == back.p_value
    assert (one.higher, one.lower) == (back.lower, back.higher)


@pytest.mark.parametrize(
    "differences",
    [
        [1.0, 2.0, 3.0],
        [0.1, 0.2, -0.3, 0.4],
        [2.0, -1.0, 0.0, 3.0, 1.0, 1.0, -1.0],
        np.random.default_rng(5).normal(0.4, 1, 12).tolist(),
    ],
)
def test_few_differences_are_flipped_in_all_ways(differences: list[float]) -> None:
    from scipy import stats

    kept = np.array([d for d in differences if d])
    expected = stats.permutation_test(
        (kept,), np.mean, permutation_type="samples", n_resamples=10**6
    ).pvalue
    assert flip_test(np.array(differences)) == pytest.approx(float(expected), abs=1e-9)


def test_flipping_all_ways_by_hand() -> None:
    sums = [
        abs(sum(s * d for s, d in zip(signs, (3, 1, 1), strict=True)))
        for signs in itertools.product((-1, 1), repeat=3)
    ]
    assert flip_test(np.array([3.0, -1.0, 1.0])) == sum(s >= 3 for s in sums) / 8 == 0.75


def test_more_differences_are_flipped_at_random_and_never_say_zero() -> None:
    from scipy import stats

    n = EXACT_FLIPS + 6
    assert flip_test(np.full(n, 2.0), resamples=999) == 1 / 1000
    # All but five of twenty equal differences have one sign: the binomial test by another way.
    mixed = np.array([1.0] * 15 + [-1.0] * 5)
    expected = stats.binomtest(5, 20).pvalue
    found = flip_test(mixed, resamples=20_000)
    assert found == pytest.approx(expected, abs=4 * math.sqrt(expected / 20_000))


def test_no_difference_at_all_is_certain_to_be_chance() -> None:
    assert flip_test(np.zeros(5)) == 1.0
    assert flip_test(np.zeros(0)) == 1.0
