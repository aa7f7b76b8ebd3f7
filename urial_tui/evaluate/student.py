"""Student's t distribution: its quantiles and its cumulative function.

A labelled set is small, and the normal distribution's 1.96 is too little for it: 20 labels take
2.09, 6 take 2.57.
"""

from __future__ import annotations

import math

_STEPS = 500
_TINY = 1e-300
_ENOUGH = 1e-15


def quantile(chance: float, freedom: float) -> float:
    """The value that is not exceeded with that chance, to about 10 digits.

    Args:
        chance: Between 0 and 1, both excluded.
        freedom: Degrees of freedom, above 0; need not be whole.

    Raises:
        ValueError: An argument is out of its range.
    """
    if not (0 < chance < 1 and freedom > 0):
        raise ValueError("a quantile needs a chance between 0 and 1 and degrees of freedom")
    if chance < 0.5:
        return -quantile(1 - chance, freedom)
    # Above 0 the distribution function is concave: Newton's steps come from below and never pass
    # the value, so the first one that does not go up is rounding.
    value = 0.0
    for _ in range(_STEPS):
        step = (chance - cumulative(value, freedom)) / _density(value, freedom)
        if step <= _ENOUGH * value:
            break
        value += step
    return value


def cumulative(value: float, freedom: float) -> float:
    """The chance that a value is not exceeded."""
    square = value * value
    tail = 0.5 * _incomplete_beta(freedom / 2, 0.5, freedom, square)
    return 1 - tail if value > 0 else tail


def _density(value: float, freedom: float) -> float:
    front = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    power = -(freedom + 1) / 2 * math.log1p(value * value / freedom)
    return math.exp(front + power) / math.sqrt(freedom * math.pi)


def _incomplete_beta(a: float, b: float, one: float, other: float) -> float:
    """The regularised incomplete beta function at x = one / (one + other), 0 < x <= 1.

    By its continued fraction (Abramowitz and Stegun, 26.5.8), from the side where that converges.
    x is given by its parts, for 1 - x would lose what is left of a small one.
    """
    x, rest = one / (one + other), other / (one + other)
    if rest == 0.0:
        return 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest)
    )
    if x <= (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, rest) / b


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction, by Lentz's method."""
    c, d = 1.0, 1.0 / _no_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _no_zero(1 + term * d)
            c = _no_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _ENOUGH:
            break
    return value


def _no_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
