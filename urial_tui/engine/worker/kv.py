"""The bookkeeping of the KV cache: which tokens sit in which sequence.

Sequence 0 holds the pinned preamble and is never trimmed. Sequence 1 is the branch: it holds
the preamble and the tokens of the conversation that is being written, forked so that shared
tokens share cells. Before an evaluation, `place` makes the branch hold what can be kept of the
wanted tokens; what it says is in a sequence is what the native memory holds there, or it is
dropped.

The same tokens have to give the same logits, whatever ran before. Rounding depends on the
lengths of the batches and on where in the memory the cells lie. So a text is always evaluated
in the same *runs* (`runs`), of which each one is one batch; only whole runs are kept, never the
tokens of an answer that were evaluated one by one; and the branch's cells always follow the
preamble's, for there is no other branch. (Where the oldest turns have left a full context, the
cells behind them have been moved, and that does not hold.)

What can be trimmed depends on the memory: attention can be cut anywhere; a sliding window
only while the window before the cut is still there; recurrent memory not at all. There the
further sequences keep copies of the branch as it was before a run, to go on from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Protocol

from urial_tui.engine.wire.values import MemoryKind
from urial_tui.engine.worker.steps import Steps

PINNED = 0
"""The preamble's sequence."""

_BRANCH = 1


class Memory(Protocol):
    """The protocol of the native KV cache (`context.LlamaContext`)."""

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
    """A sequence and the tokens that it holds, the preamble's included.

    `ends`: where the runs behind the preamble end that were evaluated whole; what follows the
    last one (the tokens of an answer) was not.
    """

    sequence: int
    tokens: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    used: int = 0


