"""The transfer rate of a download, and how long it will take, by what came in the last seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from urial_tui import wording

_WINDOW_S = 20.0
"""Seconds by which a rate is measured."""
_MARK_EVERY_S = 0.5


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How far a file is. Bytes, and bytes a second; 0 for what is not known (yet).

    `reading`: whether what lay there is read, before more comes; the bytes are those of it.
    `trouble`: why it is asked for again, a clause; "" where it is not.
    """

    name: str = ""
    done: int = 0
    total: int = 0
    rate: float = 0.0
    reading: bool = False
    trouble: str = ""

    @property
    def seconds_left(self) -> float | None:
        """Until all is there; None where that is not known."""
        if self.rate < 1 or not self.total:
            return None
        return max(0, self.total - self.done) / self.rate

    @property
    def words(self) -> str:
        """105 MB of 253 MB (42%), 3.10 MB/s, 48 s left."""
        if self.reading:
            share = f" ({self.done / self.total:.0%})" if self.total else ""
            return f"checking the {wording.size(self.total)} that are here{share}"
        if not (self.done or self.total):
            return f"trying again: {self.trouble}" if self.trouble else "asking for the file"
        words = wording.size(self.done)
        if self.total:
            words += f" of {wording.size(self.total)} ({self.done / self.total:.0%})"
        if self.trouble:
            words += f", trying again: {self.trouble}"
        if self.rate >= 1:
            words += f", {wording.byte_rate(self.rate)}"
        if self.seconds_left is not None:
            words += f", {wording.duration(self.seconds_left)} left"
        return words


class Meter:
    """Measures the transfer rate of one file after another.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._name = ""
        self._done = 0
        self._total = 0
        self._marks: list[tuple[float, int]] = []

    def begin(self, name: str) -> Pace:
        """Start with another file."""
        self._name, self._done, self._total, self._marks = name, 0, 0, []
        return Pace(name=name)

    def again(self, why: str) -> Pace:
        """The file is asked for again; `why`, a sentence. What was measured counts no more."""
        self._marks = []
        return Pace(
            name=self._name,
            done=self._done,
            total=self._total,
            trouble=f"{why[:1].lower()}{why[1:]}".rstrip("."),
        )

    def read(self, done: int, total: int) -> Pace:
        """So many bytes were read of those that lay there; that is no download."""
        self._marks, self._done = [], done
        return Pace(name=self._name, done=done, total=total, reading=True)

    def count(self, done: int, total: int) -> Pace:
        """So many bytes of so many are there."""
        now, marks = self._clock(), self._marks
        if total != self._total:
            # It is counted anew.
            marks, self._total = [], total
        self._done = done
        if not marks or now - marks[-1][0] >= _MARK_EVERY_S or done < marks[-1][1]:
            if marks and done < marks[-1][1]:
                marks = []
            self._marks = [mark for mark in marks if now - mark[0] < _WINDOW_S]
            self._marks.append((now, done))
        since, at = self._marks[0]
        rate = (done - at) / (now - since) if now - since >= 1.0 else 0.0
        return Pace(name=self._name, done=done, total=total, rate=rate)
