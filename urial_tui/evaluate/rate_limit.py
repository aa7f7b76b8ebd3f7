"""Rate limit and backoff: an endpoint is asked so many times a minute, and not before it said so.

Who asks waits for its turn first, whether for the first time or again. Waiting longer and longer
after each failure, by a random time, keeps those who failed together from coming back together
("full jitter").
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

import msgspec

FIRST_BACKOFF: Final = 1.0
LONGEST_BACKOFF: Final = 60.0
"""Seconds: most of them after the first failure, doubled after each further one, up to the last."""


class Postponed(msgspec.Struct, frozen=True, kw_only=True):
    """Who can't answer now is asked again later. `why`: a sentence."""

    seconds: float
    why: str


class Clock:
    """Time, waiting and chance, which a test may replace."""

    def time(self) -> float:
        """Seconds since some moment; never goes back."""
        return time.monotonic()

    def date(self) -> float:
        """Seconds since 1970, to compare with the dates of others."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""
        await asyncio.sleep(seconds)

    def jitter(self, most: float) -> float:
        """A random number of seconds, from 0 to `most`."""
        return random.uniform(0, most)


class RateLimit:
    """A rate limiter: gives turns to those who ask one endpoint, all of them in one event loop.

    Args:
        clock: What waits.
        per_minute: Most turns a minute, evenly spread; None for any number.
    """

    def __init__(self, clock: Clock, per_minute: float | None = None) -> None:
        self._clock = clock
        self._interval = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._held = 0.0

    async def turn(self) -> None:
        """Wait until one may ask."""
        while (seconds := max(self._next, self._held) - self._clock.time()) > 0:
            await self._clock.sleep(seconds)
        self._next = self._clock.time() + self._interval

    def hold(self, seconds: float) -> None:
        """Give nobody a turn for so many seconds."""
        self._held = max(self._held, self._clock.time() + seconds)

    def backoff(self, failures: int) -> float:
        """Seconds to wait behind so many failures of one question in a row."""
        most = FIRST_BACKOFF * 2 ** min(max(failures, 1) - 1, 10)
        return self._clock.jitter(min(most, LONGEST_BACKOFF))
