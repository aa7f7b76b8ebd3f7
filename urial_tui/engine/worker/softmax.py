"""A row's softmax, and the divergences of two, over a whole vocabulary.

A row is split in two: its peaks (the few dozen most probable tokens of either side, which
carry most of the mass) are computed in float64, all other tokens in float32, summed in runs
of 512 whose sums are added up in float64. So the error is that of many small, independent
roundings: 5e-8 nats in a divergence, 1e-7 in an entropy (root mean square over real rows of
262,144 logits). Rows with -inf logits (tokens that a model can't emit), or that overflow,
take a float64 path.

KL = E_p[a - b] - lse_a + lse_b. Rounding may leave a divergence or an entropy outside its
range by up to `NOISE`; that much is clamped, more is an error and raised. JS is also held
below a quarter of the sum of both KLs, which bounds it, so equal rows give exact zeros.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from urial_tui.engine.wire.scores import Floats, ScoringError

Ids = NDArray[np.int64]

NOISE: Final = 1e-5
"""Nats. What rounding may put a divergence or an entropy outside its range."""

_BLOCKS = 64
_RUN = 512
"""Products added up in float32: short for accuracy, and far below where BLAS takes threads."""
_RAW_LIMIT = 60.0
"""Below e^60 a row's exponentials and their sum fit float32 without subtracting the maximum."""
_CLOSE = 1.0
"""Nats between two rows that count as close."""
_LN2 = math.log(2.0)
_ONES = np.ones((_RUN, 1), np.float32)


class Peaks(NamedTuple):
    """`ids`: ascending, all tokens whose logit is at least that of the k-th best or lower."""

    maximum: float
    ids: Ids


class Softmax(NamedTuple):
    """A row's softmax: log p(i) = (row[i] - offset) - log_sum."""

    offset: float
    log_sum: float
    entropy: float

    def logp(self, logit: float) -> float:
        """The log-probability of a token of the row, by its logit."""
        return (logit - self.offset) - self.log_sum


class RowPair(NamedTuple):
    """Two rows' softmax and their divergences in nats; a KL may be +inf."""

    aligned: Softmax
    base: Softmax
    kl_aligned_base: float
    kl_base_aligned: float
    js: float


def find_peaks(row: Floats, k: int) -> Peaks:
    """The maximum and a small set of tokens that holds the k most probable ones.

    The row is cut into columns of 64 values; the k-th largest of their maxima has at least
    k values of the row at or above it, and few more unless values are equal.

    Raises:
        ScoringError: The row holds NaN or +inf, or nothing above -inf.
    """
    columns = len(row) // _BLOCKS
    if columns <= k:
        check_maximum(maximum := float(row.max()))
        return Peaks(maximum, np.arange(len(row)))
    grid = row[: columns * _BLOCKS].reshape(_BLOCKS, columns)
    rest = row[columns * _BLOCKS :]
    highest = grid.max(axis=0)
    # NaN is passed on by max(), so that one look at the maximum clears the whole row.
    maximum = float(np.concatenate((highest, rest)).max())
    check_maximum(maximum)
    threshold = np.partition(highest, columns - k)[columns - k]
    chosen = np.flatnonzero(highest >= threshold)
    block, column = np.nonzero(grid.take(chosen, axis=1) >= threshold)
    ids = np.concatenate(
        (block * columns + chosen[column], columns * _BLOCKS + np.flatnonzero(rest >= threshold))
    )
    ids.sort()
    return Peaks(maximum, ids)


def check_maximum(maximum: float) -> None:
    """Raise ScoringError unless this can be the largest logit of a row."""
    if math.isfinite(maximum):
        return
    what = "impossible for every token" if maximum < 0 else "not finite numbers"
    raise ScoringError(
        f"The model's predictions are {what}.",
        "The model file may be damaged: get it again, or try another quantisation.",
    )


