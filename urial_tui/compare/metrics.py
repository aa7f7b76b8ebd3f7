"""What the scored positions of many answers say together.

Special tokens (end of turn, end of text) dominate what alignment changes and are counted
apart; everything but `special` is about the other, *content* positions. Items may come one
after another and in any order: the result is the same but for the last bits of float64
sums. A position costs some 60 bytes here, its top lists are let go.

Percentiles interpolate linearly between order statistics (numpy's default, and that of
llama.cpp's perplexity tool): of n sorted values, q lies at index q (n - 1). Intervals are
95 % percentile bootstrap intervals: items are drawn with replacement, whole, because the
positions of an answer depend on each other; a share is the drawn items' positions of that
class over all their positions. A class that none or all of the positions have is the same in
every draw; its interval is Wilson's score with the items as the count (Journal of the American
Statistical Association 22, 1927). One item says nothing about other items: no interval.

A divergence is infinite where one side excludes a token that the other may emit. JSON has
no infinity: such a number is null, and `infinite` beside it counts the positions; a null
beside `infinite` 0 means that there were no positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from urial_tui.compare.curves import AtPosition, by_position
from urial_tui.compare.positions import Positions
from urial_tui.engine.wire.scores import ABSENT, CLASS_NAMES, SHIFTED
from urial_tui.shares import Interval, wilson

RESAMPLES: Final = 2000
FIRST_K: Final = (1, 2, 3, 4, 5, 10)
SHIFTED_TOKENS: Final = 50
"""How many of the most shifted tokens are listed."""

_DRAWS_AT_ONCE = 1_000_000
_Mask = NDArray[np.bool_]


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """A divergence over positions, in nats. None: no positions, or infinite."""

    mean: float | None
    median: float | None
    p90: float | None
    p99: float | None
    infinite: int


class SideNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """One number of each side; None where it has none or is infinite."""

    base: float | None
    aligned: float | None


class ClassShares(msgspec.Struct, frozen=True, kw_only=True):
    """How positions fall into the classes.

    `positions`: all of them. `absent`: those whose token the base side does not have; the
    three shares and their intervals (low, high) are over the others and add up to 1.
    """

    items: int
    positions: int
    absent: int
    unshifted: float | None
    marginal: float | None
    shifted: float | None
    unshifted_interval: Interval | None
    marginal_interval: Interval | None
    shifted_interval: Interval | None


class FirstTokens(msgspec.Struct, frozen=True, kw_only=True):
    """The mean divergence over the content positions with t < k, of all items together."""

    k: int
    positions: int
    kl_aligned_base: float | None


class Summary(ClassShares, frozen=True, kw_only=True):
    """The numbers of a set of content positions.

    top1_agreement     share of positions at which both sides' argmax is the same token
    mean_base_rank     of the forced tokens that the base side has
    bits_per_byte      -sum(log2 p) of the tokens over the bytes of their text
    entropy            mean, in nats
    branching_factor   exp(mean entropy): the geometric mean of exp(H)
    outside            mean probability of the ids that the other side lacks
    kl_share           by class: its part of the sum of KL(aligned || base); None if that
                       is zero or infinite
    """

    kl_aligned_base: Distribution
    kl_base_aligned: Distribution
    js: Distribution
    top1_agreement: float | None
    mean_base_rank: float | None
    bits_per_byte: SideNumbers
    entropy: SideNumbers
    branching_factor: SideNumbers
    outside: SideNumbers
    kl_share: dict[str, float] | None
    first_k_kl: tuple[FirstTokens, ...]


class ShiftedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token at `count` shifted of its `total` content positions; `share` = count / total."""

    token: str
    id: int
    count: int
    total: int
    share: float


class Group(Summary, frozen=True, kw_only=True):
    """The items that have one value of a field; None: those without the field."""

    value: str | None


