"""How long and how often a host is waited for, and when there is no sense in more.

What a host asks for with Retry-After is told here in seconds; whether it is waited for is said by
whoever asks.
"""

from __future__ import annotations

import time

import msgspec

from urial_tui.http_answers import seconds_to_wait


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how often is tried; seconds and bytes.

    `silence`: without a byte; `head`: until an answer has its head, with all redirects; `listing`:
    until a list has come; `attempts`: in a row that bring nothing, and `patience`: which these and
    the pauses between them may take; `pause`: before the second, doubled with each more;
    `slow_bytes` have to come in `slow_seconds`; `longest_wait` that a host may ask for.
    """

    connect: float = 10.0
    silence: float = 30.0
    head: float = 60.0
    listing: float = 120.0
    attempts: int = 6
    patience: float = 120.0
    pause: float = 1.0
    slow_seconds: float = 60.0
    slow_bytes: int = 60_000
    longest_wait: float = 90.0


class Attempts:
    """Counts attempts that failed, one after another, and says when there is no sense in more.

    Args:
        limits: How often, and how long altogether.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._failures = 0
        self._seconds = 0.0

    def start_anew(self) -> None:
        """Forget those that failed: something came."""
        self._failures, self._seconds = 0, 0.0

    def pause(self, seconds: float, asked: float) -> float | None:
        """Seconds to wait after one that failed; None to give up.

        Args:
            seconds: That it took, in vain.
            asked: For how many the host wants not to be asked.
        """
        limits = self._limits
        self._failures += 1
        wait = max(asked, limits.pause * 2.0 ** (self._failures - 1))
        self._seconds += seconds + wait
        if self._failures >= limits.attempts or self._seconds > limits.patience:
            return None
        return wait


def retry_after(text: str) -> float:
    """Seconds by the header Retry-After, "" for none; what can't be read counts as a minute."""
    if not text:
        return 0.0
    found = seconds_to_wait(text, time.time())
    return 60.0 if found is None else found
