"""Which tokens sit in which sequence of the KV cache.

Sequence 0 holds the pinned preamble and is never trimmed; the other sequences are
branches: each holds the preamble and the tokens of one conversation (or of one sibling of
it), forked so that shared tokens share cells. Before an evaluation, `place` finds the
branch that holds the longest part of the wanted tokens and makes it hold exactly that part;
what it says is in a sequence is what the native memory holds there, or it is dropped.

What can be trimmed depends on the memory: attention can be cut anywhere; a sliding window
only while the window before the cut is still there; recurrent memory not at all, so a cut
there means to fork again from a branch (or the preamble) that is a prefix of what is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from urial_tui.engine.protocol import MemoryKind

PINNED = 0
"""The preamble's sequence."""


class Memory(Protocol):
    """The native memory's operations (`llama.Context`)."""

    n_ctx: int

    def clear(self) -> None: ...  # noqa: D102
    def remove(self, sequence: int, start: int, end: int) -> bool: ...  # noqa: D102
    def copy(self, source: int, target: int, end: int) -> None: ...  # noqa: D102
    def shift(self, sequence: int, start: int, delta: int) -> None: ...  # noqa: D102
    def first_position(self, sequence: int) -> int: ...  # noqa: D102
    def last_position(self, sequence: int) -> int: ...  # noqa: D102

    @property
    def can_shift(self) -> bool: ...  # noqa: D102


@dataclass(eq=False)
class Branch:
    """A sequence and the tokens that it holds, the preamble's included."""

    sequence: int
    tokens: list[int] = field(default_factory=list)
    used: int = 0


class KVCache:
    """The bookkeeping over one context.

    Args:
        memory: The native memory; nothing else may change it.
        kind: What kind of memory it is.
        n_swa: The sliding window in tokens, 0 without one.
        branches: How many branches may be kept.
    """

    MIN_FORK = 16
    """A branch keeps its own tail when a request leaves at least this many of its tokens."""

    def __init__(self, memory: Memory, kind: MemoryKind, n_swa: int, branches: int) -> None:
        self._memory = memory
        self._trimmable = kind in ("attention", "sliding-window")
        self._n_swa = n_swa
        self.pinned: tuple[int, ...] = ()
        self._pinned_ready = False
        self._branches = [Branch(sequence) for sequence in range(1, branches + 1)]
        self._clock = 0

    # -- the preamble ---------------------------------------------------------------

    def is_pinned(self, tokens: Sequence[int]) -> bool:
        """Whether these tokens are the pinned preamble."""
        return self._pinned_ready and self.pinned == tuple(tokens)

    def reset(self) -> None:
        """Forget everything and empty the memory."""
        self._memory.clear()
        self.pinned = ()
        self._pinned_ready = False
        for branch in self._branches:
            branch.tokens.clear()
            branch.used = 0

    def pin(self, tokens: Sequence[int]) -> None:
        """Record that sequence 0 now holds exactly `tokens` (evaluated or restored)."""
        self.pinned = tuple(tokens)
        self._pinned_ready = True

    # -- branches -------------------------------------------------------------------

    def place(self, tokens: Sequence[int]) -> Branch:
        """A branch that holds a prefix of `tokens`, shorter than `tokens`, as long as possible.

        `tokens` starts with the pinned preamble. The rest of `tokens` is to be evaluated
        behind the branch and reported with `extend`.
        """
        wanted = list(tokens)
        assert self._pinned_ready
        assert tuple(wanted[: len(self.pinned)]) == self.pinned
        source, keep = self._longest(wanted)
        if source is not None:
            if len(source.tokens) == keep:
                return self._touch(source)
            if not self._can_cut(source, keep):
                source = None
        if source is None:
            return self._fork_preamble()
        if len(source.tokens) - keep >= self.MIN_FORK and keep > len(self.pinned):
            target = self._take(exclude=source)
            if target is not None:
                self._memory.copy(source.sequence, target.sequence, keep)
                target.tokens = source.tokens[:keep]
                if self._agrees(target):
                    self._touch(source)
                    return self._touch(target)
                self._drop(target)
        if self._memory.remove(source.sequence, keep, -1):
            del source.tokens[keep:]
            if self._agrees(source):
                return self._touch(source)
        self._drop(source)
        return self._fork_preamble()

    def checkpoint(self, branch: Branch) -> None:
        """Keep a copy of a branch that can't be cut later (recurrent memory)."""
        if self._trimmable:
            return
        target = self._take(exclude=branch)
        if target is not None:
            self._memory.copy(branch.sequence, target.sequence, -1)
            target.tokens = list(branch.tokens)
            self._touch(target)
            self._touch(branch)

    def extend(self, branch: Branch, tokens: Sequence[int]) -> None:
        """Record that `tokens` were evaluated at the end of the branch."""
        branch.tokens.extend(tokens)

    def reconcile(self, branch: Branch) -> None:
        """After an aborted evaluation: believe the memory, or drop the branch."""
        held = self._memory.last_position(branch.sequence) + 1
        if self._trimmable and len(self.pinned) <= held <= len(branch.tokens):
            del branch.tokens[held:]
        else:
            self._drop(branch)

    def make_room(self, branch: Branch) -> bool:
        """Drop the least recently used other branch; False when there is none."""
        others = [other for other in self._branches if other is not branch and other.tokens]
        if not others:
            return False
        self._drop(min(others, key=lambda other: other.used))
        return True

    def shift(self, tokens: Sequence[int], start: int, count: int) -> bool:
        """Take `count` tokens at `start` out of the branch that holds most of `tokens`.

        The tokens behind them move up without being evaluated again. Returns False, with
        nothing changed, where the memory or the content does not allow it.
        """
        if not (self._trimmable and self._memory.can_shift) or start < len(self.pinned):
            return False
        held = [(_common_prefix(branch.tokens, tokens), branch) for branch in self._branches]
        keep, branch = max(held, key=lambda pair: pair[0])
        if keep <= start + count:
            return False
        # Moved cells move in every sequence that shares them.
        for other in self._branches:
            if other is not branch and other.tokens:
                self._drop(other)
        if not self._memory.remove(branch.sequence, start, start + count):
            self._drop(branch)
            return False
        self._memory.shift(branch.sequence, start + count, -count)
        del branch.tokens[start : start + count]
        if not self._agrees(branch):
            self._drop(branch)
            return False
        return True

    def _longest(self, wanted: list[int]) -> tuple[Branch | None, int]:
        """The branch with the longest usable common prefix, always shorter than `wanted`."""
        best: Branch | None = None
        best_keep = len(self.pinned)
        for branch in self._branches:
            if not branch.tokens:
                continue
            keep = min(_common_prefix(branch.tokens, wanted), len(wanted) - 1)
            usable = keep == len(branch.tokens) or self._trimmable
            if usable and (
                keep > best_keep
                or (keep == best_keep and best is None and usable and len(branch.tokens) == keep)
            ):
                best, best_keep = branch, keep
        return best, best_keep

    def _can_cut(self, branch: Branch, keep: int) -> bool:
        """Whether the memory still holds what `keep` tokens attend to."""
        if not self._trimmable:
            return False
        if self._n_swa == 0:
            return True
        return self._memory.first_position(branch.sequence) <= max(0, keep - self._n_swa)

    def _fork_preamble(self) -> Branch:
        branch = self._take(exclude=None)
        assert branch is not None
        if self.pinned:
            self._memory.copy(PINNED, branch.sequence, -1)
        branch.tokens = list(self.pinned)
        return self._touch(branch)

    def _take(self, exclude: Branch | None) -> Branch | None:
        """An empty branch: a free one, or the least recently used."""
        candidates = [branch for branch in self._branches if branch is not exclude]
        if not candidates:
            return None
        branch = min(candidates, key=lambda candidate: (bool(candidate.tokens), candidate.used))
        self._drop(branch)
        return branch

    def _drop(self, branch: Branch) -> None:
        # Removing a whole sequence never fails.
        self._memory.remove(branch.sequence, -1, -1)
        branch.tokens = []
        branch.used = 0

    def _touch(self, branch: Branch) -> Branch:
        self._clock += 1
        branch.used = self._clock
        return branch

    def _agrees(self, branch: Branch) -> bool:
        return self._memory.last_position(branch.sequence) + 1 == len(branch.tokens)


