"""How far a run is, in words: items, rates, the time that is left, and the newest answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from urial_tui.engine.wire.events import LoadProgress, PrefillProgress, Silence, TextDelta
from urial_tui.evaluate.generate import Answered, Skipped
from urial_tui.evaluate.rate_limit import Postponed
from urial_tui.evaluate.readers import ReadRole
from urial_tui.evaluate.run import Read, ReadingBegun, Run, RunStep, Unread
from urial_tui.sanitize import quoted, sanitize_line
from urial_tui.wording import amount, capital, duration, rate, three_digits, time_left

SETTLED: Final = 2.0
"""Seconds after which a rate says something."""

_TEXTS: Final[Mapping[ReadRole, str]] = {"reference": "reference answer", "aligned": "answer"}
"""What each reader reads."""


class RunProgress:
    """Counts what comes of a run.

    Args:
        stop_key: The key that ends it, as the user knows it.
        clock: Seconds, monotonic.
    """

    def __init__(self, stop_key: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._stop_key = stop_key
        self._clock = clock
        self._run: Run | None = None
        self._started = 0.0
        self._live = 0
        self._by_request: Counter[int] = Counter()
        """Tokens of answers that are being written."""
        self._newest = ""
        self._reading: ReadingBegun | None = None
        """What is being read, once all is answered."""
        self._reading_since = 0.0
        self.read = 0
        """Texts that were read, or can't be."""
        self.items = 0
        """How many are answered."""
        self.answers = 0
        """What was written now, unfinished answers left out."""
        self.tokens: int | None = 0
        """Of these answers; None where an endpoint did not count those of each."""

    def begin(self, run: Run) -> None:
        """The time counts from here."""
        self._run = run
        self._started = self._clock()
        self.items = run.taken_over

    def take(self, step: RunStep) -> str:
        """Count what has come: what there is to show of it, or nothing."""
        match step:
            case TextDelta(id=request, generated=generated) if self._reading is None:
                self._live += max(0, generated - self._by_request[request])
                self._by_request[request] = max(self._by_request[request], generated)
                return self.words
            case Answered(item=item, turn=turn, written=written):
                self.answers += 1
                self.tokens = tokens_of((self.tokens, written.exchange.tokens))
                self.items += turn + 1 == len(item.turns)
                lines = written.exchange.output.strip().splitlines()
                self._newest = sanitize_line(lines[0]) if lines else "(empty)"
                return self.words
            case Skipped():
                return self.words
            case Postponed(seconds=seconds, why=why):
                again = duration(max(1.0, seconds))
                return f"{sanitize_line(why).removesuffix('.')}; trying again in {again}"
            case ReadingBegun():
                self._reading, self._reading_since, self.read = step, self._clock(), 0
                return self._reading_words
            case Read(done=done):
                self.read = done
                return self._reading_words
            case Unread():
                self.read += 1
                return self._reading_words
            case PrefillProgress() | TextDelta() if self._reading is not None:
                # A text is read like any prompt; how far in it one is says nothing.
                return self._reading_words
            case _:
                return getting_ready(step, self._stop_key)

    @property
    def reading(self) -> bool:
        """Whether all is answered, and texts are read."""
        return self._reading is not None

    @property
    def _reading_words(self) -> str:
        """How many texts are read, and the time that is left."""
        assert self._reading is not None
        role, total = self._reading
        words = f"Reading {self.read:,} of {amount(total, _TEXTS[role])}"
        seconds = self._clock() - self._reading_since
        if not self.read or seconds <= SETTLED:
            return words
        return f"{words}, {time_left(seconds, self.read, total - self.read)}"

    @property
    def words(self) -> str:
        """How far it is, and the newest answer."""
        total = 0 if self._run is None else len(self._run)
        words = f"{self.items:,} of {amount(total, 'item')}"
        if self.pace:
            words += f", {self.pace}"
        return words + (f": {self._newest}" if self._newest else "")

    @property
    def pace(self) -> str:
        """Rates, and the time that is left; nothing as long as they say nothing."""
        seconds = self.seconds
        if self._run is None or seconds <= SETTLED:
            return ""
        parts = []
        if self.answers:
            parts.append(f"{three_digits(60 * self.answers / seconds)} answers/min")
        if self.tokens is not None:
            parts.append(rate((self._live or self.tokens) / seconds))
        done = self.items - self._run.taken_over
        left = len(self._run) - self.items - len(self._run.skipped)
        if done:
            parts.append(time_left(seconds, done, left, self._run.at_once))
        return ", ".join(parts)

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._started


def getting_ready(step: object, stop_key: str) -> str:
    """How far a model is before it writes, or that nothing is heard of it; else nothing.

    Args:
        step: What has come.
        stop_key: The key that ends it, as the user knows it.
    """
    match step:
        case LoadProgress(fraction=fraction):
            return f"Loading the model: {fraction:.0%}"
        case PrefillProgress(stage="preamble", done=done, total=total):
            return f"Reading the preamble: {done:,} of {amount(total, 'token')}"
        case Silence():
            return capital(step.in_words(stop_key))
        case _:
            return ""


def taken_over(run: Run, shown: str) -> str:
    """What of a run was there before, in a sentence; nothing where nothing was.

    Args:
        run: It.
        shown: What its file is called.
    """
    if not (run.taken_over or run.changed):
        return ""
    return (
        f"{run.taken_over:,} of {amount(len(run), 'item')} are taken over from {shown}, "
        f"{run.changed:,} have changed, {run.new:,} are new."
    )


def not_answered(run: Run) -> str:
    """Which items can't be answered, and why the first one can't, in a sentence; or nothing."""
    if not run.skipped:
        return ""
    first = run.skipped[0]
    others = f", and {len(run.skipped) - 1:,} more" if len(run.skipped) > 1 else ""
    return (
        f"{amount(len(run.skipped), 'item')} of {len(run):,} can't be answered: "
        f"{quoted(first.item.id, 40)} ({first.reason.removesuffix('.')}){others}."
    )


def not_read(run: Run) -> str:
    """Which texts can't be read, and why the first one can't, in a sentence; or nothing."""
    if not run.unread:
        return ""
    first = run.unread[0]
    others = f", and {len(run.unread) - 1:,} more" if len(run.unread) > 1 else ""
    named = f"{quoted(first.item.id, 40)} ({first.reason.removesuffix('.')})"
    return f"{amount(len(run.unread), _TEXTS[first.role])} can't be read: {named}{others}."


def tokens_of(counts: Iterable[int | None]) -> int | None:
    """The sum of counts of tokens; None where one of them was not told."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total
