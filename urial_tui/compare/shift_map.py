"""What a second side says of one answer, token by token, as far as it has read.

Places are in characters of the answer as it was written, before anything is made safe to show.
A character that several tokens spell has the class of the most shifted of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from urial_tui.engine.wire.events import Shifts
from urial_tui.engine.wire.shift_class import ShiftClass, shift_class


class Stretch(NamedTuple):
    """A part of an answer's text that has one class; None where nothing is known of it."""

    start: int
    end: int
    kind: ShiftClass | None


class ShiftMap:
    """The classes of an answer's tokens and their places in it; it grows by the engine's `Shifts`.

    Args:
        side: What reads, in words: its model and its context.
    """

    def __init__(self, side: str) -> None:
        self.side = side
        self._tokens: list[tuple[int, int]] = []  # (where it starts, rank)
        self._stretches: list[Stretch] = []
        self._ends: list[int] = []
        self._open: list[int] = []  # ranks of tokens that end within a character

    def add(self, shifts: Shifts) -> None:
        """Take in what is said of the next tokens."""
        start = shifts.start
        for end, rank in zip(shifts.ends, shifts.ranks, strict=True):
            self._tokens.append((start, rank))
            self._open.append(rank)
            if end > start:
                kind = shift_class(max(self._open, key=_distance))
                self._open.clear()
                self._extend(Stretch(start, end, kind))
            start = end

    def _extend(self, stretch: Stretch) -> None:
        last = self._stretches[-1] if self._stretches else None
        if last is not None and (last.end, last.kind) == (stretch.start, stretch.kind):
            self._stretches[-1] = Stretch(last.start, stretch.end, stretch.kind)
            self._ends[-1] = stretch.end
        else:
            self._stretches.append(stretch)
            self._ends.append(stretch.end)

    @property
    def through(self) -> int:
        """Up to where the text is known."""
        return self._ends[-1] if self._ends else 0

    def stretches(self, start: int, end: int) -> Iterator[Stretch]:
        """The text from `start` to `end` without a gap, in its order."""
        here = start
        for known in self._stretches[bisect_right(self._ends, start) :]:
            if known.start >= end:
                break
            if known.start > here:
                yield Stretch(here, known.start, None)
            here = max(here, known.start)
            stop = min(known.end, end)
            yield Stretch(here, stop, known.kind)
            here = stop
        if here < end:
            yield Stretch(here, end, None)

    def counts(self, length: int) -> Counter[ShiftClass]:
        """How many tokens of each class start within an answer's first `length` characters."""
        return Counter(shift_class(rank) for start, rank in self._tokens if start < length)


def _distance(rank: int) -> float:
    """By how much a rank is shifted; a token that the side lacks is shifted most."""
    return float(rank) if rank else float("inf")
