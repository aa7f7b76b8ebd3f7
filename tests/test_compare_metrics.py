"""What is said about many scored answers together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from urial_tui.compare.metrics import Aggregates, aggregate, bootstrap_shares, percentile
from urial_tui.compare.positions import CountedItem, gather
from urial_tui.engine.wire.scores import PositionScores
from urial_tui.engine.worker.scoring import PairScorer
from urial_tui.shares import wilson

EOS = 99
INF = math.inf


def scores(ranks: Sequence[int], **columns: Sequence[float]) -> PositionScores:
    """Positions with these ranks; columns that are not given hold zeros."""
    made = PositionScores.empty(len(ranks), 2, 2)
    for name in PositionScores.__struct_fields__:
        getattr(made, name)[...] = 0
    made.rank[:] = ranks
    for name, values in columns.items():
        getattr(made, name)[:] = values
    return made


def item(ranks: Sequence[int], n_bytes: int = 0, **columns: Any) -> CountedItem:
    fields = columns.pop("fields", {})
    return CountedItem(scores=scores(ranks, **columns), n_bytes=n_bytes, fields=fields)


def all_of(*items: CountedItem, **options: Any) -> Aggregates:
    options.setdefault("text_of", lambda token: f"<{token}>")
    special = options.pop("special", (EOS,))
    return aggregate(gather(items, special), **options)


# -- shares ----------------------------------------------------------------------------


def test_shares_count_content_positions_by_class() -> None:
    summary = all_of(item([1, 1, 1, 1, 2, 3, 4, 100])).summary
    assert (summary.positions, summary.items, summary.absent) == (8, 1, 0)
    assert (summary.unshifted, summary.marginal, summary.shifted) == (0.5, 0.25, 0.25)


def test_special_tokens_are_counted_apart() -> None:
    found = all_of(item([1, 1, 50], ids=[7, 8, EOS]), item([1, 60], ids=[7, EOS]))
    assert (found.summary.positions, found.summary.unshifted) == (3, 1.0)
    assert (found.special.positions, found.special.items) == (2, 2)
    assert (found.special.unshifted, found.special.shifted) == (0.0, 1.0)


def test_absent_tokens_belong_to_no_class_and_have_no_rank() -> None:
    summary = all_of(item([1, 0, 5, 0])).summary
    assert (summary.positions, summary.absent) == (4, 2)
    assert (summary.unshifted, summary.marginal, summary.shifted) == (0.5, 0.0, 0.5)
    assert summary.mean_base_rank == 3.0


@pytest.mark.parametrize("items", [(), (item([]),), (item([9], ids=[EOS]),), (item([]), item([]))])
def test_nothing_to_count_gives_nulls_and_zeros(items: tuple[CountedItem, ...]) -> None:
    found = all_of(*items, group_by=("category",))
    assert found.summary.positions == 0
    assert found.summary.unshifted is None
    assert found.summary.unshifted_interval is None
    assert found.summary.kl_aligned_base.mean is None
    assert found.summary.kl_aligned_base.infinite == 0
    assert found.summary.top1_agreement is None
    assert found.summary.kl_share is None
    assert found.by_position == ()
    assert found.shifted_tokens == ()


def test_only_absent_tokens_have_no_shares() -> None:
    found = all_of(item([0, 0]), item([0]))
    assert found.summary.unshifted is None
    assert found.summary.mean_base_rank is None
    assert found.by_position[0].base_rank is None
    assert found.by_position[0].unshifted is None


# -- intervals -------------------------------------------------------------------------


def test_intervals_come_from_drawing_whole_items() -> None:
    """Two items of one class each: a draw holds one of them, the other, or both."""
    counts = np.array([[10, 0, 0], [0, 10, 0]])
    first, second, never = bootstrap_shares(counts) or []
    assert first == second == (0.0, 1.0)
    assert never == wilson(0, len(counts))


def test_long_items_weigh_by_their_positions() -> None:
    counts = np.array([[1000, 0, 0]] * 10 + [[0, 0, 1]] * 10)
    intervals = bootstrap_shares(counts)
    assert intervals is not None
    assert intervals[0][0] > 0.99


def test_an_interval_is_that_of_a_binomial_share() -> None:
    """400 items of one position each, 100 of them shifted: 0.25 ± 1.96 sqrt(p q / n)."""
    counts = np.array([[1, 0, 0]] * 300 + [[0, 0, 1]] * 100)
    intervals = bootstrap_shares(counts, resamples=4000)
    assert intervals is not None
    half = 1.96 * math.sqrt(0.25 * 0.75 / 400)
    assert intervals[2] == pytest.approx((0.25 - half, 0.25 + half), abs=0.006)


def test_what_was_never_seen_may_be_there_all_the_same() -> None:
    """0 of 10 items: up to 28 %, by Wilson's score; and so for all of 10."""
    first, second, never = bootstrap_shares(np.array([[3, 1, 0]] * 10)) or []
    assert first == (0.75, 0.75)
    assert second == (0.25, 0.25)
    assert never == pytest.approx((0.0, 0.2775), abs=1e-4)
    always, _, _ = bootstrap_shares(np.array([[4, 0, 0]] * 10)) or []
    assert always == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_one_item_has_no_interval() -> None:
    assert bootstrap_shares(np.array([[3, 1, 0], [0, 0, 0]])) is None
    assert all_of(item([1, 2])).summary.unshifted_interval is None


