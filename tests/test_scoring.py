"""Scoring against a plain float64 oracle, and what must hold for any logits at all."""

from __future__ import annotations

import math
import resource
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from urial_tui.engine.wire.scores import PositionScores, ScoringError, SideScores, classify
from urial_tui.engine.worker.scoring import PairScorer, RankScorer, SideScorer
from urial_tui.engine.worker.spill import SpillError, SpillReader, SpillWriter

Rows = NDArray[np.float32]
LN2 = math.log(2.0)
INF = math.inf
BLOCKED = 64 * 33
"""From this size on, peaks are found by blocks and most of a row is computed in float32."""


# -- the oracle ------------------------------------------------------------------------


class Expected(NamedTuple):
    rank: int
    logp_base: float
    logp_aligned: float
    kl_aligned_base: float
    kl_base_aligned: float
    js: float
    entropy_base: float
    entropy_aligned: float


def log_softmax(row: Sequence[float]) -> list[float]:
    top = max(row)
    total = math.log(math.fsum(math.exp(x - top) for x in row))
    return [(x - top) - total for x in row]


def kl(p: Sequence[float], q: Sequence[float]) -> float:
    """Of log-probabilities, term by term; a token that p excludes says nothing."""
    terms = []
    for log_p, log_q in zip(p, q, strict=True):
        if log_p == -INF:
            continue
        if log_q == -INF:
            return INF
        terms.append(math.exp(log_p) * (log_p - log_q))
    return math.fsum(terms)


def entropy(p: Sequence[float]) -> float:
    return -math.fsum(math.exp(x) * x for x in p if math.exp(x) > 0)


def js(p: Sequence[float], q: Sequence[float]) -> float:
    terms = []
    for log_p, log_q in zip(p, q, strict=True):
        mean = (math.exp(log_p) + math.exp(log_q)) / 2
        terms += [
            math.exp(log_x) * (log_x - math.log(mean)) / 2
            for log_x in (log_p, log_q)
            if math.exp(log_x) > 0 and mean > 0
        ]
    return math.fsum(terms)


def expected(aligned: Rows, base: Rows, token: int) -> Expected:
    a, b = log_softmax(aligned.tolist()), log_softmax(base.tolist())
    return Expected(
        rank=1 + sum(x > base[token] for x in base),
        logp_base=b[token],
        logp_aligned=a[token],
        kl_aligned_base=kl(a, b),
        kl_base_aligned=kl(b, a),
        js=js(a, b),
        entropy_base=entropy(b),
        entropy_aligned=entropy(a),
    )


def close(found: float, wanted: float, slack: float = 1e-6) -> bool:
    """Equal but for rounding, in a float32 column."""
    if abs(wanted) > float(np.finfo(np.float32).max):
        wanted = math.copysign(INF, wanted)
    return found == wanted or abs(found - wanted) <= slack + 1e-6 * abs(wanted)


def assert_equal(scores: PositionScores, at: int, wanted: Expected) -> None:
    assert int(scores.rank[at]) == wanted.rank
    for name in Expected._fields[1:]:
        found = float(getattr(scores, name)[at])
        assert close(found, getattr(wanted, name)), (name, found, getattr(wanted, name))


# -- rows to try -----------------------------------------------------------------------


def random_row(seed: int, size: int, scale: float, *, ties: bool, excluded: float) -> Rows:
    random = np.random.default_rng(seed)
    values = random.standard_normal(size)
    row: Rows = ((np.round(values, 1) if ties else values) * scale).astype(np.float32)
    row[random.random(size) < excluded] = -np.inf
    row[int(random.integers(size))] = row.max() if np.isfinite(row.max()) else 0.0
    return row


def rows_of(size: int) -> st.SearchStrategy[Rows]:
    return st.builds(
        random_row,
        st.integers(0, 2**32 - 1),
        st.just(size),
        st.sampled_from((0.0, 1e-3, 1.0, 4.0, 30.0, 1e3, 1e30)),
        ties=st.booleans(),
        excluded=st.sampled_from((0.0, 0.0, 0.01, 0.5, 1.0)),
    )