class KVCache:
    """The bookkeeping over one context.

    Args:
        memory: The native memory; nothing else may change it.
        kind: What kind of memory it is.
        n_swa: The sliding window in tokens, 0 without one.
        sequences: How many sequences the memory has, at least 3.
    """

    def __init__(self, memory: Memory, kind: MemoryKind, n_swa: int, sequences: int) -> None:
        self._memory = memory
        self._trimmable = kind in ("attention", "sliding-window")
        self._n_swa = n_swa
        self.pinned: tuple[int, ...] = ()
        self._pinned_ready = False
        self._begun: tuple[int, ...] = ()
        self._branch = Branch(_BRANCH)
        self._checkpoints = [Branch(sequence) for sequence in range(_BRANCH + 1, sequences)]
        self._clock = 0

    # -- the preamble ---------------------------------------------------------------

    def is_pinned(self, tokens: Sequence[int]) -> bool:
        """Whether these tokens are the pinned preamble."""
        return self._pinned_ready and self.pinned == tuple(tokens)

    def reset(self) -> None:
        """Forget everything and empty the memory."""
        self._memory.clear()
        self.pinned = self._begun = ()
        self._pinned_ready = False
        for branch in (self._branch, *self._checkpoints):
            branch.tokens, branch.ends, branch.used = [], [], 0

    def leave(self, tokens: Sequence[int]) -> None:
        """An evaluation of a preamble was stopped behind `tokens`, its whole runs; keep those."""
        self._begun = tuple(tokens)
        whole = self._trimmable and self._memory.remove(PINNED, len(tokens), -1)
        if not (whole and self._memory.last_position(PINNED) + 1 == len(tokens)):
            self.reset()

    def begun(self, tokens: Sequence[int]) -> int:
        """How many of `tokens` are there from an evaluation that was stopped; 0: nothing is."""
        held = len(self._begun)
        if not held or self._begun != tuple(tokens[:held]):
            self.reset()
            return 0
        return held

    def pin(self, tokens: Sequence[int]) -> None:
        """Record that sequence 0 now holds exactly `tokens` (evaluated or restored)."""
        self.pinned = tuple(tokens)
        self._pinned_ready = True

    # -- the branch -----------------------------------------------------------------

    def place(self, tokens: Sequence[int], ends: Sequence[int]) -> Branch:
        """The branch, with as many whole runs of `tokens` in it as can be kept.

        `tokens` starts with the pinned preamble; `ends` (of `runs`) tells where its runs end.
        The last run is never kept, for its logits are wanted. What the branch lacks is to be
        evaluated run by run and reported with `extend` and `settle`.
        """
        wanted = list(tokens)
        assert self._pinned_ready
        assert tuple(wanted[: len(self.pinned)]) == self.pinned
        keep = {branch.sequence: self._keep(branch, wanted, ends) for branch in self._all()}
        for checkpoint in self._checkpoints:
            if len(checkpoint.tokens) != keep[checkpoint.sequence]:
                self._drop(checkpoint)
        held = keep[_BRANCH]
        if self._branch.tokens and (held == len(self._branch.tokens) or self._cut(held)):
            return self._branch
        self._drop(self._branch)
        source = max(self._checkpoints, key=lambda other: len(other.tokens), default=None)
        if source is None or not source.tokens:
            self._memory.copy(PINNED, _BRANCH, -1)
            self._branch.tokens = list(self.pinned)
            return self._branch
        self._memory.copy(source.sequence, _BRANCH, -1)
        self._branch.tokens, self._branch.ends = list(source.tokens), list(source.ends)
        self._touch(source)
        return self._branch

    def checkpoint(self, branch: Branch) -> None:
        """Keep a copy of a branch that can't be cut later (recurrent memory)."""
        if self._trimmable or not branch.ends:
            return
        known = next((kept for kept in self._checkpoints if kept.tokens == branch.tokens), None)
        if known is None:
            known = min(self._checkpoints, key=lambda kept: kept.used)
            self._drop(known)
            self._memory.copy(branch.sequence, known.sequence, -1)
            known.tokens, known.ends = list(branch.tokens), list(branch.ends)
        self._touch(known)

    def extend(self, branch: Branch, tokens: Sequence[int]) -> None:
        """Record that `tokens` were evaluated at the end of the branch."""
        branch.tokens.extend(tokens)

    def settle(self, branch: Branch) -> None:
        """Record that what was evaluated last was a whole run, behind whole runs."""
        branch.ends.append(len(branch.tokens))

    def reconcile(self, branch: Branch) -> None:
        """After an aborted evaluation: believe the memory, or drop the branch."""
        held = self._memory.last_position(branch.sequence) + 1
        if self._trimmable and len(self.pinned) <= held <= len(branch.tokens):
            self._forget_behind(held)
        else:
            self._drop(branch)

    def make_room(self) -> bool:
        """Drop the least recently used checkpoint; False when there is none."""
        held = [checkpoint for checkpoint in self._checkpoints if checkpoint.tokens]
        if not held:
            return False
        self._drop(min(held, key=lambda checkpoint: checkpoint.used))
        return True

    def shift(self, tokens: Sequence[int], start: int, count: int) -> bool:
        """Take `count` tokens at `start` out of the branch, where it holds more of `tokens`.

        The tokens behind them move up without being evaluated again. Returns False, with
        nothing changed, where the memory or the content does not allow it.
        """
        if not (self._trimmable and self._memory.can_shift) or start < len(self.pinned):
            return False
        branch = self._branch
        if common_prefix(branch.tokens, tokens) <= start + count:
            return False
        if not self._memory.remove(branch.sequence, start, start + count):
            self._drop(branch)
            return False
        self._memory.shift(branch.sequence, start + count, -count)
        del branch.tokens[start : start + count]
        branch.ends = [end - count for end in branch.ends if end > start + count]
        if not self._agrees(branch):
            self._drop(branch)
            return False
        return True

    # -- parts ----------------------------------------------------------------------

    def _all(self) -> list[Branch]:
        return [self._branch, *self._checkpoints]

    def _keep(self, branch: Branch, wanted: list[int], ends: Sequence[int]) -> int:
        """How many tokens of a branch are whole runs of what is wanted, the last one left out."""
        keep = len(self.pinned) if branch.tokens else 0
        for own, end in zip(branch.ends, ends, strict=False):
            if own != end or end >= len(wanted) or branch.tokens[keep:end] != wanted[keep:end]:
                break
            keep = end
        return keep

    def _cut(self, keep: int) -> bool:
        """Cut the branch behind `keep` tokens; where it can't be, what it holds is unclear."""
        branch = self._branch
        if not self._trimmable:
            return False
        first_needed = max(0, keep - self._n_swa)
        if self._n_swa and self._memory.first_position(branch.sequence) > first_needed:
            return False
        if not self._memory.remove(branch.sequence, keep, -1):
            return False
        self._forget_behind(keep)
        return self._agrees(branch)

    def _forget_behind(self, keep: int) -> None:
        del self._branch.tokens[keep:]
        self._branch.ends = [end for end in self._branch.ends if end <= keep]

    def _drop(self, branch: Branch) -> None:
        # Removing a whole sequence never fails.
        self._memory.remove(branch.sequence, -1, -1)
        branch.tokens, branch.ends, branch.used = [], [], 0

    def _touch(self, branch: Branch) -> None:
        self._clock += 1
        branch.used = self._clock

    def _agrees(self, branch: Branch) -> bool:
        return self._memory.last_position(branch.sequence) + 1 == len(branch.tokens)


@dataclass(frozen=True)
class FittingTurns:
    """Which turns fit into the context: the first `dropped` ones leave it."""

    dropped: int
    tokens: int


def fit_turns(
    lengths: Sequence[int], pinned: int, n_ctx: int, max_tokens: int
) -> FittingTurns | None:
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
    return FittingTurns(dropped, sum(lengths[:dropped]))


def answer_room(space: int, max_tokens: int) -> int:
    """Tokens kept free for an answer, of the `space` that the preamble leaves."""
    return max(1, min(max_tokens, space // 4))


def runs(start: int, lengths: Sequence[int], most: int) -> list[int]:
    """Where the runs of a text end: each turn by itself, in batches of at most `most` tokens.

    Args:
        start: Tokens in front of the first turn.
        lengths: Tokens of each turn.
        most: Longest batch.
    """
    edges = [start, *(start + total for total in accumulate(lengths))]
    return [
        min(begin + most, end)
        for first, end in pairwise(edges)
        for begin in range(first, end, most)
    ]


def prefill(
    evaluate: Callable[[Sequence[int]], None],
    tokens: Sequence[int],
    start: int,
    ends: Sequence[int],
    progress: Callable[[int], None],
) -> Steps[None]:
    """Evaluate tokens[start:] run by run; `progress` gets the tokens done."""
    for end in ends:
        if end > start:
            yield
            evaluate(tokens[start:end])
            start = end
            progress(end)


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))
