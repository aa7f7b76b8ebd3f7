"""Wins, and wins at equal lengths, against worked values, statsmodels and a known truth.

What is compared with is imported where it is used: it is slow to, and each worker collects all.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from urial_tui.evaluate.win_rates import RIDGE, length_controlled, win_rate
from urial_tui.shares import Z95, sign_test, wilson

Judged = tuple[list[float], list[int], list[int]]


def judged(theta: float, phi: float, count: int, seed: int) -> Judged:
    """Preferences of a judge that is fond of length by `phi`; some are ties."""
    random = np.random.default_rng(seed)
    first = random.integers(20, 300, count)
    second = random.integers(10, 200, count)
    longer = first - second
    chance = 1 / (1 + np.exp(-theta - phi * np.tanh(longer / longer.std(ddof=1))))
    preferences = (random.random(count) < chance).astype(float)
    preferences[random.random(count) < 0.1] = 0.5
    return preferences.tolist(), first.tolist(), second.tolist()


# -- the win rate ----------------------------------------------------------------------


def test_wins_ties_and_losses() -> None:
    found = win_rate([1, 1, 0.5, 0, None, 0.7, 1])
    assert (found.count, found.missing) == (6, 1)
    assert (found.wins, found.ties, found.losses) == (4, 1, 1)
    assert (found.win, found.tie, found.lose) == (4 / 6, 1 / 6, 1 / 6)
    assert (found.win_interval, found.tie_interval) == (wilson(4, 6), wilson(1, 6))
    assert found.rate == pytest.approx(4.2 / 6)
    assert found.p_value == sign_test(4, 1)
    assert found.rate_interval is not None


def test_winning_always_is_not_certain() -> None:
    assert win_rate([1.0] * 8).rate_interval == pytest.approx(wilson(8, 8))


def test_without_judgements_there_is_no_rate() -> None:
    found = win_rate([None, None])
    assert (found.rate, found.win, found.win_interval, found.p_value) == (None,) * 4
    assert (found.count, found.missing) == (0, 2)


@pytest.mark.parametrize("preference", [-0.1, 1.1, math.nan, 2])
def test_what_is_no_preference_is_refused(preference: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        win_rate([preference])
    with pytest.raises(ValueError, match="between 0 and 1"):
        length_controlled([preference], [1], [1])


# -- at equal lengths ------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_a_ridge_it_is_the_model_of_statsmodels(seed: int) -> None:
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    preferences, first, second = judged(0.3, 1.2, 120, seed)
    longer = np.array(first, float) - np.array(second)
    design = np.column_stack((np.ones(120), np.tanh(longer / longer.std(ddof=1))))
    expected = GLM(np.array(preferences), design, family=Binomial()).fit(cov_type="HC0", tol=1e-14)
    found = length_controlled(preferences, first, second, ridge=0)
    assert found.theta is not None
    assert found.interval is not None
    assert found.theta == pytest.approx(expected.params[0], abs=1e-9)
    assert found.phi == pytest.approx(expected.params[1], abs=1e-9)
    half = (math.log(found.interval[1] / (1 - found.interval[1])) - found.theta) / Z95
    assert half == pytest.approx(expected.bse[0], abs=1e-9)


@pytest.mark.parametrize("ridge", [RIDGE, 10.0])
def test_with_a_ridge_it_is_the_least_loss(ridge: float) -> None:
    from scipy import optimize

    preferences, first, second = judged(-0.4, 2.0, 60, 4)
    y = np.array(preferences)
    longer = np.array(first, float) - np.array(second)
    x = np.tanh(longer / longer.std(ddof=1))

    def slope(at: np.ndarray) -> np.ndarray:
        p = 1 / (1 + np.exp(-at[0] - at[1] * x))
        return np.array([(p - y).sum(), ((p - y) * x).sum() + ridge * at[1]])

    expected = optimize.root(slope, [0.0, 0.0], tol=1e-13).x
    found = length_controlled(preferences, first, second, ridge=ridge)
    assert (found.theta, found.phi) == pytest.approx(tuple(expected), abs=1e-9)
    assert found.rate == pytest.approx(1 / (1 + math.exp(-expected[0])), abs=1e-9)


def test_the_truth_is_found_where_the_raw_rate_follows_the_lengths() -> None:
    preferences, first, second = judged(0.0, 2.0, 4000, 9)
    raw, found = win_rate(preferences), length_controlled(preferences, first, second)
    assert raw.rate is not None
    assert found.interval is not None
    assert raw.rate > 0.6
    assert found.interval[0] < 0.5 < found.interval[1]
    assert found.interval[1] - found.interval[0] < 0.05
    assert found.note == ""


def test_its_interval_covers_the_truth_as_often_as_it_says() -> None:
    trials, covered = 200, 0
    # Ties are halves, so they pull the rate towards a half as well.
    truth = 0.9 / (1 + math.exp(-0.5)) + 0.1 * 0.5
    for trial in range(trials):
        found = length_controlled(*judged(0.5, 0.7, 300, 100 + trial))
        assert found.interval is not None
        covered += found.interval[0] <= truth <= found.interval[1]
    assert abs(covered / trials - 0.95) <= 4 * math.sqrt(0.95 * 0.05 / trials)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 999), st.integers(0, 999)),
        min_size=1,
        max_size=30,
    )
)
def test_swapped_sides_have_the_rest_of_the_rate(rows: list[tuple[float, int, int]]) -> None:
    preferences, first, second = (list(column) for column in zip(*rows, strict=True))
    one = length_controlled(preferences, first, second)
    other = length_controlled([1 - p for p in preferences], second, first)
    assert one.note == other.note
    if one.rate is None:
        assert other.rate is None
    else:
        assert other.rate == pytest.approx(1 - one.rate, abs=1e-9)
        assert 0 <= one.rate <= 1


def test_an_item_without_a_judgement_is_left_out() -> None:
    preferences, first, second = judged(0.3, 1.0, 50, 5)
    expected = length_controlled(preferences, first, second)
    assert length_controlled([*preferences, None], [*first, 9], [*second, 800]) == expected


def test_lengths_that_tell_every_winner_have_a_finite_fit() -> None:
    longer = [10, 20, 30, 40, -10, -20, -30, -40]
    preferences = [1.0 if difference > 0 else 0.0 for difference in longer]
    found = length_controlled(preferences, [100 + d for d in longer], [100] * 8)
    assert found.rate == pytest.approx(0.5, abs=1e-9)
    assert found.phi is not None
    assert 0 < found.phi < 5
    assert length_controlled(preferences, longer, [0] * 8, ridge=0).note == (
        "the model has no finite fit to these preferences"
    )


def test_one_side_that_always_wins() -> None:
    found = length_controlled([1.0] * 6, [5, 6, 7, 8, 9, 1], [5, 5, 5, 5, 5, 5])
    assert (found.rate, found.theta) == (1.0, None)
    assert found.interval == wilson(6, 6)
    assert "wins every item" in found.note


def test_lengths_that_are_equal_leave_the_rate_as_it_is() -> None:
    found = length_controlled([1, 1, 1, 0, 0.5, 0], [5] * 6, [5] * 6)
    assert found.rate == pytest.approx(3.5 / 6)
    assert found.theta == pytest.approx(math.log(3.5 / 2.5))
    assert "as long as" in found.note


def test_what_lengths_do_is_unknown_where_they_always_differ_by_the_same() -> None:
    found = length_controlled([1, 1, 1, 0, 0, 0], [9] * 6, [5] * 6)
    assert (found.rate, found.interval) == (None, None)
    assert "same number" in found.note


def test_equal_lengths_that_were_never_near_are_noted() -> None:
    found = length_controlled([1, 1, 0, 1, 0, 1], [90, 80, 70, 60, 50, 40], [5] * 6)
    assert found.rate is not None
    assert "outside" in found.note


def test_few_items_have_no_fit() -> None:
    found = length_controlled([1, 0, 1, None, 0], [1, 2, 3, 4, 5], [5, 4, 3, 2, 1])
    assert found.rate is None
    assert found.note == "fewer than 5 items were judged"


def test_lengths_of_other_items_are_refused() -> None:
    with pytest.raises(ValueError, match="argument"):
        length_controlled([1, 0], [1, 2], [1])