@dataclass(frozen=True)
class Fit:
    """Which turns fit into the context: the first `dropped` ones leave it."""

    dropped: int
    tokens: int


def fit_turns(lengths: Sequence[int], pinned: int, n_ctx: int, max_tokens: int) -> Fit | None:
    """Drop the oldest turns until the rest fits with room for an answer.

    Args:
        lengths: Tokens of each turn, oldest first; the last one has to stay.
        pinned: Tokens of the preamble.
        n_ctx: Tokens of the context.
        max_tokens: Longest answer. Room is kept for it, but for at most a quarter of what
            the preamble leaves: a long limit must not empty the history.

    Returns:
        What to drop, or None where not even the last turn fits with one token of answer.
    """
    space = n_ctx - pinned
    if lengths[-1] + 1 > space:
        return None
    total = sum(lengths)
    dropped = 0
    while dropped < len(lengths) - 1 and total > space - answer_room(space, max_tokens):
        total -= lengths[dropped]
        dropped += 1
    return Fit(dropped, sum(lengths[:dropped]))


def answer_room(space: int, max_tokens: int) -> int:
    """Tokens kept free for an answer, of the `space` that the preamble leaves."""
    return max(1, min(max_tokens, space // 4))


def prefill(
    evaluate: Callable[[Sequence[int], int], None],
    tokens: Sequence[int],
    start: int,
    chunk: int,
    progress: Callable[[int], None],
) -> None:
    """Evaluate tokens[start:] in chunks that begin at `start`; `progress` gets the tokens done."""
    for begin in range(start, len(tokens), chunk):
        end = min(begin + chunk, len(tokens))
        evaluate(tokens[begin:end], begin)
        progress(end)


def _common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))
