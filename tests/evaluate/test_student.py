"""Student's t distribution against scipy.

What is compared with is imported where it is used: it is slow to, and each worker collects all.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from urial_tui.evaluate.student import cumulative, quantile


@pytest.mark.parametrize("chance", [0.025, 0.5, 0.6, 0.975, 0.9999])
@pytest.mark.parametrize("freedom", [0.7, 1, 1.5, 2, 4.3, 19, 200.5, 5000, 1e6])
def test_quantiles(chance: float, freedom: float) -> None:
    from scipy import stats

    assert quantile(chance, freedom) == pytest.approx(
        float(stats.t.ppf(chance, freedom)), rel=1e-9, abs=1e-9
    )


@settings(max_examples=100, deadline=None)
@given(st.floats(-50, 50), st.floats(0.5, 1e5))
def test_chances(value: float, freedom: float) -> None:
    from scipy import stats

    expected = float(stats.t.cdf(value, freedom))
    assert cumulative(value, freedom) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("chance", "freedom"), [(0, 5), (1, 5), (0.5, 0), (0.5, -1)])
def test_arguments_out_of_range_are_refused(chance: float, freedom: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        quantile(chance, freedom)