def test_equal_seeds_give_equal_intervals_and_others_do_not() -> None:
    counts = np.random.default_rng(1).integers(0, 50, size=(40, 3))
    assert bootstrap_shares(counts, seed=4) == bootstrap_shares(counts, seed=4)
    assert bootstrap_shares(counts, seed=4) != bootstrap_shares(counts, seed=5)


def test_many_items_are_drawn_in_portions() -> None:
    counts = np.array([[1, 0, 0]] * 30_000 + [[0, 1, 0]] * 30_000)
    intervals = bootstrap_shares(counts, resamples=50)
    assert intervals is not None
    assert 0.49 < intervals[0][0] < 0.5 < intervals[0][1] < 0.51


# -- divergences -----------------------------------------------------------------------


@given(
    st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=60),
    st.sampled_from((0.5, 0.9, 0.99)),
)
def test_percentiles_interpolate_linearly(values: list[float], q: float) -> None:
    ordered = np.sort(np.array(values, np.float64))
    assert percentile(ordered, q) == pytest.approx(float(np.percentile(ordered, 100 * q)))


@pytest.mark.parametrize(
    ("values", "q", "wanted"),
    [
        ([1.0, INF], 0.5, INF),
        ([1.0, 2.0, INF], 0.5, 2.0),
        ([INF, INF], 0.9, INF),
        ([1.0, INF], 0.0, 1.0),
    ],
)
def test_percentiles_of_infinite_values_are_never_nan(
    values: list[float], q: float, wanted: float
) -> None:
    assert percentile(np.array(values), q) == wanted


def test_divergences_are_summed_up_each_for_itself() -> None:
    summary = all_of(
        item([1] * 4, kl_aligned_base=[0, 1, 2, 5], kl_base_aligned=[4] * 4, js=[0.5, 0, 0, 0])
    ).summary
    assert summary.kl_aligned_base.mean == 2.0
    assert summary.kl_aligned_base.median == 1.5
    assert summary.kl_aligned_base.p90 == pytest.approx(2 + 0.7 * 3)
    assert summary.kl_base_aligned.p99 == 4.0
    assert summary.js.mean == 0.125


def test_infinity_is_null_in_json_and_counted() -> None:
    found = all_of(
        item([1, 5, 1], kl_aligned_base=[1, INF, 3], logp_base=[-1, -INF, -1]), item([1], n_bytes=4)
    )
    document = msgspec.json.decode(msgspec.json.encode(found))
    assert document["summary"]["kl_aligned_base"] == {
        "mean": None,
        "median": 2.0,
        "p90": None,
        "p99": None,
        "infinite": 1,
    }
    assert document["summary"]["bits_per_byte"]["base"] is None
    assert document["summary"]["kl_share"] is None
    assert [row["kl_aligned_base"] for row in document["by_position"]] == [0.5, None, 3.0]
    assert "inf" not in msgspec.json.encode(found).decode().replace("infinite", "").lower()


def test_the_kl_is_shared_out_among_the_classes() -> None:
    kl = [1, 1, 2, 4]
    assert all_of(item([1, 2, 9, 0], kl_aligned_base=kl)).summary.kl_share == {
        "unshifted": 0.125,
        "marginal": 0.125,
        "shifted": 0.25,
        "absent": 0.5,
    }


