"""The list of conversations, and of the turns in them that hold what was looked for."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
from textual.content import Content
from textual.geometry import Region

from urial_tui.chat.marking import Marked
from urial_tui.chat.search import Hit, TurnHit
from urial_tui.chat.turns import ConversationRecord
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.widgets.line_list import LineList
from urial_tui.wording import age, amount

HIT_STYLE = "bold underline $primary"
"""How the words that were looked for are shown: not by colour alone."""


class ConversationRow(msgspec.Struct, frozen=True):
    """A conversation, or a further turn of it that holds the words.

    `turn` is where opening leads: None to where one stood last.
    """

    hit: Hit
    turn: TurnHit | None = None
    further: bool = False


class ConversationList(LineList[ConversationRow]):
    """Conversations with the turns that were found in them."""

    def __init__(self, *, id: str | None = None) -> None:  # Textual's name
        super().__init__(id=id)
        self.unsent: frozenset[int] = frozenset()
        """The conversations in which something was typed and not sent."""
        self._now = time.time()

    @property
    def record(self) -> ConversationRecord | None:
        """The selected conversation."""
        return None if self.row is None else self.row.hit.conversation

    def show(
        self, hits: Sequence[Hit], conversation_id: int | None = None, otherwise: int = 0
    ) -> None:
        """Show these, the first row of that conversation selected, or else the row in a place."""
        rows = [row for hit in hits for row in rows_of(hit)]
        self._now = time.time()
        places = (
            place for place, row in enumerate(rows) if row.hit.conversation.id == conversation_id
        )
        self.put(rows, next(places, max(0, otherwise)))
        self.post_message(self.Selected())

    def title_region(self) -> Region:
        """Where on the screen the title of the selected conversation is."""
        first = self.selected
        while self._rows[first].further:
            first -= 1
        x, y, _, _ = self.content_region
        width = self.scrollable_content_region.width
        return Region(x + 2, y + self._tops[first] - self.scroll_offset.y, width - 2, 1)

    def height_of(self, row: ConversationRow) -> int:
        """Title and circumstances, and a line for a turn."""
        return 1 if row.further else 2 + (row.turn is not None)

    def line_of(self, row: ConversationRow, number: int, width: int) -> Content:
        """The title with its age, the circumstances, or a turn."""
        record = row.hit.conversation
        if row.turn is not None and (row.further or number == 2):
            return _turn_line(row.turn)
        if number == 0:
            when = Content.styled(age(record.updated, self._now), "$quiet")
            title = shown(row.hit.title).stylize("bold") if record.title else _UNTITLED
            title = title.truncate(max(1, width - when.cell_length - 2), ellipsis=True)
            gap = " " * max(2, width - title.cell_length - when.cell_length)
            return Content.assemble(title, gap, when)
        unsent = (_UNSENT, "$warning") if record.id in self.unsent else ""
        return Content.assemble(unsent, about(row.hit))


_UNSENT = "typed, not sent · "
_UNTITLED = Content.styled("(no title)", "$quiet italic")


def rows_of(hit: Hit) -> list[ConversationRow]:
    """A conversation with the first turn that was found, and the further ones."""
    first, *further = hit.turns or (None,)
    return [
        ConversationRow(hit, first),
        *(ConversationRow(hit, turn, further=True) for turn in further),
    ]


def shown(pieces: Marked) -> Content:
    """One line with the words that were looked for told apart."""
    return Content.assemble(
        *((sanitize_line(text), HIT_STYLE if hit else "") for text, hit in pieces)
    )


def about(hit: Hit) -> Content:
    """What a conversation was held with, and how long it is."""
    record = hit.conversation
    turns = amount(record.turns, "turn")
    holding = amount(hit.count, "hit") if hit.count else ""
    parts = (sanitize_line(record.model), sanitize_line(record.preamble), turns, holding)
    return Content.styled(" · ".join(part for part in parts if part), "$quiet")


def _turn_line(turn: TurnHit) -> Content:
    author = "You" if turn.role == "user" else "Answer"
    colour = "$secondary" if turn.role == "user" else "$primary"
    return Content.assemble((f"{author}: ", colour), shown(turn.excerpt))
