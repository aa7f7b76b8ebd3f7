"""Timeouts: how long the client waits for a worker that says nothing.

A worker is silent while it evaluates a batch, reads a big tensor or writes a big state, so
silence alone ends nothing: it is only told. Once the user has asked to stop something, a worker
has `stop_within` seconds from its last word to obey, and is ended then; or when the user, who was
told that it does not stop, asks again.
"""

from __future__ import annotations

import platform
import sys
import time

from urial_tui.engine.wire.values import ModelInfo

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
"""Whether a running evaluation can be stopped here (`native.abort_flag` says how)."""


def stop_within(info: ModelInfo | None) -> float:
    """Seconds that a worker gets to obey.

    The flag ends an evaluation on the CPU in milliseconds. Elsewhere it ends with its batch,
    which may take a big model on a slow machine the better part of a minute.
    """
    on_cpu = info is None or info.gpu_layers == 0
    return 10.0 if INTERRUPTIBLE and on_cpu else 60.0


class Patience:
    """The watchdog timer of one worker."""

    def __init__(self) -> None:
        self.limit = stop_within(None)
        """Seconds from a request to stop, or from the last word after it, to the end."""
        self._heard = time.monotonic()
        self._stop_at: float | None = None

    def heard(self) -> None:
        """Something came, or is asked of a worker that had nothing to say until now."""
        self._heard = time.monotonic()

    def stop(self) -> None:
        """The user asked to stop; the first time counts."""
        if self._stop_at is None:
            self._stop_at = time.monotonic()

    def stopped(self) -> None:
        """All that was to stop has stopped."""
        self._stop_at = None

    @property
    def silent_for(self) -> float:
        """Seconds since the last word, or since the request to stop if that came later."""
        return time.monotonic() - max(self._heard, self._stop_at or 0.0)

    @property
    def unheeded(self) -> bool:
        """Whether it was asked to stop, and its silence since then has been told."""
        return self._stop_at is not None and self.silent_for >= TOLD_STOPPING

    @property
    def ends_in(self) -> float | None:
        """Seconds until it is at an end, below 0 then; None where nobody asked to stop."""
        return None if self._stop_at is None else self.limit - self.silent_for


class Teller:
    """When one who waits is to be told that nothing comes.

    Args:
        patience: The clock of the worker that is waited for.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._told = 0.0
        self._stopping = False

    def due(self) -> bool:
        """Whether to tell it now; then the next time is `TOLD_EVERY` later."""
        silent_for = self._patience.silent_for
        stopping = self._patience.ends_in is not None
        if silent_for < self._told or stopping != self._stopping:
            self._told, self._stopping = 0.0, stopping
        first = TOLD_STOPPING if stopping else TOLD_AFTER
        if silent_for < (self._told + TOLD_EVERY if self._told else first):
            return False
        self._told = silent_for
        return True
