"""How far judging is, in words: judgements, the rate, the time that is left, the newest one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from urial_tui.engine.wire.events import Event, LoadProgress, PrefillProgress, Silence
from urial_tui.evaluate.judge import Judged
from urial_tui.evaluate.judgements import Judgement
from urial_tui.evaluate.judging import Judging, Made
from urial_tui.evaluate.rate_limit import Postponed
from urial_tui.evaluate.run_progress import SETTLED
from urial_tui.wording import amount, capital, duration, fixed, three_digits, time_left

_SOON: Final = 1.0
"""Seconds that are waited without a word."""


class JudgeProgress:
    """Counts what comes of judging.

    Args:
        stop_key: The key that ends it, as the user knows it.
        clock: Seconds, monotonic.
    """

    def __init__(self, stop_key: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._stop_key = stop_key
        self._clock = clock
        self._judging: Judging | None = None
        self._started = 0.0
        self._newest = ""
        self.made = 0
        """Judgements that were made now."""
        self.troubles: Counter[str] = Counter()
        """Why judgements have no scores, in sentences."""

    def begin(self, judging: Judging) -> None:
        """The time counts from here."""
        self._judging = judging
        self._started = self._clock()

    def take(self, step: Event | Postponed | Made) -> str:
        """Count what has come: what there is to show of it, or nothing."""
        match step:
            case Made(judgement=judgement, detail=detail):
                self.made += 1
                if detail:
                    self.troubles[detail] += 1
                self._newest = said(judgement)
                return self.words
            case Postponed(seconds=seconds, why=why) if seconds > _SOON:
                return f"Waiting for {duration(seconds)}: {why}"
            case LoadProgress(fraction=fraction):
                return f"Loading the judge: {fraction:.0%}"
            case PrefillProgress(stage="preamble", done=done, total=total) if not self.made:
                return f"Reading what all are judged by: {done:,} of {amount(total, 'token')}"
            case Silence():
                return capital(step.in_words(self._stop_key))
            case _:
                return ""

    @property
    def there(self) -> int:
        """How many judgements there are."""
        return 0 if self._judging is None else self._judging.taken_over + self.made

    @property
    def words(self) -> str:
        """How far it is, and the newest judgement."""
        total = 0 if self._judging is None else len(self._judging)
        words = f"{self.there:,} of {amount(total, 'judgement')}"
        if self.pace:
            words += f", {self.pace}"
        return words + (f": {self._newest}" if self._newest else "")

    @property
    def pace(self) -> str:
        """The rate, and the time that is left; nothing as long as they say nothing."""
        if self._judging is None or not self.made or self.seconds <= SETTLED:
            return ""
        rest, at_once = len(self._judging) - self.there, self._judging.at_once
        left = time_left(self.seconds, self.made, rest, at_once)
        return f"{three_digits(60 * self.made / self.seconds)} a minute, {left}"

    @property
    def seconds(self) -> float:
        """Since it began; 0 before."""
        return self._clock() - self._started if self._judging is not None else 0.0


def said(judgement: Judged) -> str:
    """A judgement in short: helpfulness 4.2, clarity unscored."""
    if isinstance(judgement, Judgement):
        scores = judgement.scores.items()
        parts = [
            f"{name} {'unscored' if s.score is None else fixed(s.score, 1)}" for name, s in scores
        ]
    else:
        preferences = judgement.preferences.items()
        parts = [f"{name} {one.choice or 'unscored'}" for name, one in preferences]
    return ", ".join(parts)