def test_the_first_tokens_kl_leaves_out_special_tokens() -> None:
    found = all_of(
        item([1] * 3, kl_aligned_base=[8, 2, 2], ids=[1, EOS, 1]),
        item([1], kl_aligned_base=[4]),
    )
    first = {row.k: (row.positions, row.kl_aligned_base) for row in found.summary.first_k_kl}
    assert first[1] == (2, 6.0)
    assert first[2] == (2, 6.0)
    assert first[3] == (3, 14 / 3)
    assert first[10] == first[3]


# -- the other numbers -----------------------------------------------------------------


def test_agreement_rank_bits_and_branching() -> None:
    summary = all_of(
        item(
            [1, 4],
            n_bytes=3,
            argmax_base=[7, 8],
            argmax_aligned=[7, 9],
            logp_base=[-math.log(2)] * 2,
            logp_aligned=[-math.log(4)] * 2,
            entropy_base=[math.log(2), math.log(8)],
            outside_aligned=[0.25, 0.75],
        )
    ).summary
    assert summary.top1_agreement == 0.5
    assert summary.mean_base_rank == 2.5
    assert summary.bits_per_byte.base == pytest.approx(2 / 3)
    assert summary.bits_per_byte.aligned == pytest.approx(4 / 3)
    assert summary.branching_factor.base == pytest.approx(4.0)
    assert summary.branching_factor.aligned == 1.0
    assert summary.outside.aligned == 0.5


def test_bits_per_byte_leave_out_special_tokens() -> None:
    summary = all_of(item([1, 1], n_bytes=2, ids=[1, EOS], logp_base=[-math.log(16), -500])).summary
    assert summary.bits_per_byte.base == pytest.approx(2.0)


def test_curves_take_the_mean_at_each_index_of_all_answers() -> None:
    found = all_of(
        item([1, 3, 5], kl_aligned_base=[1, 2, 3], logp_base=[0, 0, -INF], js=[0.1, 0.2, 0.3]),
        item([9, 0], kl_aligned_base=[3, 0], logp_base=[-INF, 0]),
    ).by_position
    assert [(row.t, row.count) for row in found] == [(0, 2), (1, 2), (2, 1)]
    assert [row.kl_aligned_base for row in found] == [2.0, 1.0, 3.0]
    assert [row.base_rank for row in found] == [5.0, 3.0, 5.0]
    assert [row.p_base for row in found] == [0.5, 1.0, 0.0]
    assert [row.unshifted for row in found] == [0.5, 0.0, 0.0]


def test_curves_have_intervals_where_there_are_answers_enough() -> None:
    kl = [0.0, 1.0, 2.0, 3.0, 4.0, 2.0]
    items = [item([1 + (number % 2)], kl_aligned_base=[value]) for number, value in enumerate(kl)]
    (at,) = all_of(*items).by_position
    error = 1.959964 * np.std(kl, ddof=1) / math.sqrt(len(kl))
    assert at.kl_aligned_base_interval == pytest.approx((2.0 - error, 2.0 + error))
    assert at.kl_base_aligned_interval == (0.0, 0.0)
    assert at.unshifted_interval == wilson(3, 6)
    (few,) = all_of(*items[:4]).by_position
    assert few.kl_aligned_base is not None
    assert few.kl_aligned_base_interval is few.unshifted_interval is None


def test_curves_without_a_finite_mean_have_no_interval() -> None:
    items = [item([1], kl_aligned_base=[value]) for value in (0.0, 1.0, INF, 1.0, 1.0, 1.0)]
    (at,) = all_of(*items).by_position
    assert (at.kl_aligned_base, at.kl_aligned_base_interval) == (None, None)
    assert at.unshifted_interval is not None


def test_special_tokens_leave_a_gap_in_the_curves() -> None:
    found = all_of(item([1, 1, 1], ids=[1, EOS, 1])).by_position
    assert [row.t for row in found] == [0, 2]


def test_shifted_tokens_are_listed_by_count_then_share_then_id() -> None:
    found = all_of(
        item([4, 4, 1, 1], ids=[5, 5, 5, 5]),
        item([9, 9, 1], ids=[6, 6, 6]),
        item([9, 9, 2, 50], ids=[4, 3, 2, EOS]),
    ).shifted_tokens
    assert [(row.id, row.count, row.total) for row in found] == [
        (6, 2, 3), (5, 2, 4), (3, 1, 1), (4, 1, 1),
    ]  # fmt: skip
    assert found[1].share == 0.5
    assert found[1].token == "<5>"


