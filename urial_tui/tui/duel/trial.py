"""One question that two sides answer, up to the vote.

What is hidden of it stays in here until it may be shown.
"""

from __future__ import annotations

import time

from urial_tui.chat.turns import TurnRecord, new_id
from urial_tui.chat.votes import Contestant, Vote, VotedFor
from urial_tui.errors import UrialError
from urial_tui.runtime.writer import WriterChoice
from urial_tui.tui.duel.duel import SidesQuestion


def contestant(choice: WriterChoice) -> Contestant:
    """What a vote is about: a model and a preamble by their names."""
    return Contestant(choice.model, choice.preamble.name)


class Trial:
    """The answers of the left and the right side, each None until it is there.

    Args:
        question: What was asked, and of whom.
        hidden: Whether the names are hidden until the vote.
    """

    def __init__(self, question: SidesQuestion, *, hidden: bool) -> None:
        self.question = question
        self.hidden = hidden
        self.answers: list[TurnRecord | None] = [None, None]
        self.errors: list[UrialError | None] = [None, None]
        self.over = 0
        """How many sides are over."""
        self.notices: list[str] = []
        """What the engine said while the names were hidden."""

    @property
    def good(self) -> list[TurnRecord]:
        """The answers that have a text and were not cut by a failure, left before right."""
        return [
            answer
            for answer, error in zip(self.answers, self.errors, strict=True)
            if answer is not None and answer.text and error is None
        ]

    def vote(self, choice: VotedFor) -> Vote:
        """The vote on the two good answers."""
        left, right = self.good
        asked = self.question
        return Vote(
            id=new_id(),
            created=time.time(),
            question_id=asked.id,
            left_id=left.id,
            right_id=right.id,
            left=contestant(asked.sides[0]),
            right=contestant(asked.sides[1]),
            sampling=asked.sampling,
            max_tokens=asked.max_tokens,
            blind=self.hidden,
            choice=choice,
        )

    def settle(self, choice: VotedFor) -> None:
        """Have the conversation go on with what is better: with neither, from before the question.

        A tie goes on with the left answer.
        """
        tree = self.question.conversation.tree
        left, right = self.good
        if choice == "neither":
            tree.stand_at(tree[self.question.id].parent_id)
        else:
            tree.select(right.id if choice == "right" else left.id)
