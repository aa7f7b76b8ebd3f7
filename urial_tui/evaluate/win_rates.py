"""Who wins item by item, and who would if both answers were of one length.

A preference is of the first answer: 1 where it is the better one, 0 where the second is, 1/2 for a
tie, and what lies between where a judge says how sure it is. The win rate is their mean, so a tie
is half a win.

Judges like long answers. The length-controlled win rate (Dubois et al., "Length-controlled
AlpacaEval", arXiv 2404.04475) fits a logistic model of the preference y of an item,

    p(y = 1) = σ(θ + φ · tanh(Δ / s)),

with Δ the first answer's length minus the second's, and s the standard deviation of Δ over the
items. It is then σ(θ): what is left where lengths are equal. That paper's third term, the item's
difficulty, is learned from many models' preferences, and one pair has no such thing: it is left
out. θ and φ minimise

    -Σ (y log p + (1 - y) log(1 - p)) + (λ / 2) φ²,        λ = 1,

which is finite as soon as both sides have a part of a preference, even where the lengths tell all
winners. Swapping the sides gives one minus the rate. The interval is σ of θ ± 1.96 standard errors
by the sandwich estimator, which holds for ties and for a model that is not quite true.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from urial_tui.evaluate.means import FEWEST, RESAMPLES, mean_interval
from urial_tui.shares import Z95, Interval, sign_test, wilson

RIDGE: Final = 1.0
"""λ above: the length's weight is held as by a standard normal prior."""

_STEPS = 100
_ENOUGH = 1e-12
_Values = NDArray[np.float64]


class LengthControlled(msgspec.Struct, frozen=True, kw_only=True):
    """A length-controlled win rate; None where it can't be told, and `note` says why.

    `theta`, `phi`: the model's, above. `spread`: s above. `note`: what to bear in mind, "" for
    nothing.
    """

    rate: float | None
    interval: Interval | None
    theta: float | None
    phi: float | None
    spread: float | None
    note: str


class WinRate(msgspec.Struct, frozen=True, kw_only=True):
    """How often the first of two wins.

    `win`, `tie`, `lose`: shares, with Wilson's intervals. `rate`: with ties as halves; its
    interval is the bootstrap's over items. `p_value`: the sign test of wins against losses.
    """

    count: int
    missing: int
    wins: int
    ties: int
    losses: int
    win: float | None
    tie: float | None
    lose: float | None
    win_interval: Interval | None
    tie_interval: Interval | None
    lose_interval: Interval | None
    rate: float | None
    rate_interval: Interval | None
    p_value: float | None


def win_rate(
    preferences: Sequence[float | None], *, resamples: int = RESAMPLES, seed: int = 0
) -> WinRate:
    """Count preferences of the first answer; None is an item without a judgement.

    Raises:
        ValueError: A preference is not in [0, 1].
    """
    values = _preferences([value for value in preferences if value is not None])
    count = len(values)
    wins, losses = int((values > 0.5).sum()), int((values < 0.5).sum())
    ties = count - wins - losses
    shares = [hits / count if count else None for hits in (wins, ties, losses)]
    intervals = [wilson(hits, count) if count else None for hits in (wins, ties, losses)]
    return WinRate(
        count=count,
        missing=len(preferences) - count,
        wins=wins,
        ties=ties,
        losses=losses,
        win=shares[0],
        tie=shares[1],
        lose=shares[2],
        win_interval=intervals[0],
        tie_interval=intervals[1],
        lose_interval=intervals[2],
        rate=float(values.mean()) if count else None,
        rate_interval=mean_interval(values, bounds=(0, 1), resamples=resamples, seed=seed),
        p_value=sign_test(wins, losses) if count else None,
    )