def test_the_list_of_shifted_tokens_ends() -> None:
    found = all_of(item([9] * 90, ids=list(range(90)), fields={}), special=())
    assert len(found.shifted_tokens) == 50


def test_groups_are_summaries_of_their_items() -> None:
    found = all_of(
        item([1, 1], n_bytes=1, logp_base=[-1, -1], fields={"category": "regular"}),
        item([9], n_bytes=5, logp_base=[-1], fields={"category": "safety"}),
        item([1, 9], fields={"category": "safety", "dataset": "x"}),
        item([2]),
        group_by=("category", "dataset"),
    ).by_group
    assert [row.value for row in found["category"]] == ["regular", "safety", None]
    regular, safety, rest = found["category"]
    assert (regular.unshifted, regular.positions, regular.items) == (1.0, 2, 1)
    assert (safety.shifted, safety.positions, safety.items) == (2 / 3, 3, 2)
    assert rest.marginal == 1.0
    assert regular.bits_per_byte.base == pytest.approx(2 / math.log(2))
    assert [row.value for row in found["dataset"]] == ["x", None]


# -- form ------------------------------------------------------------------------------


def test_the_json_has_the_keys_of_the_contract() -> None:
    document = msgspec.json.decode(
        msgspec.json.encode(all_of(item([1, 9], ids=[1, EOS]), item([9])))
    )
    summary = document["summary"]
    assert {
        "positions", "unshifted", "marginal", "shifted", "kl_aligned_base", "kl_base_aligned",
        "js", "top1_agreement", "mean_base_rank", "bits_per_byte",
    } <= set(summary)  # fmt: skip
    for name in ("kl_aligned_base", "kl_base_aligned", "js"):
        assert {"mean", "median", "p90", "p99"} <= set(summary[name])
    assert set(summary["bits_per_byte"]) == {"base", "aligned"}
    assert {"positions", "unshifted", "marginal", "shifted"} <= set(document["special"])
    assert {"token", "count", "total", "share"} <= set(document["shifted_tokens"][0])
    assert {"t", "count"} <= set(document["by_position"][0])


def test_gathering_lets_the_top_lists_go() -> None:
    positions = gather([item([1] * 5)] * 4)
    assert len(positions.scores) == 20
    assert positions.scores.top_base_ids.size == positions.scores.top_aligned_p.size == 0


@given(st.permutations(range(8)))
def test_the_order_of_items_changes_nothing(order: list[int]) -> None:
    random = np.random.default_rng(2)
    items = []
    for number in range(8):
        n = int(random.integers(0, 9))
        aligned, base = (random.standard_normal((2, n, 30)) * 3).astype(np.float32)
        scored = PairScorer(n_aligned=30, n_base=30).score(aligned, base, aligned.argmax(1))
        items.append(CountedItem(scores=scored, n_bytes=n, fields={"parity": str(number % 2)}))

    def document(chosen: list[CountedItem]) -> Any:
        found = all_of(*chosen, special=(3,), group_by=("parity",), resamples=50)
        return msgspec.to_builtins(found)

    def same(one: Any, other: Any) -> bool:
        match one:
            case dict():
                return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
            case list() | tuple():
                return len(one) == len(other) and all(map(same, one, other))
            case float():
                return bool(one == pytest.approx(other, rel=1e-12, abs=1e-12))
            case _:
                return bool(one == other)

    assert same(document(items), document([items[at] for at in order]))


def test_a_model_beside_itself_is_unshifted_everywhere() -> None:
    rows = (np.random.default_rng(3).standard_normal((12, 5000)) * 4).astype(np.float32)
    scored = PairScorer(n_aligned=5000, n_base=5000).score(rows, rows, rows.argmax(1))
    summary = all_of(CountedItem(scores=scored)).summary
    assert summary.unshifted == summary.top1_agreement == summary.mean_base_rank == 1.0
    assert summary.kl_aligned_base.mean == summary.kl_aligned_base.p99 == summary.js.mean == 0.0
    assert summary.kl_share is None
