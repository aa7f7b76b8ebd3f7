"""A state machine of what is asked in a conversation: idle, editing, storing, waiting, answering.

One question at a time: it is stored, waits for the model where that is not there yet, and is
answered. What is edited comes back where it could not be stored. Nothing in here draws or waits.
"""

from __future__ import annotations

import msgspec

from urial_tui.chat.answer_start import AnswerStart
from urial_tui.chat.turns import TurnRecord


class Idle(msgspec.Struct, frozen=True):
    """Nothing is asked."""


class Editing(msgspec.Struct, frozen=True):
    """The text of a turn is in the prompt, to be changed."""

    turn: TurnRecord


class Storing(msgspec.Struct, frozen=True):
    """A question is being stored: a new one, or what became of the `edited` one."""

    edited: TurnRecord | None = None


class Waiting(msgspec.Struct, frozen=True):
    """A question, by its id, waits for the model."""

    question: int
    start: AnswerStart


class Answering(msgspec.Struct, frozen=True):
    """A question, by its id, is being answered."""

    question: int
    start: AnswerStart


AskingState = Idle | Editing | Storing | Waiting | Answering


class Asking:
    """The state machine of one conversation."""

    def __init__(self) -> None:
        self.state: AskingState = Idle()

    @property
    def idle(self) -> bool:
        """Whether nothing is asked or edited."""
        return isinstance(self.state, Idle)

    @property
    def busy(self) -> bool:
        """Whether a question is on its way, so that nothing else can be asked."""
        return isinstance(self.state, Storing | Waiting | Answering)

    @property
    def answering(self) -> bool:
        """Whether it is on its way and does not wait for the model."""
        return isinstance(self.state, Storing | Answering)

    @property
    def waiting(self) -> Waiting | None:
        """The question that waits for the model."""
        return self.state if isinstance(self.state, Waiting) else None

    @property
    def question(self) -> int | None:
        """The id of the question that waits or is answered."""
        return self.state.question if isinstance(self.state, Waiting | Answering) else None

    @property
    def edited(self) -> TurnRecord | None:
        """The turn whose text is in the prompt, until the edited one is stored."""
        match self.state:
            case Editing(turn):
                return turn
            case Storing(edited):
                return edited
            case _:
                return None

    def edit(self, turn: TurnRecord) -> None:
        """Begin to edit: the text of a turn is in the prompt."""
        self.state = Editing(turn)

    def stop_editing(self) -> TurnRecord | None:
        """End editing: what is in the prompt is the user's again.

        Returns:
            The turn that was edited; None where none was.
        """
        edited = self.edited
        if edited is not None:
            self.state = Storing() if isinstance(self.state, Storing) else Idle()
        return edited

    def store(self) -> None:
        """Begin to store a question; the edited one, where a turn is edited."""
        self.state = Storing(self.edited)

    def fail(self) -> None:
        """Roll back to what was before: the question could not be stored."""
        edited = self.edited
        self.state = Idle() if edited is None else Editing(edited)

    def answer(self, question: int, start: AnswerStart) -> None:
        """Begin to answer a stored question."""
        self.state = Answering(question, start)

    def wait(self) -> None:
        """Wait with the question until the model is there."""
        if isinstance(self.state, Answering):
            self.state = Waiting(self.state.question, self.state.start)

    def end(self) -> None:
        """Be idle again: the question is over, answered or not."""
        self.state = Idle()