def length_controlled(
    preferences: Sequence[float | None],
    first_lengths: Sequence[int],
    second_lengths: Sequence[int],
    *,
    ridge: float = RIDGE,
) -> LengthControlled:
    """The win rate of the first if lengths were equal.

    Args:
        preferences: One an item; None without a judgement.
        first_lengths: Of the first answers, in any unit.
        second_lengths: Of the second answers, in the same.
        ridge: λ; 0 for none, which may then have no finite fit.

    Raises:
        ValueError: The lists differ in length, or a preference is not in [0, 1].
    """
    table = [
        (value, one - other)
        for value, one, other in zip(preferences, first_lengths, second_lengths, strict=True)
        if value is not None
    ]
    values = _preferences([value for value, _ in table])
    longer = np.array([difference for _, difference in table], np.float64)
    if len(values) < FEWEST:
        return _untold(f"fewer than {FEWEST} items were judged")
    spread = float(longer.std(ddof=1))
    if not longer.any():
        rate = float(values.mean())
        return LengthControlled(
            rate=rate,
            interval=mean_interval(values, bounds=(0, 1)),
            theta=math.log(rate / (1 - rate)) if 0 < rate < 1 else None,
            phi=None,
            spread=0.0,
            note="all answers are as long as their opponents, so this is the win rate itself",
        )
    if spread == 0.0:
        return _untold("the lengths differ by the same number on every item", spread)
    if values.min() == values.max() and values[0] in (0.0, 1.0):
        return LengthControlled(
            rate=float(values[0]),
            interval=wilson(float(values.sum()), len(values)),
            theta=None,
            phi=None,
            spread=spread,
            note="one side wins every item, so its win rate does not depend on lengths",
        )
    lengths = np.tanh(longer / spread)
    fit = _fit(values, lengths, ridge)
    if fit is None:
        return _untold("the model has no finite fit to these preferences", spread)
    theta, phi, error = fit
    one_sided = longer.min() > 0 or longer.max() < 0
    return LengthControlled(
        rate=_logistic(theta),
        interval=(_logistic(theta - Z95 * error), _logistic(theta + Z95 * error)),
        theta=theta,
        phi=phi,
        spread=spread,
        note="one side's answers are the longer ones on every item, so equal lengths lie outside "
        "of what was seen"
        if one_sided
        else "",
    )


def _fit(values: _Values, lengths: _Values, ridge: float) -> tuple[float, float, float] | None:
    """(θ, φ, the standard error of θ) by Newton's method, with halved steps; None without a fit."""
    design = np.column_stack((np.ones_like(lengths), lengths))
    penalty = np.array([0.0, ridge])
    at = np.zeros(2)
    loss = _loss(design @ at, values, penalty, at)
    for _ in range(_STEPS):
        chance = _chances(design @ at)
        slope = design.T @ (chance - values) + penalty * at
        curve = (design.T * (chance * (1 - chance))) @ design + np.diag(penalty)
        # Away from the data all chances are 0 or 1: nothing bends the loss any more.
        if not np.linalg.cond(curve) < 1 / _ENOUGH:
            return None
        step = np.linalg.solve(curve, slope)
        while (lower := _loss(design @ (at - step), values, penalty, at - step)) > loss + _ENOUGH:
            step = step / 2
        at, loss = at - step, lower
        if np.abs(step).max() < _ENOUGH:
            break
    else:
        return None
    chance = _chances(design @ at)
    curve = (design.T * (chance * (1 - chance))) @ design + np.diag(penalty)
    inverse = np.linalg.inv(curve)
    scatter = (design.T * (values - chance) ** 2) @ design
    error = math.sqrt(float((inverse @ scatter @ inverse)[0, 0]))
    return float(at[0]), float(at[1]), error


def _loss(logits: _Values, values: _Values, penalty: _Values, at: _Values) -> float:
    likely = np.logaddexp(0.0, logits) - values * logits
    return float(likely.sum() + (penalty * at * at).sum() / 2)


def _chances(logits: _Values) -> _Values:
    return np.asarray((1 + np.tanh(logits / 2)) / 2)


def _logistic(logit: float) -> float:
    return (1 + math.tanh(logit / 2)) / 2


def _preferences(values: Sequence[float]) -> _Values:
    array = np.array(values, np.float64)
    if not ((array >= 0) & (array <= 1)).all():
        raise ValueError("a preference lies between 0 and 1")
    return array


def _untold(note: str, spread: float | None = None) -> LengthControlled:
    return LengthControlled(
        rate=None, interval=None, theta=None, phi=None, spread=spread, note=note
    )
