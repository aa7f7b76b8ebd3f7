"""What several answers of a pool start with, and the room that is left for them.

A prefix is a text in a sequence of its own: a preamble, or one and how all questions behind it
start, or one and a question that is answered several times. Whoever writes behind it is forked
from it, so that its cells are there once, and holds a lease on it meanwhile. Nothing is admitted
whose cells were not reserved: what the context can't hold waits, and no answer is ever in the way
of another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from urial_tui.engine.native.batch import BatchPart
from urial_tui.engine.worker.kv import Memory


class Prefix:
    """A text that is evaluated, or will be.

    Args:
        sequence: Where it is.
        tokens: Its ids.
        base: The prefix whose cells it starts with.
    """

    def __init__(self, sequence: int, tokens: tuple[int, ...], base: Prefix | None) -> None:
        self.sequence = sequence
        self.tokens = tokens
        self.base = base
        self.held = len(base.tokens) if base else 0
        """How many of the tokens are evaluated."""
        self.leases = 0
        self.used = 0

    @property
    def ready(self) -> bool:
        """Whether all of it is evaluated."""
        return self.held == len(self.tokens)

    @property
    def unread(self) -> int:
        """Tokens that are not evaluated."""
        return len(self.tokens) - self.held

    @property
    def cells(self) -> int:
        """Cells that are its own."""
        return len(self.tokens) - (len(self.base.tokens) if self.base else 0)

    def part(self, most: int) -> BatchPart:
        """What is to be evaluated next, at most so many tokens."""
        return BatchPart(self.tokens[self.held : self.held + most], self.held, self.sequence, 0)


class Prefixes:
    """The prefixes of one context, and its free cells.

    Args:
        memory: The context's.
        sequences: Those that are for prefixes.
    """

    def __init__(self, memory: Memory, sequences: Iterable[int]) -> None:
        self._memory = memory
        self._free_sequences = sorted(sequences, reverse=True)
        self._prefixes: list[Prefix] = []
        self._clock = 0
        self.free = memory.n_ctx
        """Cells that nobody has or was promised."""

    def find(self, tokens: Sequence[int]) -> Prefix | None:
        """The prefix of exactly these tokens."""
        wanted = tuple(tokens)
        found = next((prefix for prefix in self._prefixes if prefix.tokens == wanted), None)
        if found:
            self._touch(found)
        return found

    def add(self, tokens: Sequence[int], base: Prefix | None, more: int) -> Prefix | None:
        """A new prefix, to be evaluated; None where there is no room yet.

        Args:
            tokens: Its ids; they start with those of `base`.
            base: What it is forked from.
            more: Cells that whoever writes behind it will reserve, so that it is not read in vain.
        """
        prefix = Prefix(-1, tuple(tokens), base)
        if base:
            base.leases += 1
        if not self._make_room(prefix.cells + more) or not self._make_sequence():
            if base:
                base.leases -= 1
            return None
        prefix.sequence = self._free_sequences.pop()
        self.free -= prefix.cells
        if base:
            self._memory.copy(base.sequence, prefix.sequence, -1)
        self._prefixes.append(prefix)
        self._touch(prefix)
        return prefix

    def others(self, prefix: Prefix) -> list[Prefix]:
        """All prefixes but this one, those that start with others first."""
        others = [other for other in self._prefixes if other is not prefix]
        return sorted(others, key=lambda other: other.base is None)

    def reserve(self, cells: int, prefix: Prefix) -> bool:
        """Promise cells to an answer behind a prefix, which is kept until they are given back."""
        prefix.leases += 1
        if self._make_room(cells):
            self.free -= cells
            return True
        prefix.leases -= 1
        return False

    def give_back(self, cells: int, prefix: Prefix) -> None:
        """An answer behind a prefix has left the memory."""
        self.free += cells
        prefix.leases -= 1

    def drop(self, prefix: Prefix) -> None:
        """Take a prefix that nobody holds out of the memory."""
        assert not prefix.leases
        self._prefixes.remove(prefix)
        self._memory.remove(prefix.sequence, -1, -1)
        self._free_sequences.append(prefix.sequence)
        self.free += prefix.cells
        if prefix.base:
            prefix.base.leases -= 1

    def clear(self) -> None:
        """Forget all of them; nobody holds one, and the memory was emptied."""
        self._free_sequences += [prefix.sequence for prefix in self._prefixes]
        self._prefixes.clear()
        self.free = self._memory.n_ctx

    def _make_room(self, cells: int) -> bool:
        while self.free < cells and self._drop_oldest():
            pass
        return self.free >= cells

    def _make_sequence(self) -> bool:
        return bool(self._free_sequences) or self._drop_oldest()

    def _drop_oldest(self) -> bool:
        idle = [prefix for prefix in self._prefixes if not prefix.leases]
        if idle:
            self.drop(min(idle, key=lambda prefix: prefix.used))
        return bool(idle)

    def _touch(self, prefix: Prefix) -> None:
        self._clock += 1
        prefix.used = self._clock
