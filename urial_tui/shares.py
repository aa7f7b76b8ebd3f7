"""What counts say of a share: how far it may be off, and whether two are split by chance alone.

Both hold for small counts and for shares of 0 and 1, where the normal distribution does not.
"""

from __future__ import annotations

import math
from typing import Final

Z95: Final = 1.959963984540054
"""The quantile 0.975 of the normal distribution: intervals are 95 %."""

Interval = tuple[float, float]
"""From the lowest to the highest value, both included."""


def wilson(hits: float, count: int) -> Interval:
    """The 95 % score interval of a share of `hits` in `count`.

    Wilson's (Journal of the American Statistical Association 22, 1927). `hits` need not be whole:
    of values in [0, 1] with a given mean none vary more than zeros and ones, so the interval of
    their mean is no wider than this one.

    Raises:
        ValueError: `count` is not positive, or `hits` lies outside it.
    """
    if not 0 <= hits <= count or not count:
        raise ValueError("a share has at least one count, and no more hits than counts")
    share = hits / count
    weight = Z95 * Z95 / count
    middle = (share + weight / 2) / (1 + weight)
    half = Z95 * math.sqrt(share * (1 - share) / count + weight / count / 4) / (1 + weight)
    # Rounding must not put the share outside.
    return (max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))


def sign_test(one: int, other: int) -> float:
    """How likely a split at least as uneven is if both were equally good: two-sided p-value.

    The exact sign test (Dixon and Mood, "The statistical sign test", JASA 41, 1946): ties are
    left out, and of n = one + other votes the smaller count k gives
    min(1, 2 · Σ_{i ≤ k} C(n, i) / 2ⁿ).

    Raises:
        ValueError: A count is negative.
    """
    if min(one, other) < 0:
        raise ValueError("counts of votes are not negative")
    n, k = one + other, min(one, other)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / (1 << n))
