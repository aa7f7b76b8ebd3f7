"""How many threads evaluate batches while other programs want the cores, too.

The threads of an evaluation wait for each other many times in a batch. Where one of them is not
running, all wait, and two threads take several times as long as one. Whether they run shows in the
processor time that a batch was given: less than its duration times its threads. So no speed has to
be known beforehand, and a machine that is busy from the start is noticed with the first batch.

The result of a batch of several tokens does not depend on the number of threads.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

CROWDED = 0.7
"""Share of the processor time that was asked for, below which threads give way."""

FIRST_RETRY = 0.5
"""Seconds after which all threads are tried again: most of what disturbs is over by then."""

LAST_RETRY = 10.0
"""Where they are disturbed again and again, it takes twice as long each time, up to this."""

_SHORTEST = 0.002
"""Seconds of measured evaluation that tell something."""


class BatchThreads:
    """The number of threads for the next batch: `threads`, at most `full`.

    Args:
        full: As many as there are to be on a calm machine.
        clock: Seconds that pass.
        processor: Seconds of all processors that this process was given.
    """

    def __init__(
        self,
        full: int,
        clock: Callable[[], float] = time.perf_counter,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        self.full = full
        self.threads = full
        self._clock = clock
        self._processor = processor
        self._lowered_at = 0.0
        self._raised_at = float("-inf")
        self._retry = FIRST_RETRY
        self._passed = self._given = 0.0

    @contextlib.contextmanager
    def measured(self, evaluations: int = 1) -> Iterator[None]:
        """A batch is evaluated meanwhile, or several at the same time by the threads of each."""
        began, given = self._clock(), self._processor()
        yield
        now = self._clock()
        self._passed += (now - began) * self.threads * evaluations
        self._given += self._processor() - given
        if self._passed < _SHORTEST * self.threads * evaluations:
            return
        share = self._given / self._passed
        self._passed = self._given = 0.0
        if self.threads > 1 and share < CROWDED:
            self._give_way(now)
        elif self.threads < self.full and now - self._lowered_at > self._retry:
            self.threads = self.full
            self._raised_at = now

    def _give_way(self, now: float) -> None:
        if self.threads == self.full:
            calm = now - self._raised_at > LAST_RETRY
            self._retry = FIRST_RETRY if calm else min(2 * self._retry, LAST_RETRY)
        self.threads = max(1, self.threads // 2)
        self._lowered_at = now
