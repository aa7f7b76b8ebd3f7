"""Statistics over items: means with bootstrap intervals, paired differences, permutation tests.

Items are the unit: they are drawn with replacement, whole, and stand for the items that might have
been asked instead. Everything is reproducible: equal values in any order, with an equal seed, have
equal intervals. Where values say nothing about other items (fewer than two of them), there is no
interval, and where all are equal, no draw differs: then the score interval of their bounds is
given, which holds for any values within them, or none where no bounds are known.

The intervals are 95 %, by the bootstrap: `percentile`, or `bca`, corrected for bias and
acceleration (Efron, "Better bootstrap confidence intervals", JASA 82, 1987), which is the better
one for the skewed scores near an end of their scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from urial_tui.shares import Interval, sign_test, wilson

RESAMPLES: Final = 5000
FEWEST: Final = 5
"""So many values have an interval."""
EXACT_FLIPS: Final = 14
"""Up to so many differences that are not zero, all of their signs are tried."""

IntervalMethod = Literal["bca", "percentile"]
Values = NDArray[np.float64]

_NORMAL = NormalDist()
_TAILS = (0.025, 0.975)
_DRAWS_AT_ONCE = 1_000_000


class Mean(msgspec.Struct, frozen=True, kw_only=True):
    """A mean of `count` values; None of none. `missing`: items without a value, not in it."""

    mean: float | None
    count: int
    missing: int
    interval: Interval | None


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A share of `hits` in `count`, with Wilson's interval; None of none.

    `missing`: items of which it is not known, not in it.
    """

    share: float | None
    hits: int
    count: int
    missing: int
    interval: Interval | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """First minus second, over the `count` items that both have a value of.

    `missing`: the other items. `higher`, `lower`, `equal`: on how many items the first is so.
    `p_value`: of the mean, if the sign of each difference were chance (two-sided, by flipping
    signs). `sign_p_value`: of `higher` against `lower`. None of no items.
    """

    first: float | None
    second: float | None
    difference: float | None
    count: int
    missing: int
    interval: Interval | None
    higher: int
    lower: int
    equal: int
    p_value: float | None
    sign_p_value: float | None