@st.composite
def small_rows(draw: st.DrawFn) -> tuple[Rows, Rows]:
    """Two rows of up to 12 logits that hypothesis picks one by one, -inf among them."""
    size = draw(st.integers(1, 12))
    logit = st.one_of(
        st.floats(-50, 50, width=32),
        st.floats(-(2.0**100), 2.0**100, width=32),
        st.floats(width=32, allow_nan=False, allow_infinity=False),
        st.just(-INF),
    )

    def row() -> Rows:
        values = draw(st.lists(logit, min_size=size, max_size=size))
        if max(values) == -INF:
            values[draw(st.integers(0, size - 1))] = 0.0
        return np.array(values, np.float32)

    return row(), row()


@st.composite
def large_rows(draw: st.DrawFn) -> tuple[Rows, Rows]:
    """Two rows long enough for blocks, with a rest that fills no column."""
    size = draw(st.sampled_from((BLOCKED, BLOCKED + 63, 3000, 4096, 5001)))
    return draw(rows_of(size)), draw(rows_of(size))


any_rows = st.one_of(small_rows(), large_rows())


def score(aligned: Rows, base: Rows, tokens: Sequence[int], top_k: int = 5) -> PositionScores:
    """Positions that share one pair of rows, one for each token."""
    scorer = PairScorer(n_aligned=len(aligned), n_base=len(base), top_k=top_k)
    repeat = (len(tokens), 1)
    return scorer.score(np.tile(aligned, repeat), np.tile(base, repeat), np.array(tokens))


# -- exactness -------------------------------------------------------------------------


@given(any_rows, st.integers(0, 2**32))
@example((np.array([3e38, -3e38], np.float32), np.array([-3e38, 3e38], np.float32)), 0)
def test_scores_equal_the_definitions(rows: tuple[Rows, Rows], pick: int) -> None:
    aligned, base = rows
    tokens = [int(aligned.argmax()), pick % len(base)]
    scores = score(aligned, base, tokens)
    for at, token in enumerate(tokens):
        assert_equal(scores, at, expected(aligned, base, token))


@pytest.mark.parametrize("noise", [1e-1, 1e-2, 1e-3])
def test_close_rows_keep_their_digits(noise: float) -> None:
    """A quantisation's KL of 1e-6 is a number, not what rounding has left."""
    random = np.random.default_rng(7)
    base = (random.standard_normal(20_011) * 3 + 5).astype(np.float32)
    aligned = (base + random.standard_normal(base.size) * noise).astype(np.float32)
    scores = score(aligned, base, [0])
    wanted = expected(aligned, base, 0)
    for name in ("kl_aligned_base", "kl_base_aligned", "js"):
        assert close(float(getattr(scores, name)[0]), getattr(wanted, name), 1e-7), name


def test_a_position_of_little_probability_has_no_kl_of_rounding() -> None:
    """Flat rows, whose sum float32 would round most."""
    random = np.random.default_rng(8)
    base = random.random(262_144).astype(np.float32)
    aligned = random.random(262_144).astype(np.float32)
    scores = score(aligned, base, [0])
    p = np.exp(aligned.astype(np.float64))
    q = np.exp(base.astype(np.float64))
    p, q = p / p.sum(), q / q.sum()
    assert float(scores.kl_aligned_base[0]) == pytest.approx((p * np.log(p / q)).sum(), abs=1e-6)
    assert float(scores.entropy_base[0]) == pytest.approx(-(q * np.log(q)).sum(), abs=1e-5)


def test_probabilities_below_the_smallest_float_do_no_harm() -> None:
    """On both sides e^-200 at most tokens: their mixture is zero in float32."""
    aligned, base = np.full((2, 5000), -200.0, np.float32)
    aligned[:3], base[:3] = (0.0, 1.0, 2.0), (2.0, 1.0, 0.0)
    assert_equal(score(aligned, base, [1]), 0, expected(aligned, base, 1))