class Lane:
    """The scratch memory of one thread, and the sums over a vocabulary that need it."""

    def __init__(self, width: int) -> None:
        self._x_a, self._x_b, self._e_a, self._e_b, self._gap = (
            np.empty(width, np.float32) for _ in range(5)
        )
        self.flags = np.empty(width, np.bool_)

    def side(self, row: Floats, peaks: Peaks) -> Softmax:
        """One row's softmax."""
        x, e, offset = _exponentials(row, peaks.maximum, self._x_a, self._e_a)
        head_x = row[peaks.ids].astype(np.float64) - offset
        head_e = np.exp(head_x)
        e[peaks.ids] = 0.0
        total = float(head_e.sum()) + _sum(e)
        log_sum = math.log(total)
        entropy = log_sum - (float((head_e * head_x).sum()) + _dot(e, x)) / total
        if not math.isfinite(entropy):
            return _careful_side(row)
        return Softmax(offset, log_sum, _at_least_zero(entropy))

    def mass_beside(self, row: Floats, maximum: float, ids: Ids) -> tuple[float, float]:
        """The mass of all tokens but `ids`, as the sum of exp(row - offset).

        Returns:
            The offset, and the sum.
        """
        _, e, offset = _exponentials(row, maximum, self._x_a, self._e_a)
        e[ids] = 0.0
        return offset, _sum(e)

    def pair(self, a: Floats, b: Floats, peaks_a: Peaks, peaks_b: Peaks) -> RowPair:
        """Both rows' softmax and their divergences; the rows have one length.

        Raises:
            ScoringError: A number came out that no rounding explains.
        """
        x_a, e_a, offset_a = _exponentials(a, peaks_a.maximum, self._x_a, self._e_a)
        x_b, e_b, offset_b = _exponentials(b, peaks_b.maximum, self._x_b, self._e_b)
        head = np.union1d(peaks_a.ids, peaks_b.ids)
        head_xa, head_xb = a[head].astype(np.float64) - offset_a, b[head].astype(np.float64)
        head_xb -= offset_b
        head_ea, head_eb = np.exp(head_xa), np.exp(head_xb)
        # The rest's sums must not be rounded to the size of the head's terms.
        e_a[head] = 0.0
        e_b[head] = 0.0

        sum_a = float(head_ea.sum()) + _sum(e_a)
        sum_b = float(head_eb.sum()) + _sum(e_b)
        log_a, log_b = math.log(sum_a), math.log(sum_b)
        mean_a = (float((head_ea * head_xa).sum()) + _dot(e_a, x_a)) / sum_a
        mean_b = (float((head_eb * head_xb).sum()) + _dot(e_b, x_b)) / sum_b
        # E[a] - E[b] would lose the digits in which close rows differ.
        gap, head_gap = np.subtract(x_a, x_b, out=self._gap[: len(a)]), head_xa - head_xb
        gap_a = (float((head_ea * head_gap).sum()) + _dot(e_a, gap)) / sum_a
        gap_b = (float((head_eb * head_gap).sum()) + _dot(e_b, gap)) / sum_b
        kl_ab, kl_ba = gap_a - log_a + log_b, log_a - log_b - gap_b
        # Any -inf is a NaN here, for its weight is 0.
        if not (math.isfinite(kl_ab) and math.isfinite(kl_ba)):
            return _careful_pair(a, b)

        # With the mixture m = p_a + p_b in units of 1 / sum_b:
        # JS = ln 2 + (E_a[log p_a] + E_b[log p_b] - sum m log m) / 2
        #    = ln 2 + (KL(a || b) - sum m (log m - log p_b)) / 2,
        # of which the second keeps the digits of close rows, and loses those of distant ones.
        origin = (x_b, head_xb) if kl_ab < _CLOSE else (None, None)
        ratio = sum_b / sum_a
        mixture, head_m = self._x_a[: len(a)], head_ea * ratio + head_eb
        np.multiply(e_a, np.float32(ratio), out=mixture)
        np.add(mixture, e_b, out=mixture)
        rest = _weighted_logs(mixture, origin[0], head, out=self._gap[: len(a)])
        crossed = (_head_weighted_logs(head_m, origin[1]) + rest) / sum_b
        own = kl_ab if origin[0] is not None else mean_a + mean_b + log_b - log_a
        js = _LN2 + 0.5 * (own - crossed)
        return _checked(
            Softmax(offset_a, log_a, _at_least_zero(log_a - mean_a)),
            Softmax(offset_b, log_b, _at_least_zero(log_b - mean_b)),
            kl_ab,
            kl_ba,
            js,
        )


