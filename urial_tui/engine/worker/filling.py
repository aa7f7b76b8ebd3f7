"""Which tokens a pool evaluates next: those that are written, and those that are read.

Each answer that is written goes on by one token, and what room is left is for reading. Where a CPU
computes, a batch in which something is written is kept small (`limits.written_batch`): what does
not fit beside the writers is read in a batch of its own, between two in which they write, and
writers that are too many take turns. The batches follow from what there is, never from the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from urial_tui.engine.native.batch import BatchPart


class Reading(Protocol):
    """Something that has tokens to be read."""

    @property
    def unread(self) -> int:
        """How many."""

    def part(self, most: int) -> BatchPart:
        """The next of them, at most so many."""


_Writer = TypeVar("_Writer")
_Reader = TypeVar("_Reader", bound=Reading)


class Filling:
    """The batches of one pool.

    Args:
        most: Most tokens of a batch.
        written: Most tokens of one in which something is written.
    """

    def __init__(self, most: int, written: int) -> None:
        self._most = most
        self._written = min(written, most)
        self._only_read = False
        """Whether nothing was written in the last batch."""

    def next(
        self, writers: Sequence[_Writer], readers: Sequence[_Reader]
    ) -> tuple[Sequence[_Writer], list[tuple[_Reader, BatchPart]]]:
        """Who writes a token in the next batch, and who reads what in it.

        Args:
            writers: Those that write, the ones that waited longest first.
            readers: Those that read, in the order of their turns.
        """
        turns = -(-len(writers) // self._written)
        chosen = writers[: -(-len(writers) // turns)] if turns else writers
        room = self._written - len(chosen)
        fits = self._written == self._most or sum(reader.unread for reader in readers) <= room
        if not chosen or not (fits or self._only_read):
            chosen, room = writers[:0], self._most
        self._only_read = not chosen
        parts: list[tuple[_Reader, BatchPart]] = []
        for reader in readers:
            if not room:
                break
            part = reader.part(room)
            room -= len(part.tokens)
            parts.append((reader, part))
        return chosen, parts
