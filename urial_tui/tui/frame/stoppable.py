"""A progress callback that cancels the work in a thread: it raises there once it is stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, ParamSpec

from urial_tui.runtime.in_thread import in_loop

P = ParamSpec("P")


class Ended(Exception):  # no error
    """The work was cancelled."""


class Stoppable(Generic[P]):
    """A progress callback for work in another thread; raises `Ended` there once it is stopped.

    Args:
        tell: Called with the same, in the event loop that runs now.
        every: Seconds between two calls of it at least.
    """

    def __init__(self, tell: Callable[P, object], every: float = 0.0) -> None:
        self._tell = in_loop(tell)
        self._every = every
        self._told = float("-inf")
        self._stopped = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether the work was cancelled."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Cancel the work."""
        self._stopped.set()

    def __call__(self, *given: P.args, **named: P.kwargs) -> None:
        """Report progress, now and then."""
        if self.stopped:
            raise Ended
        now = time.monotonic()
        if now - self._told >= self._every:
            self._told = now
            self._tell(*given, **named)
