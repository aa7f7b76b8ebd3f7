"""What the engine's thread tells of the second side, which reads answers along."""

from __future__ import annotations

from urial_tui.engine.wire.protocol import Shifts
from urial_tui.errors import UrialError
from urial_tui.tui.messages import EngineMessage


class SecondLoading(EngineMessage):
    """The second side is on its way: what is being done, and its share, 0 to 1."""

    def __init__(self, doing: str, share: float) -> None:
        super().__init__()
        self.doing = doing
        self.share = share


class SecondReady(EngineMessage):
    """The second side reads the next answers along."""


class SecondFailed(EngineMessage):
    """The second side could not be loaded; answers are written without it."""

    def __init__(self, error: UrialError) -> None:
        super().__init__()
        self.error = error


class AnswerWatched(EngineMessage):
    """The answer to a question is read along from its start; `side`: by what, in words."""

    def __init__(self, question_id: int, side: str) -> None:
        super().__init__()
        self.question_id = question_id
        self.side = side


class ShiftsTold(EngineMessage):
    """The second side has ranked more tokens of an answer."""

    def __init__(self, question_id: int, shifts: Shifts) -> None:
        super().__init__()
        self.question_id = question_id
        self.shifts = shifts
