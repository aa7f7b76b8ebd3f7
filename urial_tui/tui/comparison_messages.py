"""What the comparison's thread tells the compare screen."""

from __future__ import annotations

from typing import Literal

from urial_tui.errors import UrialError
from urial_tui.tui.comparison_result import Result
from urial_tui.tui.messages import EngineMessage

SideKind = Literal["base", "aligned"]


class SideUnpacking(EngineMessage):
    """A side's file is put together: `done` of `total` bytes."""

    def __init__(self, side: SideKind, done: int, total: int) -> None:
        super().__init__()
        self.side = side
        self.done = done
        self.total = total


class SideLoading(EngineMessage):
    """A side's model is being read: `fraction`, 0 to 1."""

    def __init__(self, side: SideKind, fraction: float) -> None:
        super().__init__()
        self.side = side
        self.fraction = fraction


class AnswerWritten(EngineMessage):
    """The aligned side's answer up to now, of `tokens` tokens; not scored yet."""

    def __init__(self, text: str, tokens: int) -> None:
        super().__init__()
        self.text = text
        self.tokens = tokens


class TokenRechosen(EngineMessage):
    """Scoring put another token in the place of the one that was written, at index `at` of the
    answer, which is written anew from there."""

    def __init__(self, at: int, written: str, chosen: str) -> None:
        super().__init__()
        self.at = at
        self.written = written
        self.chosen = chosen


class Scoring(EngineMessage):
    """Both sides are evaluated: `done` of `total` tokens."""

    def __init__(self, done: int, total: int) -> None:
        super().__init__()
        self.done = done
        self.total = total


class Compared(EngineMessage):
    """The comparison has its result."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


class ComparisonEnded(EngineMessage):
    """Nothing is being compared any more. `error`: why there is no result; None if there is
    one, or if the user stopped it before there was one."""

    def __init__(self, error: UrialError | None = None) -> None:
        super().__init__()
        self.error = error
