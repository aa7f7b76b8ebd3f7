"""The rate at which answers grow, in tokens a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from urial_tui.engine.wire.events import TextDelta


class Rate:
    """Tokens a second of the answers that are written beside each other, all of them counted.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first = 0.0
        self._written: dict[int, int] = {}

    def after(self, event: TextDelta) -> float:
        """The rate once this was written; 0 where it is not known yet."""
        now = self._clock()
        self._written[event.sample] = event.generated
        total = sum(self._written.values())
        if total:
            self._first = self._first or now
        return (total - 1) / (now - self._first) if now > self._first > 0 else 0.0