def mean_of(
    values: Sequence[float | None],
    *,
    bounds: Interval | None = None,
    method: IntervalMethod = "bca",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Mean:
    """The mean of the values that there are.

    Args:
        values: One an item; None where it has none.
        bounds: The lowest and the highest value that there can be.
        method: Of the bootstrap.
        resamples: Draws, at least 1.
        seed: Of the draws.

    Raises:
        ValueError: A value is not finite or out of bounds.
    """
    known = _finite([value for value in values if value is not None])
    interval = mean_interval(known, bounds=bounds, method=method, resamples=resamples, seed=seed)
    return Mean(
        mean=_mean(known), count=len(known), missing=len(values) - len(known), interval=interval
    )


def share_of(values: Sequence[bool | None]) -> Share:
    """The share of True among the values that there are."""
    known = [value for value in values if value is not None]
    hits, count = sum(known), len(known)
    return Share(
        share=hits / count if count else None,
        hits=hits,
        count=count,
        missing=len(values) - count,
        interval=wilson(hits, count) if count else None,
    )


def paired_difference(
    first: Sequence[float | None],
    second: Sequence[float | None],
    *,
    bounds: Interval | None = None,
    method: IntervalMethod = "bca",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """How two runs differ on the same items.

    Args:
        first: One value an item; None where it has none.
        second: The values of the same items, in the same order.
        bounds: The lowest and the highest value of either; the difference has twice the width.
        method: Of the bootstrap.
        resamples: Draws, and flips where there are too many to try all.
        seed: Of both.

    Raises:
        ValueError: The lengths differ, or a value is not finite or out of bounds.
    """
    pairs = [
        (one, other)
        for one, other in zip(first, second, strict=True)
        if one is not None and other is not None
    ]
    table = _finite([value for pair in pairs for value in pair]).reshape(-1, 2)
    _check_bounds(table, bounds)
    differences = table[:, 0] - table[:, 1]
    width = None if bounds is None else bounds[1] - bounds[0]
    higher, lower = int((differences > 0).sum()), int((differences < 0).sum())
    return Difference(
        first=_mean(table[:, 0]),
        second=_mean(table[:, 1]),
        difference=_mean(differences),
        count=len(pairs),
        missing=len(first) - len(pairs),
        interval=mean_interval(
            differences,
            bounds=None if width is None else (-width, width),
            method=method,
            resamples=resamples,
            seed=seed,
        ),
        higher=higher,
        lower=lower,
        equal=len(pairs) - higher - lower,
        p_value=flip_test(differences, resamples=resamples, seed=seed) if pairs else None,
        sign_p_value=sign_test(higher, lower) if pairs else None,
    )


def mean_interval(
    values: Values,
    *,
    bounds: Interval | None = None,
    method: IntervalMethod = "bca",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """The interval of a mean, as `mean_of` gives it.

    Raises:
        ValueError: A value is out of bounds.
    """
    _check_bounds(values, bounds)
    if len(values) < FEWEST:
        return None
    if values.min() == values.max():
        if bounds is None:
            return None
        low, width = bounds[0], bounds[1] - bounds[0]
        lowest, highest = wilson((float(values[0]) - low) / width * len(values), len(values))
        return (low + width * lowest, low + width * highest)
    means = resampled_means(values, resamples=resamples, seed=seed)
    tails = _TAILS if method == "percentile" else _corrected_tails(values, means)
    lowest, highest = np.percentile(means, [100 * tail for tail in tails]).tolist()
    return (lowest, highest)


def resampled_means(values: Values, *, resamples: int = RESAMPLES, seed: int = 0) -> Values:
    """The bootstrap: means of `resamples` samples, as large as `values` and drawn from it with
    replacement.

    Which items are drawn does not depend on the order of the values. Of few different values
    (scores are), only their counts are drawn: the same distribution, at a part of the time.
    """
    random = np.random.default_rng(seed)
    n = len(values)
    distinct, counts = np.unique(values, return_counts=True)
    if 16 * len(distinct) <= n:
        return np.asarray(random.multinomial(n, counts / n, size=resamples) @ distinct / n)
    ordered = np.sort(values)
    means = []
    for start in range(0, resamples, step := max(1, _DRAWS_AT_ONCE // n)):
        drawn = random.integers(n, size=(min(step, resamples - start), n))
        means.append(ordered[drawn].mean(axis=1))
    return np.concatenate(means)


def flip_test(differences: Values, *, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """The sign-flip permutation test of a mean: the two-sided p-value if each sign were chance.

    Of up to `EXACT_FLIPS` differences that are not 0 all signs are tried. Of more, `resamples`
    random ones are, and the observed signs count as one further try (Phipson and Smyth,
    "Permutation p-values should never be zero", Statistical Applications in Genetics and Molecular
    Biology 9, 2010).
    """
    # Which signs are flipped must not depend on the order of the items.
    sizes = np.sort(np.abs(differences[differences != 0]))
    n = len(sizes)
    total = float(sizes.sum())
    # Sums that are equal on paper may differ in their last bits.
    least = abs(float(differences.sum())) - 1e-12 * total
    if n <= EXACT_FLIPS:
        codes = np.arange(1 << n)
        sums = ((codes[:, None] >> np.arange(n) & 1) * 2.0 - 1.0) @ sizes
        return float((np.abs(sums) >= least).mean())
    distinct, counts = np.unique(sizes, return_counts=True)
    random = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, resamples, step := max(1, _DRAWS_AT_ONCE // len(distinct))):
        positive = random.binomial(counts, 0.5, (min(step, resamples - start), len(distinct)))
        extreme += int((np.abs((2.0 * positive - counts) @ distinct) >= least).sum())
    return (1 + extreme) / (1 + resamples)


def _corrected_tails(values: Values, means: Values) -> tuple[float, float]:
    """Where in the ordered `means` the interval of 95 % ends, by bias and acceleration."""
    mean = values.mean()
    below = (int((means < mean).sum()) + int((means <= mean).sum())) / 2 / len(means)
    # With few draws all may fall on one side; half a draw is the most that can then be said.
    edge = 0.5 / len(means)
    bias = _NORMAL.inv_cdf(min(max(below, edge), 1.0 - edge))
    off = values - mean
    acceleration = float((off**3).sum()) / (6.0 * float((off**2).sum()) ** 1.5)
    tails = []
    for tail in _TAILS:
        place = bias + _NORMAL.inv_cdf(tail)
        tails.append(_NORMAL.cdf(bias + place / (1.0 - acceleration * place)))
    return (tails[0], tails[1])


def _finite(values: Sequence[float]) -> Values:
    array = np.array(values, np.float64)
    if not np.isfinite(array).all():
        raise ValueError("a mean is taken of finite values only")
    return array


def _check_bounds(values: Values, bounds: Interval | None) -> None:
    if bounds is None:
        return
    if not (math.isfinite(bounds[1] - bounds[0]) and bounds[0] < bounds[1]):
        raise ValueError("bounds are finite and rise")
    if len(values) and (values.min() < bounds[0] or values.max() > bounds[1]):
        raise ValueError("a value is out of its bounds")


def _mean(values: Values) -> float | None:
    return float(values.mean()) if len(values) else None
