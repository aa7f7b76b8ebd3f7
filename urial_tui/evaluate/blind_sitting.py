"""A person's sitting at a blind judging, as a state machine: what a key may do at this moment.

One thing is written at a time, and a verdict counts only after a rest: a key that is held down
judges nothing. Nothing in here draws or waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from urial_tui.evaluate.blind_judging import BlindJudging
from urial_tui.evaluate.own_pace import OwnPace

REST = 0.25
"""Seconds without a verdict before the next one counts."""

SittingPhase = Literal["opening", "judging", "judged", "result", "failed"]


class BlindSitting:
    """The state machine: what is judged, whether a write is pending, when a verdict was given.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.judging: BlindJudging | None = None
        """What is judged; None before the files are read."""
        self.phase: SittingPhase = "opening"
        self._clock = clock
        self.busy = False
        """Whether something is being written; the pair on the screen is judged already."""
        self._ending = False
        """Whether the judging has ended, or is about to."""
        self._pressed = float("-inf")
        """When a verdict was given last, whether it counted or not."""
        self._pace = OwnPace()

    def begin_pair(self) -> None:
        """A pair can be judged from now on."""
        self.phase = "judging"
        self._pace.begin(self._clock())

    def take_verdict(self) -> BlindJudging | None:
        """A verdict was given: what has to be told it, if it counts."""
        now = self._clock()
        rested, self._pressed = now - self._pressed >= REST, now
        if self.phase != "judging" or not rested or not self._may_write:
            return None
        self.busy = True
        self._pace.done(now)
        return self.judging

    @property
    def may_undo(self) -> bool:
        """Whether a judgement can be taken back now, if there is one."""
        return self.phase in ("judging", "judged") and self._may_write

    def take_undo(self) -> BlindJudging | None:
        """The last judgement is to be taken back: from what, if there is one."""
        judging = self.judging
        if not self.may_undo or judging is None or not judging.done:
            return None
        self.busy = True
        return judging

    @property
    def _may_write(self) -> bool:
        return not (self.busy or self._ending) and self.judging is not None

    def end_writing(self) -> None:
        """Note the end of a write, be it done or failed."""
        self.busy = False

    @property
    def has_result(self) -> bool:
        """Whether something was judged, so that there is a result to show before one leaves."""
        judging = self.judging
        if judging is None or self.phase not in ("judging", "judged"):
            return False
        return self.busy or judging.has_judgements

    def end(self) -> BlindJudging | None:
        """End the judging: which one, the first time."""
        if self._ending:
            return None
        self._ending = self.judging is not None
        return self.judging

    @property
    def place(self) -> str:
        """Which pair is judged, in words."""
        judging = self.judging
        if self.phase != "judging" or judging is None:
            return ""
        return f"pair {judging.done + 1:,} of {len(judging.shared.pairs):,}"

    @property
    def seconds_left(self) -> float | None:
        """For the pairs that are left, at the pace so far; None where that is not known."""
        judging = self.judging
        if self.phase != "judging" or judging is None:
            return None
        return self._pace.left(judging.left)
