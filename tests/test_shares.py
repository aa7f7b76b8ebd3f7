"""What counts say of a share, against tables and an independent library.

What is compared with is imported where it is used: it is slow to, and each worker collects all.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from urial_tui.shares import Z95, sign_test, wilson

COUNTS = ((0, 1), (1, 1), (0, 20), (1, 29), (15, 148), (81, 263), (999, 1000), (1000, 1000))


def test_the_quantile_is_that_of_95_percent() -> None:
    from scipy.stats import norm

    assert pytest.approx(float(norm.ppf(0.975)), abs=1e-15) == Z95


@pytest.mark.parametrize(("hits", "count"), COUNTS)
def test_the_score_interval_is_that_of_statsmodels(hits: int, count: int) -> None:
    from statsmodels.stats.proportion import proportion_confint

    expected = proportion_confint(hits, count, alpha=0.05, method="wilson")
    assert wilson(hits, count) == pytest.approx(tuple(map(float, expected)), abs=1e-12)


@pytest.mark.parametrize(
    ("hits", "count", "expected"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0000, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_a_share_has_the_score_interval(
    hits: int, count: int, expected: tuple[float, float]
) -> None:
    assert wilson(hits, count) == pytest.approx(expected, abs=6e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_lies_in_its_interval(share: tuple[int, int]) -> None:
    hits, count = share
    low, high = wilson(hits, count)
    assert 0.0 <= low <= hits / count <= high <= 1.0
    assert low < high


def test_a_share_that_is_a_mean_has_the_same_formula() -> None:
    low, high = wilson(2.5, 10)
    assert wilson(2, 10)[0] < low < 0.25 < high < wilson(3, 10)[1]


@pytest.mark.parametrize(("hits", "count"), [(0, 0), (-1, 5), (6, 5), (math.nan, 5)])
def test_what_is_no_share_is_refused(hits: float, count: int) -> None:
    with pytest.raises(ValueError, match="share"):
        wilson(hits, count)


class TestSignTest:
    @pytest.mark.parametrize(
        ("one", "other", "expected"),
        [
            (0, 0, 1.0),
            (1, 0, 1.0),
            (5, 5, 1.0),
            (5, 0, 2 / 32),
            (6, 0, 2 / 64),
            (7, 3, 2 * (1 + 10 + 45 + 120) / 1024),
            (9, 1, 2 * 11 / 1024),
            # R: binom.test(c(15, 5))$p.value and binom.test(c(60, 40))$p.value
            (15, 5, 0.04138947),
            (60, 40, 0.05688793),
        ],
    )
    def test_known_values(self, one: int, other: int, expected: float) -> None:
        assert sign_test(one, other) == pytest.approx(expected, rel=1e-6)

    @given(st.integers(0, 300), st.integers(0, 300))
    def test_it_is_a_probability_and_does_not_care_for_sides(self, one: int, other: int) -> None:
        value = sign_test(one, other)
        assert value == sign_test(other, one)
        assert 0.0 < value <= 1.0

    def test_thousands_of_votes_are_no_overflow(self) -> None:
        assert sign_test(2600, 2400) == pytest.approx(
            math.erfc((200 - 1) / math.sqrt(2 * 5000)), rel=0.02
        )

    def test_there_are_no_negative_votes(self) -> None:
        with pytest.raises(ValueError, match="negative"):
            sign_test(3, -1)

    @pytest.mark.parametrize(("one", "other"), [(3, 4), (12, 30), (100, 60), (0, 9)])
    def test_it_is_the_binomial_test_of_scipy(self, one: int, other: int) -> None:
        from scipy.stats import binomtest

        expected = float(binomtest(one, one + other).pvalue)
        assert sign_test(one, other) == pytest.approx(expected, abs=1e-12)
