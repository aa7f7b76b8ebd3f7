"""An estimate of a person's time left (ETA), by the time that each pair took.

The median, so that a pair over which somebody fetched a coffee counts like any other.
"""

from __future__ import annotations

from statistics import median

ENOUGH = 3
"""Pairs after which there is a pace to tell."""


class OwnPace:
    """Times of what was done since it began."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._times: list[float] = []

    def begin(self, now: float) -> None:
        """Something is there to be done, at a time in seconds."""
        self._began = now

    def done(self, now: float) -> None:
        """Stop the clock: it was done."""
        if self._began is not None:
            self._times.append(now - self._began)
            self._began = None

    def left(self, count: int) -> float | None:
        """Seconds for so many more; None where the pace is not known yet."""
        return median(self._times) * count if len(self._times) >= ENOUGH else None
