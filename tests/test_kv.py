"""What the bookkeeping says is in a sequence is what the memory holds there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from urial_tui.engine.wire.values import MemoryKind
from urial_tui.engine.worker.kv import PINNED, Branch, KVCache, fit_turns, prefill, runs
from urial_tui.engine.worker.steps import complete

WINDOW = 6


@dataclass
class FakeMemory:
    """Remembers the token of every cell, and trims as the native memory of a kind does.

    `window`: 0 keeps every position; else only the last `window` positions of a sequence
    survive an evaluation, as in a sliding-window cache that is not kept in full.
    """

    kind: MemoryKind
    window: int = 0
    n_ctx: int = 10_000
    cells: dict[int, dict[int, int]] = field(default_factory=dict)

    def clear(self) -> None:
        self.cells.clear()

    def remove(self, sequence: int, start: int, end: int) -> bool:
        cells = self.cells.get(sequence, {})
        whole = start <= 0 and end < 0
        if self.kind in ("recurrent", "hybrid") and not whole:
            return False
        stop = max(cells, default=-1) + 1 if end < 0 else end
        for position in range(max(start, 0), stop):
            cells.pop(position, None)
        return True

    def copy(self, source: int, target: int, end: int) -> None:
        cells = self.cells.get(source, {})
        assert self.kind in ("attention", "sliding-window") or end < 0
        self.cells[target] = {p: t for p, t in cells.items() if end < 0 or p < end}

    def shift(self, sequence: int, start: int, delta: int) -> None:
        cells = self.cells.get(sequence, {})
        self.cells[sequence] = {(p + delta if p >= start else p): t for p, t in cells.items()}

    def first_position(self, sequence: int) -> int:
        return min(self.cells.get(sequence, {}), default=-1)

    def last_position(self, sequence: int) -> int:
        return max(self.cells.get(sequence, {}), default=-1)

    @property
    def can_shift(self) -> bool:
        return True

    def evaluate(self, sequence: int, position: int, tokens: Sequence[int]) -> None:
        cells = self.cells.setdefault(sequence, {})
        assert max(cells, default=-1) + 1 == position, "positions have to be consecutive"
        for offset, token in enumerate(tokens):
            cells[position + offset] = token
        if self.window and cells:
            last = max(cells)
            for gone in [p for p in cells if p <= last - self.window]:
                del cells[gone]

    def holds(self, branch: Branch, n_needed: int) -> bool:
        """Whether the last `n_needed` positions of the branch hold its tokens, and no later one."""
        cells = self.cells.get(branch.sequence, {})
        size = len(branch.tokens)
        wanted = range(max(0, size - n_needed), size)
        return max(cells, default=-1) + 1 == size and all(
            cells.get(p) == branch.tokens[p] for p in wanted
        )


MOST = 4


def _run(
    cache: KVCache, memory: FakeMemory, turns: list[list[int]], answer: Sequence[int] = ()
) -> int:
    """Read turns, decode an answer token by token; how many tokens were kept from before."""
    pinned = list(cache.pinned)
    tokens = [*pinned, *(token for turn in turns for token in turn)]
    ends = runs(len(pinned), [len(turn) for turn in turns], MOST)
    branch = cache.place(tokens, ends)
    kept = len(branch.tokens)
    assert branch.tokens == tokens[:kept]
    assert kept < len(tokens)
    assert kept in (len(pinned), *ends), "only whole runs are kept"
    needed = memory.window or len(tokens)
    assert memory.holds(branch, needed), "a branch says more than its memory holds"

    def evaluate(part: Sequence[int]) -> None:
        if len(branch.tokens) + len(part) == len(tokens):
            cache.checkpoint(branch)
        memory.evaluate(branch.sequence, len(branch.tokens), part)
        cache.extend(branch, part)
        cache.settle(branch)

    complete(prefill(evaluate, tokens, kept, ends, lambda _done: None))
    assert branch.tokens == tokens
    for token in answer:
        memory.evaluate(branch.sequence, len(branch.tokens), [token])
        cache.extend(branch, [token])
    assert memory.holds(branch, needed)
    return kept - len(pinned)


def _pinned(memory: FakeMemory, preamble: Sequence[int]) -> KVCache:
    cache = KVCache(memory, memory.kind, memory.window, 8)
    cache.reset()
    memory.evaluate(PINNED, 0, preamble)
    cache.pin(preamble)
    return cache


_kinds = st.sampled_from(
    [
        ("attention", 0),
        ("sliding-window", 0),
        ("sliding-window", WINDOW),
        ("recurrent", 0),
        ("hybrid", 0),
    ]
)
_turn = st.lists(st.integers(0, 1), min_size=1, max_size=11)


@settings(max_examples=300, deadline=None)
@given(
    kind=_kinds,
    preamble=st.lists(st.integers(0, 2), max_size=12),
    steps=st.lists(st.tuples(st.integers(0, 4), _turn, _turn, st.booleans()), max_size=12),
)
def test_any_order_of_requests_leaves_a_branch_that_holds_what_it_says(
    kind: tuple[MemoryKind, int],
    preamble: list[int],
    steps: list[tuple[int, list[int], list[int], bool]],
) -> None:
    memory = FakeMemory(kind[0], window=kind[1])
    cache = _pinned(memory, preamble)
    history: list[list[int]] = []
    for keep, question, answer, shift in steps:
        history = history[:keep]
        _run(cache, memory, [*history, question], answer)
        history.append([*question, *answer])
        if shift and not kind[1] and len(history) > 1:
            _run(cache, memory, history)
            everything = [*preamble, *(token for turn in history for token in turn)]
            done = cache.shift(everything, len(preamble), len(history[0]))
            assert done == (kind[0] in ("attention", "sliding-window"))
            if done:
                del history[0]
                kept = _run(cache, memory, [*history, [9]])
                assert kept == sum(map(len, history)), "nothing is evaluated again"


@settings(max_examples=200, deadline=None)
@given(
    kind=_kinds,
    before=st.lists(st.tuples(st.integers(0, 3), _turn, _turn), max_size=8),
    turns=st.lists(_turn, min_size=1, max_size=4),
)
def test_what_is_read_is_cut_into_the_same_runs_whatever_was_there(
    kind: tuple[MemoryKind, int],
    before: list[tuple[int, list[int], list[int]]],
    turns: list[list[int]],
) -> None:
    def batches(earlier: list[tuple[int, list[int], list[int]]]) -> dict[int, int]:
        """Of each position, the length of the batch that it was last evaluated in."""
        memory = FakeMemory(kind[0], window=kind[1])
        cache = _pinned(memory, [7, 7])
        seen: dict[int, int] = {}
        evaluate = memory.evaluate

        def noting(sequence: int, position: int, tokens: Sequence[int]) -> None:
            for at in range(position, position + len(tokens)):
                seen[at] = len(tokens)
            evaluate(sequence, position, tokens)

        memory.evaluate = noting  # type: ignore[method-assign]
        history: list[list[int]] = []
        for keep, question, answer in earlier:
            history = history[:keep]
            _run(cache, memory, [*history, question], answer)
            history.append([*question, *answer])
        _run(cache, memory, turns)
        return {at: seen[at] for at in range(2, 2 + sum(map(len, turns)))}

    assert batches(before) == batches([])


def test_a_conversation_whose_end_was_read_evaluates_only_its_new_turn() -> None:
    memory = FakeMemory("attention")
    cache = _pinned(memory, [7, 7])
    _run(cache, memory, [[1, 2, 3]], answer=[4, 5])
    _run(cache, memory, [[1, 2, 3, 4, 5]])
    assert _run(cache, memory, [[1, 2, 3, 4, 5], [6]]) == 5


def test_tokens_that_were_decoded_one_by_one_are_read_again() -> None:
    memory = FakeMemory("attention")
    cache = _pinned(memory, [7, 7])
    _run(cache, memory, [[1, 2, 3]], answer=[4, 5])
    assert _run(cache, memory, [[1, 2, 3, 4, 5], [6]]) == 0


def test_the_same_question_keeps_all_but_its_last_run() -> None:
    memory = FakeMemory("attention")
    cache = _pinned(memory, [7])
    _run(cache, memory, [list(range(10))], answer=[50])
    assert _run(cache, memory, [list(range(10))]) == 2 * MOST


@pytest.mark.parametrize("kind", ["attention", "recurrent"])
def test_another_conversation_leaves_the_preamble_only(kind: MemoryKind) -> None:
    memory = FakeMemory(kind)
    cache = _pinned(memory, [7, 8, 9])
    for other in range(10):
        assert _run(cache, memory, [[other], [other]], answer=[1]) == 0
    assert memory.cells[PINNED] == {0: 7, 1: 8, 2: 9}
    held = [cells for sequence, cells in memory.cells.items() if sequence != PINNED and cells]
    assert all(cells[3] == 9 for cells in held), "what is not wanted any more is dropped"


def test_a_window_that_is_gone_is_evaluated_again_from_the_preamble() -> None:
    memory = FakeMemory("sliding-window", window=WINDOW)
    cache = _pinned(memory, [7, 7])
    long = list(range(20, 60))
    _run(cache, memory, [long])
    assert _run(cache, memory, [[*long[:20], 99]]) == 0


def test_recurrent_memory_answers_the_same_question_again_from_its_checkpoint() -> None:
    memory = FakeMemory("recurrent")
    cache = _pinned(memory, [7])
    _run(cache, memory, [[1, 2, 3], [4, 5]], answer=[50, 51])
    assert _run(cache, memory, [[1, 2, 3], [4, 5]]) == 3


def test_an_aborted_evaluation_leaves_what_the_memory_says() -> None:
    memory = FakeMemory("attention")
    cache = _pinned(memory, [7])
    _run(cache, memory, [[1, 2], [3, 4]])
    branch = cache.place([7, 1, 2, 3, 4, 5], runs(1, [2, 2, 1], MOST))
    assert branch.tokens == [7, 1, 2, 3, 4]
    memory.remove(branch.sequence, 4, -1)
    cache.reconcile(branch)
    assert branch.tokens == [7, 1, 2, 3]
    assert branch.ends == [3]


@settings(max_examples=300, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=12),
    pinned=st.integers(0, 60),
    n_ctx=st.integers(8, 200),
    max_tokens=st.integers(1, 500),
)
def test_only_as_many_turns_are_dropped_as_the_answer_needs_room(
    lengths: list[int], pinned: int, n_ctx: int, max_tokens: int
) -> None:
    fit = fit_turns(lengths, pinned, n_ctx, max_tokens)
    if fit is None:
        assert pinned + lengths[-1] + 1 > n_ctx
        return
    left = lengths[fit.dropped :]
    assert fit.tokens == sum(lengths[: fit.dropped])
    assert left
    assert pinned + sum(left) + 1 <= n_ctx or len(left) == 1
    reserve = max(1, min(max_tokens, (n_ctx - pinned) // 4))
    assert len(left) == 1 or pinned + sum(left) + reserve <= n_ctx
    if fit.dropped:
        one_more = sum(lengths[fit.dropped - 1 :])
        assert pinned + one_more + reserve > n_ctx


@given(start=st.integers(0, 9), lengths=st.lists(st.integers(0, 20)), most=st.integers(1, 9))
def test_runs_begin_with_each_turn_and_hold_at_most_a_batch(
    start: int, lengths: list[int], most: int
) -> None:
    ends = runs(start, lengths, most)
    sizes = [end - begin for begin, end in pairwise([start, *ends])]
    assert all(1 <= size <= most for size in sizes)
    edges = [start + sum(lengths[: count + 1]) for count in range(len(lengths))]
    assert {edge for edge in edges if edge > start} <= set(ends)
    assert len(ends) == sum(-(-length // most) for length in lengths)


def test_prefill_evaluates_what_lacks_run_by_run_and_reports_each() -> None:
    seen: list[list[int]] = []
    reported: list[int] = []
    evaluate = prefill(
        lambda part: seen.append(list(part)), list(range(8)), 2, [2, 5, 7, 8], reported.append
    )
    complete(evaluate)
    assert seen == [[2, 3, 4], [5, 6], [7]]
    assert reported == [5, 7, 8]
