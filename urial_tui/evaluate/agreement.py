"""Agreement (correlation, error) of a judge's scores with reference scores of the same answers.

Reference scores are a better judge's or people's. Scores may be fractions: a local judge's is an
expectation. What is said here is about one aspect; aspects are told apart by whoever asks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from urial_tui.evaluate.means import RESAMPLES, Mean, Share, mean_of, share_of
from urial_tui.shares import Z95, Interval

NEAR: Final = 1.0
"""Scores that are no further apart agree nearly."""

_ROUNDING = 1e-9
_FEWEST = 4


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """A judge beside the reference.

    spearman     the rank correlation; None where one side gives all answers the same score
    same         share of answers with the same score, both rounded to whole ones
    near         share of answers whose scores are at most 1 apart
    bias         mean of the judge's score minus the reference
    """

    count: int
    missing: int
    spearman: float | None
    spearman_interval: Interval | None
    same: Share
    near: Share
    bias: Mean


def agreement(
    judge: Sequence[float | None],
    reference: Sequence[float | None],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Agreement:
    """How far two lists of scores of the same answers agree; those without both are missing.

    Raises:
        ValueError: The lists differ in length, or a score is not finite.
    """
    pairs = [
        (one, other)
        for one, other in zip(judge, reference, strict=True)
        if one is not None and other is not None
    ]
    errors = [one - other for one, other in pairs]
    bias = mean_of(errors, resamples=resamples, seed=seed)
    rho = spearman([one for one, _ in pairs], [other for _, other in pairs])
    return Agreement(
        count=len(pairs),
        missing=len(judge) - len(pairs),
        spearman=rho,
        spearman_interval=spearman_interval(rho, len(pairs)),
        same=share_of([_whole(one) == _whole(other) for one, other in pairs]),
        near=share_of([abs(error) <= NEAR + _ROUNDING for error in errors]),
        bias=bias,
    )


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation: Pearson's of the ranks, where equal values share their mean.

    None for fewer than two values, or where all of one side are equal.
    """
    ranks = [average_ranks(values) for values in (first, second)]
    one, other = (rank - rank.mean() if len(rank) else rank for rank in ranks)
    size = math.sqrt(float(one @ one) * float(other @ other))
    return max(-1.0, min(1.0, float(one @ other) / size)) if size else None


def average_ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Ranks from 1, the smallest first; equal values have the mean of the ranks they take up."""
    _, inverse, counts = np.unique(
        np.asarray(values, np.float64), return_inverse=True, return_counts=True
    )
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], np.float64)


def spearman_interval(rho: float | None, count: int) -> Interval | None:
    """The 95 % interval of a rank correlation of `count` pairs.

    Fisher's transformation with the standard error √((1 + ρ²/2) / (n - 3)) of Bonett and Wright
    ("Sample size requirements for estimating Pearson, Kendall and Spearman correlations",
    Psychometrika 65, 2000). None for fewer than four pairs, and where the ranks are the same or
    opposite ones: there the formula would be certain.
    """
    if rho is None or count < _FEWEST or abs(rho) >= 1 - _ROUNDING:
        return None
    middle = math.atanh(rho)
    half = Z95 * math.sqrt((1 + rho * rho / 2) / (count - 3))
    return (math.tanh(middle - half), math.tanh(middle + half))


def _whole(score: float) -> int:
    """The nearest whole score, halves upwards: 3.5 is 4, and so is 4.4."""
    return math.floor(score + 0.5)