@given(any_rows)
def test_divergences_stay_in_their_range(rows: tuple[Rows, Rows]) -> None:
    aligned, base = rows
    scores = score(aligned, base, [0])
    assert scores.kl_aligned_base[0] >= 0
    assert scores.kl_base_aligned[0] >= 0
    assert 0 <= scores.js[0] <= np.float32(LN2)
    assert 0 <= scores.entropy_aligned[0] <= np.float32(math.log(len(base)) + 1e-6)
    assert 0 <= scores.p_base[0] <= 1
    assert 0 <= scores.p_aligned[0] <= 1


@given(any_rows, st.integers(0, 2**32))
def test_rank_is_1_exactly_for_the_most_probable_tokens(rows: tuple[Rows, Rows], pick: int) -> None:
    aligned, base = rows
    best = np.flatnonzero(base == base.max()).tolist()
    tokens = [*best[:10], pick % len(base)]
    scores = score(aligned, base, tokens)
    for at, token in enumerate(tokens):
        assert (scores.rank[at] == 1) == (token in best)


@given(any_rows)
def test_a_greedy_token_has_rank_1_where_both_argmaxes_agree(rows: tuple[Rows, Rows]) -> None:
    aligned, base = rows
    scores = score(aligned, base, [int(aligned.argmax())])
    if scores.argmax_aligned[0] == scores.argmax_base[0]:
        assert scores.rank[0] == 1
    if scores.rank[0] > 1:
        assert scores.argmax_aligned[0] != scores.argmax_base[0]


@given(any_rows)
def test_a_model_beside_itself_has_not_shifted(rows: tuple[Rows, Rows]) -> None:
    row = rows[0]
    scores = score(row, row.copy(), [int(row.argmax())])
    assert scores.kl_aligned_base[0] == scores.kl_base_aligned[0] == scores.js[0] == 0.0
    assert scores.classes.tolist() == [0]
    assert scores.logp_base[0] == scores.logp_aligned[0]


@given(any_rows)
def test_exchanging_the_sides_exchanges_their_numbers(rows: tuple[Rows, Rows]) -> None:
    one, other = score(*rows, [0]), score(rows[1], rows[0], [0])
    assert close(float(one.kl_aligned_base[0]), float(other.kl_base_aligned[0]))
    assert close(float(one.js[0]), float(other.js[0]))
    assert one.top_base_ids.tolist() == other.top_aligned_ids.tolist()


# -- tokens that a side excludes -------------------------------------------------------


@pytest.mark.parametrize("size", [4, 5000])
def test_kl_is_infinite_where_only_the_first_side_has_mass(size: int) -> None:
    base = np.zeros(size, np.float32)
    aligned = base.copy()
    base[2] = -INF
    scores = score(aligned, base, [2])
    assert scores.kl_aligned_base[0] == INF
    assert scores.kl_base_aligned[0] == pytest.approx(math.log(size / (size - 1)), abs=1e-6)
    assert scores.logp_base[0] == -INF
    assert scores.p_base[0] == 0
    assert scores.rank[0] == size


def test_kl_is_infinite_however_small_the_excluded_mass() -> None:
    aligned = np.array([0.0, -2000.0], np.float32)
    base = np.array([0.0, -INF], np.float32)
    assert score(aligned, base, [0]).kl_aligned_base[0] == INF