class Aggregates(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about all items; keys as in the JSON contract, `by_group` by field."""

    summary: Summary
    special: ClassShares
    by_position: tuple[AtPosition, ...]
    shifted_tokens: tuple[ShiftedToken, ...]
    by_group: dict[str, tuple[Group, ...]]


def aggregate(
    positions: Positions,
    *,
    text_of: Callable[[int], str],
    group_by: Sequence[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Aggregates:
    """All aggregates.

    Args:
        positions: From `gather`.
        text_of: A token's text.
        group_by: Fields of the items.
        resamples: Bootstrap draws, at least 1.
        seed: Of the draws; equal seeds give equal intervals, in any order of the items.
    """
    bootstrap = _Bootstrap(resamples, seed)
    everything = np.ones(len(positions.fields), np.bool_)
    return Aggregates(
        summary=Summary(**_summary(positions, everything, bootstrap)),
        special=ClassShares(**_shares(positions, positions.special, bootstrap)),
        by_position=by_position(positions),
        shifted_tokens=shifted_tokens(positions, text_of),
        by_group={field: _groups(positions, field, bootstrap) for field in group_by},
    )


def shifted_tokens(
    positions: Positions, text_of: Callable[[int], str], limit: int = SHIFTED_TOKENS
) -> tuple[ShiftedToken, ...]:
    """The content tokens that are most often shifted: by count, then share, then id."""
    content = positions.scores.ids[~positions.special]
    shifted = content[positions.scores.classes[~positions.special] == SHIFTED]
    totals = np.bincount(content)
    counts = np.bincount(shifted, minlength=len(totals))
    ids = np.flatnonzero(counts)
    order = np.lexsort((ids, -counts[ids] / totals[ids], -counts[ids]))[:limit]
    return tuple(
        ShiftedToken(
            token=text_of(token),
            id=token,
            count=int(counts[token]),
            total=int(totals[token]),
            share=float(counts[token] / totals[token]),
        )
        for token in ids[order].tolist()
    )


def percentile(ordered: NDArray[np.float64], q: float) -> float:
    """The value at index q (n - 1) of n >= 1 sorted values, 0 <= q <= 1; may be +inf."""
    place = q * (len(ordered) - 1)
    low, high = float(ordered[math.floor(place)]), float(ordered[math.ceil(place)])
    # Between two infinities there is no slope.
    if low == high:
        return low
    return low + (high - low) * (place - math.floor(place))


def bootstrap_shares(
    counts: NDArray[np.int64], *, resamples: int = RESAMPLES, seed: int = 0
) -> list[Interval] | None:
    """95 % intervals of each column's share of the sum of all columns.

    Where a class has none or all of the positions, every draw agrees, and the bootstrap would be
    certain. There it is Wilson's score interval with the items as the count: the positions of one
    item may depend on each other wholly.

    Args:
        counts: (items, classes) positions; items without positions say nothing.
        resamples: Draws of as many items as there are, with replacement.
        seed: Of the draws.

    Returns:
        (low, high) a class; None for fewer than two items.
    """
    counts = counts[counts.sum(axis=1) > 0]
    n = len(counts)
    if n < 2:
        return None
    # Which item is drawn must not depend on the order in which the items came.
    counts = counts[np.lexsort(counts.T)]
    random = np.random.default_rng(seed)
    sums = []
    for start in range(0, resamples, step := max(1, _DRAWS_AT_ONCE // n)):
        drawn = random.integers(n, size=(min(step, resamples - start), n))
        sums.append(counts[drawn].sum(axis=1))
    total = np.concatenate(sums).astype(np.float64)
    shares = total / total.sum(axis=1, keepdims=True)
    low, high = np.percentile(shares, (2.5, 97.5), axis=0)
    totals = counts.sum(axis=0)
    sure = (totals == 0) | (totals == totals.sum())
    return [
        wilson(n if total else 0, n) if certain else (lowest, highest)
        for lowest, highest, total, certain in zip(
            low.tolist(), high.tolist(), totals.tolist(), sure.tolist(), strict=True
        )
    ]


# -- a set of positions --------------------------------------------------------------------


class _Bootstrap(msgspec.Struct, frozen=True):
    resamples: int
    seed: int


def _groups(positions: Positions, field: str, bootstrap: _Bootstrap) -> tuple[Group, ...]:
    values = [fields.get(field) for fields in positions.fields]
    return tuple(
        Group(
            value=value,
            **_summary(positions, np.array([have == value for have in values]), bootstrap),
        )
        for value in sorted(set(values), key=lambda value: (value is None, value or ""))
    )


def _shares(positions: Positions, chosen: _Mask, bootstrap: _Bootstrap) -> dict[str, Any]:
    classes = positions.scores.classes[chosen].astype(np.int64)
    items = positions.item[chosen]
    n_items, kinds = len(positions.fields), len(CLASS_NAMES)
    counts = np.bincount(items * kinds + classes, minlength=n_items * kinds)
    table = counts.reshape(n_items, kinds)[:, :ABSENT]
    totals = table.sum(axis=0)
    intervals = bootstrap_shares(table, resamples=bootstrap.resamples, seed=bootstrap.seed)
    known = int(totals.sum())
    result: dict[str, Any] = {
        "items": len(np.unique(items)),
        "positions": len(classes),
        "absent": len(classes) - known,
    }
    for code, name in enumerate(CLASS_NAMES[:ABSENT]):
        result[name] = int(totals[code]) / known if known else None
        result[f"{name}_interval"] = intervals[code] if intervals else None
    return result


def _summary(positions: Positions, items: _Mask, bootstrap: _Bootstrap) -> dict[str, Any]:
    """The content positions of the items that are chosen by `items` (by item)."""
    chosen = items[positions.item] & ~positions.special
    scores = positions.scores
    kl = scores.kl_aligned_base[chosen]
    t, rank = positions.t[chosen], scores.rank[chosen]
    n_bytes = int(positions.n_bytes[items].sum())
    entropy_base = _mean(scores.entropy_base[chosen])
    entropy_aligned = _mean(scores.entropy_aligned[chosen])
    return _shares(positions, chosen, bootstrap) | {
        "kl_aligned_base": _distribution(kl),
        "kl_base_aligned": _distribution(scores.kl_base_aligned[chosen]),
        "js": _distribution(scores.js[chosen]),
        "top1_agreement": _mean(scores.argmax_base[chosen] == scores.argmax_aligned[chosen]),
        "mean_base_rank": _mean(rank[rank > 0]),
        "bits_per_byte": SideNumbers(
            base=_bits(scores.logp_base[chosen], n_bytes),
            aligned=_bits(scores.logp_aligned[chosen], n_bytes),
        ),
        "entropy": SideNumbers(base=entropy_base, aligned=entropy_aligned),
        "branching_factor": SideNumbers(
            base=None if entropy_base is None else math.exp(entropy_base),
            aligned=None if entropy_aligned is None else math.exp(entropy_aligned),
        ),
        "outside": SideNumbers(
            base=_mean(scores.outside_base[chosen]),
            aligned=_mean(scores.outside_aligned[chosen]),
        ),
        "kl_share": _kl_share(kl, scores.classes[chosen]),
        "first_k_kl": tuple(
            FirstTokens(k=k, positions=int((t < k).sum()), kl_aligned_base=_mean(kl[t < k]))
            for k in FIRST_K
        ),
    }


def _distribution(values: NDArray[np.float32]) -> Distribution:
    ordered = np.sort(values.astype(np.float64))
    quantiles: list[float | None] = [
        _finite(percentile(ordered, q)) if len(ordered) else None for q in (0.5, 0.9, 0.99)
    ]
    return Distribution(
        mean=_mean(ordered),
        median=quantiles[0],
        p90=quantiles[1],
        p99=quantiles[2],
        infinite=int(np.isinf(ordered).sum()),
    )


def _kl_share(kl: NDArray[np.float32], classes: NDArray[np.uint8]) -> dict[str, float] | None:
    sums = np.bincount(classes, kl.astype(np.float64), minlength=len(CLASS_NAMES))
    total = float(sums.sum())
    if not 0.0 < total < math.inf:
        return None
    return {name: float(sums[code]) / total for code, name in enumerate(CLASS_NAMES)}


def _mean(values: NDArray[Any]) -> float | None:
    return _finite(float(values.mean(dtype=np.float64))) if len(values) else None


def _bits(logp: NDArray[np.float32], n_bytes: int) -> float | None:
    if not n_bytes or not len(logp):
        return None
    return _finite(max(-float(logp.sum(dtype=np.float64)), 0.0) / math.log(2.0) / n_bytes)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
