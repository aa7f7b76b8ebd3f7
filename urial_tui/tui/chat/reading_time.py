"""An estimate of the time left (ETA) of a prefill, by what was read since its start."""

from __future__ import annotations

import time
from collections.abc import Callable

from urial_tui.engine.wire.events import PrefillProgress


class ReadingTime:
    """Estimates by the progress reports of one prefill after another.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: PrefillProgress | None = None
        self._since = 0.0

    def left(self, event: PrefillProgress) -> float:
        """Seconds that the rest may take; 0 where that is not known yet."""
        now, first = self._clock(), self._first
        same = first is not None and (first.stage, first.total) == (event.stage, event.total)
        if first is None or not same or event.done <= first.done:
            self._first, self._since = event, now
            return 0.0
        return (event.total - event.done) * (now - self._since) / (event.done - first.done)
