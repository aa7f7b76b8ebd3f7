"""How long the client waits for a worker that says nothing.

A worker is silent while it evaluates a batch, reads a big tensor or writes a big state, so
silence alone ends nothing: it is only told. Once the user has asked to stop, a worker has
`stop_within` seconds from its last word to obey, and is ended then.
"""

from __future__ import annotations

import platform
import sys
import time

from urial_tui.engine.wire.protocol import ModelInfo

TOLD_AFTER = 20.0
"""Seconds of silence until the user is told."""

TOLD_STOPPING = 2.0
"""The same after a request to stop."""

TOLD_EVERY = 5.0
"""Seconds until it is told again."""

LOOK_EVERY = 0.25
"""Seconds in which a request to stop is noticed by who waits."""

INTERRUPTIBLE = sys.platform in ("linux", "darwin") and platform.machine().lower() in (
    *("x86_64", "amd64"),
    *("aarch64", "arm64"),
)
"""Whether a running evaluation can be stopped here (`context.AbortFlag` says how)."""


def stop_within(info: ModelInfo | None) -> float:
    """Seconds that a worker gets to obey.

    The flag ends an evaluation on the CPU in milliseconds. Elsewhere it ends with its batch,
    which may take a big model on a slow machine the better part of a minute.
    """
    on_cpu = info is None or info.gpu_layers == 0
    return 10.0 if INTERRUPTIBLE and on_cpu else 60.0


class Patience:
    """The clock of one request.

    Args:
        limit: Seconds from a request to stop, or from the last word after it, to the end.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._heard = time.monotonic()
        self._stop_at: float | None = None
        self._told = 0.0

    def heard(self) -> None:
        """Something came."""
        self._heard, self._told = time.monotonic(), 0.0

    def stop(self) -> None:
        """The user asked to stop; the first time counts."""
        if self._stop_at is None:
            self._stop_at, self._told = time.monotonic(), 0.0

    @property
    def silent_for(self) -> float:
        """Seconds since the last word, or since the request to stop if that came later."""
        return time.monotonic() - max(self._heard, self._stop_at or 0.0)

    @property
    def ends_in(self) -> float | None:
        """Seconds until it is at an end, below 0 then; None where nobody asked to stop."""
        return None if self._stop_at is None else self.limit - self.silent_for

    def tells(self) -> bool:
        """Whether the user is to be told of the silence now."""
        first = TOLD_AFTER if self._stop_at is None else TOLD_STOPPING
        due = self._told + TOLD_EVERY if self._told else first
        if self.silent_for < due:
            return False
        self._told = self.silent_for
        return True
