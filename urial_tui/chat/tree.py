"""The turns of a conversation as a tree, and where in it one stands.

The path from a root to the leaf is what the user sees and what the model is shown. Turns
are added and never taken away: regenerating and editing make siblings, and moving changes
nothing but the leaf. Every move can be undone; asking and its answer are one move.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from urial_tui.chat.turns import TurnRecord

SiblingPlace = tuple[int, int]
"""Which of how many siblings a turn is, from 1."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A question of the path with its answer, if it has one yet."""

    question: TurnRecord
    answer: TurnRecord | None = None
    in_context: bool = True
    """False once the context was too full to hold it."""
    question_place: SiblingPlace = (1, 1)
    answer_place: SiblingPlace = (1, 1)

    @property
    def tokens(self) -> int:
        """How many tokens both take, as far as that is known."""
        return sum(len(turn.ids or ()) for turn in (self.question, self.answer) if turn)


class TurnTree:
    """Turns by their ids, and the current leaf.

    Args:
        turns: What it starts with.
        leaf: Where to stand; at the newest turn unless it is one of them.
    """

    def __init__(self, turns: Iterable[TurnRecord] = (), leaf: int | None = None) -> None:
        self._turns: dict[int, TurnRecord] = {}
        self._children: dict[int | None, list[int]] = {}
        for turn in turns:
            self.update(turn)
        self._leaf = leaf if leaf in self._turns else max(self._turns, default=None)
        self._visited: dict[int | None, int] = {}
        """The child through which the path last went, by parent."""
        self._before: list[int | None] = []
        self._visit()

    # -- reading --------------------------------------------------------------------

    def __contains__(self, turn_id: object) -> bool:
        return turn_id in self._turns

    def __getitem__(self, turn_id: int) -> TurnRecord:
        return self._turns[turn_id]

    @property
    def leaf(self) -> TurnRecord | None:
        """The turn that the next one follows."""
        return None if self._leaf is None else self._turns[self._leaf]

    @property
    def path(self) -> tuple[TurnRecord, ...]:
        """The turns from the root to the leaf."""
        return self.path_to(self._leaf)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """The path as questions with their answers, oldest first."""
        return self.exchanges_to(self._leaf)

    def path_to(self, turn_id: int | None) -> tuple[TurnRecord, ...]:
        """The turns from the root to this one; none for None."""
        turns: list[TurnRecord] = []
        while turn_id is not None:
            turn = self._turns[turn_id]
            turns.append(turn)
            turn_id = turn.parent_id
        return tuple(reversed(turns))

    def exchanges_to(self, turn_id: int | None) -> tuple[Exchange, ...]:
        """The path to a turn as questions with their answers, oldest first."""
        path = self.path_to(turn_id)
        start = next((t.context_from for t in reversed(path) if t.role == "assistant"), None)
        pairs: list[tuple[TurnRecord, TurnRecord | None]] = []
        for turn in path:
            if turn.role == "user":
                pairs.append((turn, None))
            elif pairs:
                pairs[-1] = (pairs[-1][0], turn)
        inside = all(question.id != start for question, _ in pairs)
        found: list[Exchange] = []
        for question, answer in pairs:
            inside = inside or question.id == start
            found.append(
                Exchange(
                    question=question,
                    answer=answer,
                    in_context=inside,
                    question_place=self.place(question),
                    answer_place=(1, 1) if answer is None else self.place(answer),
                )
            )
        return tuple(found)

    def children(self, turn_id: int | None) -> tuple[TurnRecord, ...]:
        """What follows a turn, oldest first; None: the first turns of the conversation."""
        return tuple(self._turns[child] for child in self._children.get(turn_id, ()))

    def siblings(self, turn_id: int) -> tuple[TurnRecord, ...]:
        """The turns in the same place, the turn itself among them, oldest first."""
        return self.children(self._turns[turn_id].parent_id)

    def place(self, turn: TurnRecord) -> SiblingPlace:
        """Which of its siblings a turn is."""
        siblings = self._children[turn.parent_id]
        return siblings.index(turn.id) + 1, len(siblings)

    # -- growing and moving ---------------------------------------------------------

    def put(self, turn: TurnRecord) -> None:
        """Add a turn behind its parent, or bring it up to date; it becomes the leaf."""
        self.update(turn)
        self._leaf = turn.id
        self._visit()

    def update(self, turn: TurnRecord) -> None:
        """Add a turn, or bring it up to date; the leaf stays."""
        if turn.id not in self._turns:
            self._children.setdefault(turn.parent_id, []).append(turn.id)
        self._turns[turn.id] = turn

    def stand_at(self, turn_id: int | None) -> None:
        """Make this turn the leaf; None: stand before the first turn."""
        self._before.append(self._leaf)
        self._leaf = turn_id
        self._visit()

    def select(self, turn_id: int) -> None:
        """Lead the path through this turn, and on as it last went from there."""
        leaf = turn_id
        while children := self._children.get(leaf):
            leaf = self._visited.get(leaf, children[-1])
        self.stand_at(leaf)

    def lead_through(self, turn_id: int) -> None:
        """Make the path hold this turn, if it is there; nothing moves where it does so already."""
        if turn_id in self._turns and all(turn.id != turn_id for turn in self.path):
            self.select(turn_id)

    def step(self, turn_id: int, direction: int) -> bool:
        """Go to the sibling `direction` places further; False where there is none."""
        siblings = self._children[self._turns[turn_id].parent_id]
        place = siblings.index(turn_id) + direction
        if not 0 <= place < len(siblings):
            return False
        self.select(siblings[place])
        return True

    @property
    def can_undo(self) -> bool:
        """Whether a move was made."""
        return bool(self._before)

    def undo(self) -> None:
        """Stand where one stood before the last move; the turns made since stay."""
        if self._before:
            self._leaf = self._before.pop()
            self._visit()

    def _visit(self) -> None:
        for turn in self.path:
            self._visited[turn.parent_id] = turn.id