def _exponentials(
    row: Floats, maximum: float, x: Floats, e: Floats
) -> tuple[Floats, Floats, float]:
    """(x, exp(x), offset) with x = row - offset, using the scratch rows given."""
    offset = 0.0 if 0.0 <= maximum <= _RAW_LIMIT else maximum
    shifted = row if offset == 0.0 else np.subtract(row, np.float32(offset), out=x[: len(row)])
    return shifted, np.exp(shifted, out=e[: len(row)]), offset


def _sum(x: Floats) -> float:
    runs = len(x) // _RUN * _RUN
    total = np.matmul(x[:runs].reshape(-1, 1, _RUN), _ONES).sum(dtype=np.float64)
    return float(total) + float(x[runs:].sum(dtype=np.float64))


def _dot(x: Floats, y: Floats) -> float:
    runs = len(x) // _RUN * _RUN
    products = np.matmul(x[:runs].reshape(-1, 1, _RUN), y[:runs].reshape(-1, _RUN, 1))
    return float(products.sum(dtype=np.float64)) + float(np.dot(x[runs:], y[runs:]))


def _weighted_logs(mixture: Floats, origin: Floats | None, head: Ids, *, out: Floats) -> float:
    """sum m (log m - origin) over all but the head, where `mixture` is 0."""

    def total(zeros: Ids) -> float:
        mixture[zeros] = 1.0
        np.log(mixture, out=out)
        mixture[zeros] = 0.0
        return _dot(mixture, out if origin is None else np.subtract(out, origin, out=out))

    found = total(head)
    # Elsewhere both sides' probabilities may be below float32's smallest, which is rare.
    return total(np.flatnonzero(mixture == 0.0)) if math.isnan(found) else found


def _head_weighted_logs(mixture: NDArray[np.float64], origin: NDArray[np.float64] | None) -> float:
    logs = np.log(np.where(mixture > 0.0, mixture, 1.0))
    return float((mixture * (logs if origin is None else logs - origin)).sum())


def _checked(aligned: Softmax, base: Softmax, kl_ab: float, kl_ba: float, js: float) -> RowPair:
    kl_ab, kl_ba = _at_least_zero(kl_ab), _at_least_zero(kl_ba)
    limit = min(_LN2, (kl_ab + kl_ba) / 4.0)
    if not js <= limit + NOISE:
        raise ScoringError(f"A JS divergence of {js} came out, above {limit}.", _BUG)
    return RowPair(aligned, base, kl_ab, kl_ba, min(_at_least_zero(js), limit))


def _at_least_zero(value: float) -> float:
    if not value >= -NOISE:
        raise ScoringError(f"A divergence or entropy of {value} came out.", _BUG)
    # max() would let -0.0 pass.
    return max(0.0, value)


_BUG = "This is a bug: please report it with the names of the two models."


# -- rows with -inf, or too wide for float32 -----------------------------------------------


def _careful(row: Floats) -> tuple[Softmax, Any, Any]:
    """(softmax, log-probabilities, probabilities), all in float64."""
    x = row.astype(np.float64)
    offset = float(x.max())
    x -= offset
    log_sum = math.log(float(np.exp(x).sum()))
    x -= log_sum
    p = np.exp(x)
    entropy = -float((p * np.where(p > 0.0, x, 0.0)).sum())
    return Softmax(offset, log_sum, _at_least_zero(entropy)), x, p


def _careful_side(row: Floats) -> Softmax:
    return _careful(row)[0]


def _careful_pair(a: Floats, b: Floats) -> RowPair:
    side_a, log_a, p_a = _careful(a)
    side_b, log_b, p_b = _careful(b)
    mixture = 0.5 * (p_a + p_b)
    log_m = np.log(np.where(mixture > 0.0, mixture, 1.0))
    js = 0.5 * (
        float((p_a * np.where(p_a > 0.0, log_a - log_m, 0.0)).sum())
        + float((p_b * np.where(p_b > 0.0, log_b - log_m, 0.0)).sum())
    )
    return _checked(
        side_a, side_b, _careful_kl(log_a, p_a, log_b), _careful_kl(log_b, p_b, log_a), js
    )


def _careful_kl(log_p: Any, p: Any, log_q: Any) -> float:
    """KL(p || q); +inf where q excludes a token that p allows, however improbable."""
    allowed = log_p > -np.inf
    if bool(np.any(allowed & (log_q == -np.inf))):
        return math.inf
    return float((p[allowed] * (log_p[allowed] - log_q[allowed])).sum())
