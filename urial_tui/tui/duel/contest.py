"""The state of a duel: its conversation and sides, the question that is asked, and the votes."""

from __future__ import annotations

from urial_tui.chat.session import Conversation
from urial_tui.chat.votes import Tally, Vote, tally_of
from urial_tui.runtime.writer import WriterChoice
from urial_tui.tui.duel.side_words import DuelPhase
from urial_tui.tui.duel.trial import Trial, contestant


class Contest:
    """Two sides, one question after another.

    Args:
        conversation: What the questions go on with.
        choices: The left and the right side.
        blind: Whether names are hidden until the vote.
    """

    def __init__(
        self, conversation: Conversation, choices: tuple[WriterChoice, WriterChoice], *, blind: bool
    ) -> None:
        self.conversation = conversation
        self.choices = list(choices)
        self.blind = blind
        self.phase: DuelPhase = "empty"
        self.trial: Trial | None = None
        """The question that is on the screen."""
        self.votes: list[Vote] = []

    @property
    def hidden(self) -> bool:
        """Whether names are hidden at this moment."""
        return self.phase in ("answering", "voting") and (
            self.blind if self.trial is None else self.trial.hidden
        )

    @property
    def earlier(self) -> int:
        """Questions before the one that is asked."""
        asked = None if self.trial is None else self.trial.question.id
        path = self.conversation.path
        return sum(turn.role == "user" and turn.id != asked for turn in path)

    @property
    def tally(self) -> Tally | None:
        """The votes between these two, blind or open as they are now; None: there are none."""
        one, other = map(contestant, self.choices)
        return tally_of(self.votes, one, other, blind=self.blind)

    @property
    def same(self) -> bool:
        """Whether both sides have one name, so that votes can't tell them apart."""
        one, other = map(contestant, self.choices)
        return one == other
