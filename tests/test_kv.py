"""What the bookkeeping says is in a sequence is what the memory holds there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from urial_tui.engine.kv import PINNED, Branch, KVCache, fit_turns, prefill
from urial_tui.engine.protocol import MemoryKind

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


def _run(cache: KVCache, memory: FakeMemory, tokens: list[int]) -> Branch:
    branch = cache.place(tokens)
    assert branch.tokens == tokens[: len(branch.tokens)]
    assert len(branch.tokens) < len(tokens)
    needed = memory.window or len(tokens)
    assert memory.holds(branch, needed), "a branch says more than its memory holds"

    def evaluate(part: Sequence[int], position: int) -> None:
        memory.evaluate(branch.sequence, position, part)
        cache.extend(branch, part)

    prefill(evaluate, tokens, len(branch.tokens), 4, lambda _done: None)
    assert branch.tokens == tokens
    assert memory.holds(branch, needed)
    return branch


def _pinned(memory: FakeMemory, preamble: Sequence[int], branches: int = 3) -> KVCache:
    cache = KVCache(memory, memory.kind, memory.window, branches)
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
_tokens = st.lists(st.integers(0, 2), min_size=1, max_size=40)


@settings(max_examples=300, deadline=None)
@given(
    kind=_kinds,
    preamble=st.lists(st.integers(0, 2), max_size=12),
    steps=st.lists(st.tuples(st.integers(0, 40), _tokens, st.booleans()), max_size=12),
)
@example(
    kind=("attention", 0),
    preamble=[],
    steps=[(0, [*[0] * 7, 1, *[0] * 15], False), (0, [0] * 8, True)],
)
def test_any_order_of_requests_leaves_sequences_that_hold_what_they_say(
    kind: tuple[MemoryKind, int],
    preamble: list[int],
    steps: list[tuple[int, list[int], bool]],
) -> None:
    memory = FakeMemory(kind[0], window=kind[1])
    cache = _pinned(memory, preamble)
    history: list[int] = []
    for keep, more, shift in steps:
        history = [*history[:keep], *more]
        branch = _run(cache, memory, [*preamble, *history])
        cache.checkpoint(branch)
        if shift and not kind[1] and len(history) > 3:
            done = cache.shift([*preamble, *history], len(preamble), 2)
            assert done == (kind[0] in ("attention", "sliding-window"))
            if done:
                del history[:2]
                branch = cache.place([*preamble, *history, 9])
                assert branch.tokens == [*preamble, *history], "nothing is evaluated again"
                assert memory.holds(branch, len(branch.tokens))


def test_a_conversation_that_goes_on_evaluates_only_its_new_tokens() -> None:
    memory = FakeMemory("attention")
    cache = _pinned(memory, [7, 7])
    _run(cache, memory, [7, 7, 1, 2, 3])
    assert cache.place([7, 7, 1, 2, 3, 4, 5]).tokens == [7, 7, 1, 2, 3]


def test_going_back_to_a_sibling_finds_it_untouched() -> None:
    memory = FakeMemory("attention")
    cache = _pinned(memory, [7])
    first = [7, 1, *range(100, 140)]
    second = [7, 1, *range(200, 240)]
    _run(cache, memory, first)
    _run(cache, memory, second)
    assert cache.place([*first, 9]).tokens == first


def test_the_pinned_preamble_is_never_trimmed() -> None:
    memory = FakeMemory("attention")
    cache = _pinned(memory, [7, 8, 9])
    for other in range(10):
        _run(cache, memory, [7, 8, 9, other, other])
    assert memory.cells[PINNED] == {0: 7, 1: 8, 2: 9}


def test_a_window_that_is_gone_is_evaluated_again_from_the_preamble() -> None:
    memory = FakeMemory("sliding-window", window=WINDOW)
    cache = _pinned(memory, [7, 7])
    long = [7, 7, *range(20, 60)]
    _run(cache, memory, long)
    branch = cache.place([*long[:20], 99])
    assert branch.tokens == [7, 7]


def test_recurrent_memory_answers_the_same_question_again_from_its_checkpoint() -> None:
    memory = FakeMemory("recurrent")
    cache = _pinned(memory, [7])
    prompt = [7, 1, 2, 3]
    branch = _run(cache, memory, prompt[:-1])
    cache.checkpoint(branch)
    memory.evaluate(branch.sequence, 3, [3, 50, 51])
    cache.extend(branch, [3, 50, 51])
    assert cache.place(prompt).tokens == prompt[:-1]


def test_an_aborted_evaluation_leaves_what_the_memory_says() -> None:
    memory = FakeMemory("attention")
    cache = _pinned(memory, [7])
    branch = _run(cache, memory, [7, 1, 2, 3])
    memory.remove(branch.sequence, 2, -1)
    cache.reconcile(branch)
    assert branch.tokens == [7, 1]


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


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_prefill_reports_every_chunk_and_ends_at_the_last_token(chunk: int) -> None:
    seen: list[int] = []
    reported: list[int] = []
    prefill(
        lambda part, position: seen.extend(part) if position == len(seen) + 2 else None,
        [0, 0, 1, 2, 3, 4, 5],
        2,
        chunk,
        reported.append,
    )
    assert seen == [1, 2, 3, 4, 5]
    assert reported[-1] == 7
    assert reported == sorted(set(reported))
