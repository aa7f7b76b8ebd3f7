"""Means over many answers at each index of an answer.

At one index every answer has one position at most, so the values of a mean are independent.
Its interval is 95 %: of a mean by the normal distribution (1.96 standard errors), of a share by
Wilson's score (Journal of the American Statistical Association 22, 1927), which says something
about a share of 0 and 1 as well. Fewer than `FEWEST` answers give no interval.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from urial_tui.compare.positions import Positions
from urial_tui.shares import Z95, Interval, wilson

FEWEST: Final = 5
_Curve = list[tuple[float | None, Interval | None]]


class AtPosition(msgspec.Struct, frozen=True, kw_only=True):
    """Means over the `count` content positions that stand at index `t` (from 0) of an answer.

    `base_rank` and `unshifted` leave out absent tokens. None: infinite, or nothing to take a mean
    of; an interval (low, high) is None for too few answers, too.
    """

    t: int
    count: int
    kl_aligned_base: float | None
    kl_base_aligned: float | None
    js: float | None
    base_rank: float | None
    p_base: float | None
    unshifted: float | None
    kl_aligned_base_interval: Interval | None
    kl_base_aligned_interval: Interval | None
    js_interval: Interval | None
    base_rank_interval: Interval | None
    p_base_interval: Interval | None
    unshifted_interval: Interval | None


def by_position(positions: Positions) -> tuple[AtPosition, ...]:
    """The means at every index of an answer that any item has content at."""
    content = ~positions.special
    scores, t = positions.scores, positions.t[content]
    rank = scores.rank[content]
    ranked = rank > 0
    size = int(t.max(initial=-1)) + 1
    count = np.bincount(t, minlength=size)
    curves = {
        name: _means(t, getattr(scores, name)[content], size, low=0.0, high=high)
        for name, high in (
            ("kl_aligned_base", math.inf),
            ("kl_base_aligned", math.inf),
            ("js", math.inf),
            ("p_base", 1.0),
        )
    }
    curves["base_rank"] = _means(t[ranked], rank[ranked], size, low=1.0, high=math.inf)
    curves["unshifted"] = _shares(t[ranked], rank[ranked] == 1, size)
    rows: list[AtPosition] = []
    for at in np.flatnonzero(count).tolist():
        values: dict[str, Any] = {name: curve[at][0] for name, curve in curves.items()}
        values |= {f"{name}_interval": curve[at][1] for name, curve in curves.items()}
        rows.append(AtPosition(t=at, count=int(count[at]), **values))
    return tuple(rows)


def _means(
    t: NDArray[np.int32], values: NDArray[Any], size: int, *, low: float, high: float
) -> _Curve:
    """The mean at each of `size` indices, with an interval within (low, high)."""
    count = np.bincount(t, minlength=size)
    values = values.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(t, values, minlength=size) / count
        squares = np.bincount(t, (values - mean[t]) ** 2, minlength=size)
        error = Z95 * np.sqrt(squares / (count - 1) / count)
    return [
        (
            value if math.isfinite(value) else None,
            (max(low, value - half), min(high, value + half))
            if n >= FEWEST and math.isfinite(half)
            else None,
        )
        for n, value, half in zip(count.tolist(), mean.tolist(), error.tolist(), strict=True)
    ]


def _shares(t: NDArray[np.int32], hits: NDArray[np.bool_], size: int) -> _Curve:
    """The share of hits at each of `size` indices."""
    count = np.bincount(t, minlength=size).tolist()
    counted = np.bincount(t[hits], minlength=size).tolist()
    return [
        (hit / n if n else None, wilson(hit, n) if n >= FEWEST else None)
        for hit, n in zip(counted, count, strict=True)
    ]
