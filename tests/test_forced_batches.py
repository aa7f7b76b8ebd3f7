"""Where a forced text is cut into batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from urial_tui.engine.wire.limits import FORCED_BATCH, HEAD_BATCH
from urial_tui.engine.worker.forced_batches import cut_text


@given(
    n_head=st.integers(0, 3 * HEAD_BATCH),
    count=st.integers(1, 4 * FORCED_BATCH),
    readable=st.booleans(),
    most=st.integers(3, FORCED_BATCH),
)
def test_every_token_is_read_once_and_none_alone(
    n_head: int, count: int, readable: bool, most: int
) -> None:
    n_tokens = count + readable
    cuts = cut_text(n_head, n_tokens, count, most)
    assert sum(cuts.head) + cuts.silent == n_head
    assert sum(cuts.rows) == count
    assert all(length <= HEAD_BATCH for length in cuts.head)
    assert all(rows <= most for rows in cuts.rows)
    batches = [*cuts.head, *cuts.rows]
    batches[len(cuts.head)] += cuts.silent
    batches[-1] += cuts.spare
    # A whole last batch leaves the token out that nothing is wanted of.
    assert sum(batches) in (n_head + n_tokens, n_head + count)
    assert 1 not in batches or n_head + n_tokens == 1


@given(count=st.integers(1, 4 * FORCED_BATCH), readable=st.booleans())
def test_the_rows_do_not_depend_on_what_stands_in_front(count: int, readable: bool) -> None:
    """So two sides with other contexts are read a batch beside a batch."""
    assert len({cut_text(n, count + readable, count).rows for n in (0, 1, 2, 257, 1000)}) == 1


def test_a_text_that_fills_whole_batches_is_read_in_whole_ones() -> None:
    assert cut_text(0, 2 * FORCED_BATCH + 1, 2 * FORCED_BATCH).rows == (FORCED_BATCH, FORCED_BATCH)
    assert cut_text(0, 2 * FORCED_BATCH + 1, 2 * FORCED_BATCH).spare == 0