@pytest.mark.parametrize("size", [4, 5000])
def test_sides_with_nothing_in_common_differ_by_ln_2(size: int) -> None:
    aligned, base = np.zeros((2, size), np.float32)
    aligned[: size // 2], base[size // 2 :] = -INF, -INF
    scores = score(aligned, base, [0])
    assert scores.js[0] == np.float32(LN2)
    assert scores.entropy_base[0] == pytest.approx(math.log(size / 2), abs=1e-6)


@pytest.mark.parametrize("size", [3, BLOCKED + 5, 5000])
@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("bad", [math.nan, INF])
@pytest.mark.parametrize("side", ["aligned", "base"])
def test_what_is_no_logit_is_refused(size: int, place: int, bad: float, side: str) -> None:
    rows = {"aligned": np.zeros(size, np.float32), "base": np.zeros(size, np.float32)}
    rows[side][place] = bad
    with pytest.raises(ScoringError) as raised:
        score(rows["aligned"], rows["base"], [1])
    assert raised.value.hint


@pytest.mark.parametrize("size", [3, 5000])
def test_a_row_that_allows_nothing_is_refused(size: int) -> None:
    with pytest.raises(ScoringError, match="impossible for every token"):
        score(np.zeros(size, np.float32), np.full(size, -INF, np.float32), [1])


# -- top lists -------------------------------------------------------------------------


@given(any_rows, st.sampled_from((0, 1, 3, 40, 10_000)))
def test_top_lists_are_the_most_probable_tokens_with_equal_ones_by_id(
    rows: tuple[Rows, Rows], top_k: int
) -> None:
    aligned, base = rows
    scores = score(aligned, base, [0], top_k)
    wanted = sorted(range(len(base)), key=lambda token: (-float(base[token]), token))[:top_k]
    assert scores.top_base_ids[0].tolist() == wanted
    logp = log_softmax(base.tolist())
    for p, token in zip(scores.top_base_p[0].tolist(), wanted, strict=True):
        assert p == pytest.approx(math.exp(logp[token]), rel=1e-5, abs=1e-30)
    best = sorted(range(len(aligned)), key=lambda token: (-float(aligned[token]), token))
    assert scores.argmax_aligned.tolist() == best[:1]


def test_a_row_of_equal_logits_lists_the_first_ids() -> None:
    row = np.zeros(10_000, np.float32)
    scores = score(row, row, [9_999], 7)
    assert scores.top_aligned_ids.tolist() == [list(range(7))]
    assert scores.rank.tolist() == [1]
    assert scores.top_aligned_p[0].tolist() == pytest.approx([1e-4] * 7)


def test_the_best_tokens_may_be_the_vocabularys_last_ones() -> None:
    row = np.zeros(BLOCKED + 40, np.float32)
    row[-3:] = 1.0, 3.0, 2.0
    scores = score(row, row, [BLOCKED + 39])
    assert scores.top_base_ids[0, :4].tolist() == [BLOCKED + 38, BLOCKED + 39, BLOCKED + 37, 0]
    assert scores.argmax_base.tolist() == [BLOCKED + 38]
    assert scores.rank.tolist() == [2]


@pytest.mark.parametrize("size", [1, 2])
def test_the_smallest_vocabularies(size: int) -> None:
    rows = np.zeros((1, size), np.float32)
    scores = PairScorer(n_aligned=size, n_base=size, top_k=10).score(rows, rows, np.array([0]))
    assert scores.top_base_ids.tolist() == [list(range(size))]
    assert scores.entropy_base[0] == pytest.approx(math.log(size))
    assert scores.kl_aligned_base[0] == 0


# -- chunks, threads, sides ------------------------------------------------------------


def chunk(n: int, size: int = 3000) -> tuple[Rows, Rows, NDArray[np.int64]]:
    random = np.random.default_rng(3)
    aligned = (random.standard_normal((n, size)) * 4).astype(np.float32)
    base = (aligned + random.standard_normal((n, size))).astype(np.float32)
    aligned[n // 2 :: 3, 17] = -INF
    return aligned, base, random.integers(size, size=n)


@given(st.integers(1, 14), st.integers(1, 3))
def test_chunks_and_threads_change_no_bit(step: int, threads: int) -> None:
    aligned, base, ids = chunk(13)
    whole = PairScorer(n_aligned=3000, n_base=3000).score(aligned, base, ids)
    scorer = PairScorer(n_aligned=3000, n_base=3000, threads=threads)
    parts = [
        scorer.score(aligned[at : at + step], base[at : at + step], ids[at : at + step])
        for at in range(0, 13, step)
    ]
    assert PositionScores.join(parts).to_bytes() == whole.to_bytes()


def test_an_error_in_any_thread_is_raised() -> None:
    aligned, base, ids = chunk(8)
    aligned[7, 5] = math.nan
    with pytest.raises(ScoringError):
        PairScorer(n_aligned=3000, n_base=3000, threads=4).score(aligned, base, ids)


def test_the_rows_are_left_as_they_were() -> None:
    aligned, base, ids = chunk(4)
    before = aligned.tobytes(), base.tobytes()
    PairScorer(n_aligned=3000, n_base=3000).score(aligned, base, ids)
    assert (aligned.tobytes(), base.tobytes()) == before


def test_no_positions_give_empty_columns() -> None:
    none = np.empty((0, 5), np.float32)
    scores = PairScorer(n_aligned=5, n_base=5, top_k=3, threads=2).score(
        none, none, np.array([], np.int64)
    )
    assert len(scores) == 0
    assert scores.top_base_ids.shape == (0, 3)
    assert len(PositionScores.join([])) == 0


def test_one_side_alone_has_the_numbers_it_has_in_a_pair() -> None:
    aligned, base, ids = chunk(9)
    pair = PairScorer(n_aligned=3000, n_base=3000, top_k=4).score(aligned, base, ids)
    scorer = SideScorer(n_vocab=3000, top_k=4, threads=2)
    side = SideScores.join([scorer.score(base[:5], ids[:5]), scorer.score(base[5:], ids[5:])])
    assert side.rank.tolist() == pair.rank.tolist()
    assert side.argmax.tolist() == pair.argmax_base.tolist()
    assert side.top_ids.tolist() == pair.top_base_ids.tolist()
    np.testing.assert_allclose(side.logp, pair.logp_base, atol=1e-6)
    np.testing.assert_allclose(side.entropy, pair.entropy_base, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_ranks_alone_are_those_of_a_side_whatever_the_threads(threads: int) -> None:
    aligned, _, ids = chunk(9)
    side = SideScorer(n_vocab=3000).score(aligned, ids)
    ranks, probabilities = RankScorer(3000, threads).score(aligned, ids.tolist())
    assert ranks == side.rank.tolist()
    np.testing.assert_allclose(probabilities, np.exp(side.logp), rtol=2e-6)


@pytest.mark.parametrize("row", [0, 8])
def test_ranks_alone_of_what_is_no_logit_are_refused(row: int) -> None:
    aligned, _, ids = chunk(9)
    aligned[row, 5] = math.nan
    with pytest.raises(ScoringError):
        RankScorer(3000, threads=3).score(aligned, ids.tolist())


@pytest.mark.parametrize("token", [-1, 5])
def test_ids_outside_of_the_vocabulary_are_refused(token: int) -> None:
    rows = np.zeros((1, 5), np.float32)
    with pytest.raises(ScoringError, match="outside of the vocabulary"):
        PairScorer(n_aligned=5, n_base=5).score(rows, rows, np.array([token]))
    with pytest.raises(ScoringError, match="outside of the vocabulary"):
        SideScorer(n_vocab=5).score(rows, np.array([token]))


def test_rows_of_another_shape_or_type_are_refused() -> None:
    rows = np.zeros((1, 5), np.float32)
    scorer = PairScorer(n_aligned=5, n_base=5)
    with pytest.raises(ValueError, match="rows of"):
        scorer.score(rows[:, :4], rows, np.array([0]))
    with pytest.raises(ValueError, match="rows of"):
        scorer.score(rows, rows.astype(np.float64), np.array([0]))


# -- one vocabulary begins with the other ----------------------------------------------


@pytest.mark.parametrize("longer", ["aligned", "base"])
@pytest.mark.parametrize("size", [6, 5000])
def test_a_longer_vocabulary_is_compared_over_what_both_have(longer: str, size: int) -> None:
    random = np.random.default_rng(11)
    long = (random.standard_normal(size + 3) * 3).astype(np.float32)
    short = (random.standard_normal(size) * 3).astype(np.float32)
    # Most of the longer side's probability is in its own tokens, far above the shared ones.
    long[-1] = 150.0
    aligned, base = (long, short) if longer == "aligned" else (short, long)
    scores = score(aligned, base, [2])
    shared = expected(aligned[:size], base[:size], 2)
    for name in ("kl_aligned_base", "kl_base_aligned", "js"):
        assert close(float(getattr(scores, name)[0]), getattr(shared, name)), name
    full = {side: log_softmax(row.tolist()) for side, row in (("aligned", aligned), ("base", base))}
    for side, logp in full.items():
        assert close(float(getattr(scores, f"logp_{side}")[0]), logp[2])
        assert close(float(getattr(scores, f"entropy_{side}")[0]), entropy(logp))
        outside = math.fsum(math.exp(x) for x in logp[size:])
        assert close(float(getattr(scores, f"outside_{side}")[0]), outside)
    assert scores.rank[0] == 1 + int((base > base[2]).sum())


def test_a_token_that_the_base_lacks_is_absent() -> None:
    scores = score(np.zeros(6, np.float32), np.zeros(4, np.float32), [5, 3])
    assert scores.rank.tolist() == [0, 1]
    assert scores.classes.tolist() == [3, 0]
    assert scores.logp_base[0] == -INF
    assert scores.logp_aligned[0] == pytest.approx(-math.log(6))
    assert scores.outside_aligned.tolist() == pytest.approx([1 / 3] * 2)
    assert scores.outside_base.tolist() == [0, 0]


def test_a_side_without_probability_on_what_both_have_is_refused() -> None:
    aligned = np.array([-INF, -INF, 0.0], np.float32)
    with pytest.raises(ScoringError, match="impossible for every token"):
        score(aligned, np.zeros(2, np.float32), [0])


# -- classes ---------------------------------------------------------------------------


def test_classes_follow_the_rank() -> None:
    ranks = np.array([0, 1, 2, 3, 4, 262_144], np.int32)
    assert classify(ranks).tolist() == [3, 0, 1, 1, 2, 2]


# -- as bytes --------------------------------------------------------------------------


@given(st.integers(0, 5), st.integers(0, 12))
def test_scores_survive_as_bytes(n: int, top_k: int) -> None:
    aligned, base, ids = chunk(n, 40)
    pair = PairScorer(n_aligned=40, n_base=40, top_k=top_k).score(aligned, base, ids)
    side = SideScorer(n_vocab=40, top_k=top_k).score(base, ids)
    read_pair = PositionScores.from_bytes(pair.to_bytes())
    read_side = SideScores.from_bytes(side.to_bytes())
    for name in PositionScores.__struct_fields__:
        np.testing.assert_array_equal(getattr(read_pair, name), getattr(pair, name))
        assert getattr(read_pair, name).dtype == getattr(pair, name).dtype
    for name in SideScores.__struct_fields__:
        np.testing.assert_array_equal(getattr(read_side, name), getattr(side, name))


def test_damaged_bytes_are_refused_at_every_length() -> None:
    aligned, base, ids = chunk(2, 40)
    data = PairScorer(n_aligned=40, n_base=40, top_k=2).score(aligned, base, ids).to_bytes()
    for length in range(len(data)):
        with pytest.raises(ScoringError):
            PositionScores.from_bytes(data[:length])
    with pytest.raises(ScoringError, match="too many"):
        PositionScores.from_bytes(data + b"\0")
    with pytest.raises(ScoringError, match="start with"):
        SideScores.from_bytes(data)


def test_positions_kept_without_top_lists_are_small() -> None:
    aligned, base, ids = chunk(50, 100)
    scores = PairScorer(n_aligned=100, n_base=100).score(aligned, base, ids).without_top()
    assert len(scores) == 50
    assert len(scores.to_bytes()) <= 50 * 52 + 12


# -- one model after the other ---------------------------------------------------------


@given(st.integers(0, 9), st.integers(1, 4), st.integers(1, 11))
def test_rows_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, n: int, written: int, read: int
) -> None:
    path = tmp_path_factory.mktemp("spill") / "rows"
    bits = np.random.default_rng(5).integers(2**32, size=(n, 7), dtype=np.uint32)
    rows = bits.view(np.float32)
    with SpillWriter(path, 7) as writer:
        for at in range(0, n, written):
            writer.append(rows[at : at + written])
        assert not path.exists()
        assert writer.finish() == n
    assert path.stat().st_size == 24 + n * 7 * 4
    back = bytearray()
    with SpillReader(path) as reader:
        assert (reader.rows, reader.n_vocab) == (n, 7)
        room = np.empty((read, 7), np.float32)
        for at in range(0, n + 1, read):
            back += reader.read(at, room).tobytes()
        assert len(reader.read(n, room)) == 0
    assert bytes(back) == rows.tobytes()


def test_one_after_the_other_gives_the_same_digits(tmp_path: Path) -> None:
    aligned, base, ids = chunk(10)
    together = PairScorer(n_aligned=3000, n_base=3000).score(aligned, base, ids)
    with SpillWriter(tmp_path / "aligned", 3000) as writer:
        writer.append(aligned)
        writer.finish()
    scorer = PairScorer(n_aligned=3000, n_base=3000)
    room = np.empty((4, 3000), np.float32)
    parts = []
    with SpillReader(tmp_path / "aligned") as reader:
        for at in range(0, 10, 4):
            rows = reader.read(at, room)
            parts.append(scorer.score(rows, base[at : at + 4], ids[at : at + 4]))
    assert PositionScores.join(parts).to_bytes() == together.to_bytes()


def test_an_unfinished_file_leaves_nothing(tmp_path: Path) -> None:
    with SpillWriter(tmp_path / "rows", 3) as writer:
        writer.append(np.zeros((2, 3), np.float32))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with SpillWriter(tmp_path / "rows", 1000) as writer:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
            with pytest.raises(SpillError, match="put aside") as raised:
                writer.append(np.zeros((5, 1000), np.float32))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "disk space" in raised.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpillError, match="put aside"):
        SpillWriter(tmp_path / "file" / "rows", 3)


@pytest.fixture
def spilled(tmp_path: Path) -> Path:
    path = tmp_path / "rows"
    with SpillWriter(path, 3) as writer:
        writer.append(np.zeros((4, 3), np.float32))
        writer.finish()
    return path


def test_files_that_were_not_written_like_this_are_refused(spilled: Path) -> None:
    data = spilled.read_bytes()
    longer_than_real = data[:16] + struct.pack("<Q", 2**60) + data[24:]
    damaged = (
        b"", data[:10], data[:-1], data + b"\0", b"X" + data[1:], data[:8] + b"\2" + data[9:],
        data[:12] + bytes(4) + data[16:], longer_than_real,
    )  # fmt: skip
    for content in damaged:
        spilled.write_bytes(content)
        with pytest.raises(SpillError, match="read back"):
            SpillReader(spilled)
    spilled.unlink()
    with pytest.raises(SpillError, match="read back"):
        SpillReader(spilled)


def test_a_file_that_shrinks_while_it_is_read_is_noticed(spilled: Path) -> None:
    with SpillReader(spilled) as reader:
        with spilled.open("r+b") as file:
            file.truncate(40)
        with pytest.raises(SpillError, match="cut short"):
            reader.read(0, np.empty((4, 3), np.float32))
