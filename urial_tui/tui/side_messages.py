"""What the thread behind two sides tells their screen.

Everything carries the question's id, and the place of its side: 0 at the left, 1 at the right.
"""

from __future__ import annotations

from urial_tui.chat.turns import TurnRecord
from urial_tui.errors import UrialError
from urial_tui.tui.messages import EngineMessage


class SideMessage(EngineMessage):
    """Something about the answer of one side."""

    def __init__(self, question_id: int, place: int) -> None:
        super().__init__()
        self.question_id = question_id
        self.place = place


class SideWaits(SideMessage):
    """What is done before the answer can start, e.g. "loading 40%"."""

    def __init__(self, question_id: int, place: int, state: str) -> None:
        super().__init__(question_id, place)
        self.state = state


class SideGrew(SideMessage):
    """More text; `generated` tokens so far, at `rate` tokens per second (0: not known yet)."""

    def __init__(
        self, question_id: int, place: int, text: str, generated: int, rate: float
    ) -> None:
        super().__init__(question_id, place)
        self.text = text
        self.generated = generated
        self.rate = rate


class SideNotice(SideMessage):
    """Something worth knowing that stops nothing."""

    def __init__(self, question_id: int, place: int, text: str) -> None:
        super().__init__(question_id, place)
        self.text = text


class SideEnded(SideMessage):
    """The side is over. `answer` is None where none was started; `error` is why it failed."""

    def __init__(
        self, question_id: int, place: int, answer: TurnRecord | None, error: UrialError | None
    ) -> None:
        super().__init__(question_id, place)
        self.answer = answer
        self.error = error


class SidesEnded(EngineMessage):
    """Both sides are over."""

    def __init__(self, question_id: int) -> None:
        super().__init__()
        self.question_id = question_id
