"""Reduces rows of logits to the numbers that a comparison shows, over the full vocabulary.

Nothing is truncated to a top list and nothing is renormalised over one (`softmax.py` says
how exact it is). The numbers of a position depend on its two rows alone: not on the chunk
that it comes in, its neighbours, or the number of threads.

Vocabularies of which one begins with the other (added special tokens) are compared over
the ids that both have, each side renormalised over these; see
docs/decisions/0008-comparing-vocabularies.md for why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from urial_tui.engine.wire.scores import Floats, PositionScores, ScoringError, SideScores
from urial_tui.engine.worker.softmax import Ids, Lane, Softmax, check_maximum, find_peaks

_HEAD_TOKENS = 32
"""The peaks of a row that are computed in float64, if no longer top list is asked for."""

Tokens = NDArray[np.integer[Any]]
L_ = TypeVar("L_")
"""The scratch memory of one thread."""


class PairScorer:
    """Scores positions of two sides.

    Holds five rows of scratch memory a thread (5 MiB at 262,144 tokens) whatever the number
    of positions. Not to be used by two threads at once.

    Args:
        n_aligned: Size of the aligned side's vocabulary, at least 1.
        n_base: Size of the base side's. Where they differ, the smaller one's tokens are the
            larger one's first.
        top_k: Length of the top lists, 0 or more; a smaller vocabulary is listed whole.
        threads: Positions scored at the same time.
    """

    def __init__(self, *, n_aligned: int, n_base: int, top_k: int = 10, threads: int = 1) -> None:
        self.n_aligned = n_aligned
        self.n_base = n_base
        self.top_k = top_k
        self._lanes = [Lane(max(n_aligned, n_base)) for _ in range(max(threads, 1))]

    def score(self, aligned: Floats, base: Floats, ids: Tokens) -> PositionScores:
        """Score a chunk of positions. The rows are not changed.

        Args:
            aligned: float32 (n, n_aligned), the logits before each forced token.
            base: float32 (n, n_base).
            ids: (n) the forced tokens; each in at least one of the vocabularies.

        Raises:
            ScoringError: A row holds NaN or +inf or only -inf, or an id is out of range.
        """
        n = len(ids)
        _check_rows(aligned, n, self.n_aligned)
        _check_rows(base, n, self.n_base)
        _check_ids(ids, max(self.n_aligned, self.n_base))
        k_base, k_aligned = min(self.top_k, self.n_base), min(self.top_k, self.n_aligned)
        out = PositionScores.empty(n, k_base, k_aligned)
        _on_lanes(
            self._lanes,
            n,
            lambda lane, at: _score_pair(lane, aligned[at], base[at], int(ids[at]), at, out),
        )
        return out


class SideScorer:
    """Scores positions of one side: scratch and arguments as for `PairScorer`."""

    def __init__(self, *, n_vocab: int, top_k: int = 0, threads: int = 1) -> None:
        self.n_vocab = n_vocab
        self.top_k = top_k
        self._lanes = [Lane(n_vocab) for _ in range(max(threads, 1))]

    def score(self, rows: Floats, ids: Tokens) -> SideScores:
        """Score a chunk of positions: float32 (n, n_vocab) logits, (n) forced tokens.

        Raises:
            ScoringError: A row holds NaN or +inf or only -inf, or an id is out of range.
        """
        _check_rows(rows, len(ids), self.n_vocab)
        _check_ids(ids, self.n_vocab)
        out = SideScores.empty(len(ids), min(self.top_k, self.n_vocab))
        _on_lanes(
            self._lanes,
            len(ids),
            lambda lane, at: _score_side(lane, rows[at], int(ids[at]), at, out),
        )
        return out


class RankScorer:
    """Ranks and probabilities of forced tokens, and nothing else: 0.3 ms at 262,144 tokens.

    Args:
        n_vocab: Size of the vocabulary.
        threads: Positions scored at the same time.
    """

    def __init__(self, n_vocab: int, threads: int = 1) -> None:
        self._lanes = [
            (np.empty(n_vocab, np.float32), np.empty(n_vocab, np.bool_))
            for _ in range(max(threads, 1))
        ]

    def score(self, rows: Floats, ids: Sequence[int]) -> tuple[list[int], list[float]]:
        """Score positions: float32 (n, n_vocab) logits, n forced tokens of the vocabulary.

        Returns:
            1 + the number of strictly larger logits, as `PositionScores.rank`; probabilities
            over the full vocabulary, to about six digits.

        Raises:
            ScoringError: A row holds NaN or +inf or only -inf.
        """
        ranks, probabilities = [0] * len(ids), [0.0] * len(ids)

        def score(lane: tuple[Floats, NDArray[np.bool_]], at: int) -> None:
            room, larger = lane
            row, token = rows[at], ids[at]
            maximum = float(row.max())
            check_maximum(maximum)
            np.greater(row, row[token], out=larger)
            ranks[at] = 1 + int(np.count_nonzero(larger))
            np.subtract(row, np.float32(maximum), out=room)
            np.exp(room, out=room)
            probabilities[at] = float(room[token]) / float(room.sum())

        _on_lanes(self._lanes, len(ids), score)
        return ranks, probabilities


def _on_lanes(lanes: list[L_], n: int, score: Callable[[L_, int], None]) -> None:
    """Spread positions 0 … n-1 over the lanes, in contiguous stretches."""

    def run(number: int) -> None:
        # The states of floating-point errors belong to a thread.
        with np.errstate(all="ignore"):
            for at in range(n * number // len(lanes), n * (number + 1) // len(lanes)):
                score(lanes[number], at)

    if len(lanes) == 1:
        run(0)
        return
    with ThreadPoolExecutor(len(lanes)) as pool:
        for done in [pool.submit(run, number) for number in range(len(lanes))]:
            done.result()


def _check_rows(rows: Floats, n: int, n_vocab: int) -> None:
    if rows.dtype != np.float32 or rows.shape != (n, n_vocab):
        raise ValueError(f"rows of {rows.dtype} {rows.shape}, not float32 {(n, n_vocab)}")


def _check_ids(ids: Tokens, n_vocab: int) -> None:
    if len(ids) and (ids.min() < 0 or ids.max() >= n_vocab):
        raise ScoringError(
            f"The text has token ids outside of the vocabulary's {n_vocab} tokens.",
            "Tokenise it with one of the two models that are compared.",
        )


# -- one position --------------------------------------------------------------------------


def _score_pair(
    lane: Lane, aligned: Floats, base: Floats, token: int, at: int, out: PositionScores
) -> None:
    shared = min(len(aligned), len(base))
    head = max(_HEAD_TOKENS, out.top_base_ids.shape[1], out.top_aligned_ids.shape[1])
    peaks_a, peaks_b = find_peaks(aligned, head), find_peaks(base, head)
    # A side that has tokens of its own is first reduced whole, then over the shared ones.
    longer_a = lane.side(aligned, peaks_a) if len(aligned) > shared else None
    longer_b = lane.side(base, peaks_b) if len(base) > shared else None
    pair = lane.pair(
        aligned[:shared],
        base[:shared],
        peaks_a if longer_a is None else find_peaks(aligned[:shared], head),
        peaks_b if longer_b is None else find_peaks(base[:shared], head),
    )
    side_a, side_b = longer_a or pair.aligned, longer_b or pair.base
    out.ids[at] = token
    out.rank[at] = _rank(base, token, peaks_b.ids, lane) if token < len(base) else 0
    out.logp_aligned[at] = _logp(side_a, aligned, token)
    out.logp_base[at] = _logp(side_b, base, token)
    out.kl_aligned_base[at] = pair.kl_aligned_base
    out.kl_base_aligned[at] = pair.kl_base_aligned
    out.js[at] = pair.js
    out.entropy_aligned[at] = side_a.entropy
    out.entropy_base[at] = side_b.entropy
    out.outside_aligned[at] = _mass(side_a, aligned[shared:])
    out.outside_base[at] = _mass(side_b, base[shared:])
    out.argmax_aligned[at] = _top(
        aligned, peaks_a.ids, side_a, out.top_aligned_ids[at], out.top_aligned_p[at]
    )
    out.argmax_base[at] = _top(base, peaks_b.ids, side_b, out.top_base_ids[at], out.top_base_p[at])


def _score_side(lane: Lane, row: Floats, token: int, at: int, out: SideScores) -> None:
    peaks = find_peaks(row, max(_HEAD_TOKENS, out.top_ids.shape[1]))
    side = lane.side(row, peaks)
    out.ids[at] = token
    out.rank[at] = _rank(row, token, peaks.ids, lane)
    out.logp[at] = _logp(side, row, token)
    out.entropy[at] = side.entropy
    out.argmax[at] = _top(row, peaks.ids, side, out.top_ids[at], out.top_p[at])


def _rank(row: Floats, token: int, peaks: Ids, lane: Lane) -> int:
    """1 + the number of strictly larger logits."""
    logit = row[token]
    near = row[peaks]
    if logit >= near.min():
        # The peaks are all tokens down to some logit, so nothing larger is elsewhere.
        return 1 + int(np.count_nonzero(near > logit))
    larger = lane.flags[: len(row)]
    np.greater(row, logit, out=larger)
    return 1 + int(np.count_nonzero(larger))


def _logp(side: Softmax, row: Floats, token: int) -> float:
    return min(side.logp(float(row[token])), 0.0) if token < len(row) else -math.inf


def _mass(side: Softmax, logits: Floats) -> float:
    """The probability of some of a side's tokens together."""
    if not len(logits):
        return 0.0
    return min(float(np.exp(_logps(side, logits)).sum()), 1.0)


def _logps(side: Softmax, logits: Floats) -> NDArray[np.float64]:
    return (logits.astype(np.float64) - side.offset) - side.log_sum


def _top(row: Floats, peaks: Ids, side: Softmax, ids: NDArray[np.int32], p: Floats) -> int:
    """Fill one row's top list; its argmax."""
    logits = row[peaks]
    order = np.argsort(-logits, kind="stable")[: max(len(ids), 1)]
    best = peaks[order]
    ids[:] = best[: len(ids)]
    p[:] = np.minimum(np.exp(_logps(side, logits[order][: len(ids)])), 1.0)
    return int(best[0])
