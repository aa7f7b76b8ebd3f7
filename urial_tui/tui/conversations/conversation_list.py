"""The list of conversations, and of the turns in them that hold what was looked for.

Thousands of rows cost no more than those in view: only these are drawn. It never has the
focus; the screen moves the selection, and the mouse does.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import ClassVar

import msgspec
from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from urial_tui.chat.marking import Marked
from urial_tui.chat.search import Hit, TurnHit
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import amount

HIT_STYLE = "bold underline $primary"
"""How the words that were looked for are shown: not by colour alone."""


class Row(msgspec.Struct, frozen=True):
    """A conversation, or a further turn of it that holds the words.

    `turn` is where opening leads: None to where one stood last.
    """

    hit: Hit
    turn: TurnHit | None = None
    further: bool = False

    @property
    def height(self) -> int:
        """Lines: title and circumstances, and one for a turn."""
        return 1 if self.further else 2 + (self.turn is not None)


class ConversationList(ScrollView):
    """Rows of one to three lines, one of them selected."""

    DEFAULT_CLASSES = "conversation-list"
    COMPONENT_CLASSES: ClassVar[set[str]] = {"conversation-list--selected"}

    selected: reactive[int] = reactive(-1)
    """The place of the selected row; -1 where there is none."""

    class Selected(Message):
        """Another row is selected, or none."""

        def __init__(self, row: Row | None) -> None:
            super().__init__()
            self.row = row

    class Opened(Message):
        """The selected row was clicked."""

    def __init__(self, *, id: str | None = None) -> None:  # Textual's name
        super().__init__(id=id)
        self.can_focus = False
        self._rows: Sequence[Row] = ()
        self._tops: list[int] = [0]
        """The line at which each row starts, and where the last one ends."""
        self._now = time.time()

    @property
    def row(self) -> Row | None:
        """The selected row."""
        return self._rows[self.selected] if 0 <= self.selected < len(self._rows) else None

    def show(
        self, hits: Sequence[Hit], conversation_id: int | None = None, otherwise: int = 0
    ) -> None:
        """Show these, the first row of that conversation selected, or else the row in a place."""
        self._rows = [row for hit in hits for row in rows_of(hit)]
        self._tops = list(accumulate((row.height for row in self._rows), initial=0))
        self._now = time.time()
        self.virtual_size = Size(self.scrollable_content_region.width, self._tops[-1])
        places = (
            place
            for place, row in enumerate(self._rows)
            if row.hit.conversation.id == conversation_id
        )
        place = next(places, min(max(0, otherwise), len(self._rows) - 1))
        self.set_reactive(ConversationList.selected, place)
        self._follow()
        self.refresh()
        self.post_message(self.Selected(self.row))

    def move(self, rows: int) -> None:
        """Select the row so many places further, as far as there are any."""
        if self._rows:
            self.selected = min(max(0, self.selected + rows), len(self._rows) - 1)

    def move_page(self, pages: int) -> None:
        """Select a row about a view further."""
        if self._rows:
            line = self._tops[self.selected] + pages * max(1, self.size.height - 1)
            place = self._place_at(min(max(0, line), self._tops[-1] - 1))
            self.move(place - self.selected or pages)

    def title_region(self) -> Region:
        """Where on the screen the title of the selected conversation is."""
        first = self.selected
        while self._rows[first].further:
            first -= 1
        x, y, _, _ = self.content_region
        width = self.scrollable_content_region.width
        return Region(x + 2, y + self._tops[first] - self.scroll_offset.y, width - 2, 1)

    def watch_selected(self) -> None:
        """Keep the selection in view, and tell of it."""
        self._follow()
        self.refresh()
        self.post_message(self.Selected(self.row))

    def on_resize(self) -> None:
        """Rows are cut to another width."""
        self.virtual_size = Size(self.scrollable_content_region.width, self._tops[-1])
        self._follow()

    def on_click(self, event: events.Click) -> None:
        """Select the row that is clicked; open it where it was selected."""
        line = event.get_content_offset_capture(self).y + self.scroll_offset.y
        if not 0 <= line < self._tops[-1]:
            return
        place = self._place_at(line)
        if place == self.selected:
            self.post_message(self.Opened())
        else:
            self.selected = place

    def render_line(self, y: int) -> Strip:
        """One line of a row."""
        line, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        if width <= 0 or not 0 <= line < self._tops[-1]:
            return Strip.blank(self.size.width, self.rich_style)
        place = self._place_at(line)
        chosen = place == self.selected
        content = self._line(self._rows[place], line - self._tops[place], width - 2)
        bar = Content.styled("▌ ", "$primary") if chosen else Content("  ")
        style = (
            self.get_visual_style("conversation-list--selected") if chosen else self.visual_style
        )
        whole = Content.assemble(bar, content.truncate(width - 2, ellipsis=True))
        strips = Visual.to_strips(self, whole, width, 1, style)
        return strips[0].extend_cell_length(width, style.rich_style)

    def _line(self, row: Row, number: int, width: int) -> Content:
        record = row.hit.conversation
        if row.turn is not None and (row.further or number == 2):
            return _turn_line(row.turn)
        if number == 0:
            when = Content.styled(age(record.updated, self._now), "$quiet")
            title = shown(row.hit.title).stylize("bold") if record.title else _UNTITLED
            title = title.truncate(max(1, width - when.cell_length - 2), ellipsis=True)
            gap = " " * max(2, width - title.cell_length - when.cell_length)
            return Content.assemble(title, gap, when)
        return about(row.hit)

    def _place_at(self, line: int) -> int:
        """The place of the row on this line."""
        return min(bisect_right(self._tops, line), len(self._rows)) - 1

    def _follow(self) -> None:
        """Bring the selected row into view."""
        row = self.row
        if row is None:
            return
        top, height = self._tops[self.selected], self.size.height
        if top < self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, immediate=True)
        elif top + row.height > self.scroll_offset.y + height:
            self.scroll_to(y=top + row.height - height, animate=False, immediate=True)


_UNTITLED = Content.styled("(no title)", "$quiet italic")


def rows_of(hit: Hit) -> list[Row]:
    """A conversation with the first turn that was found, and the further ones."""
    first, *further = hit.turns or (None,)
    return [Row(hit, first), *(Row(hit, turn, further=True) for turn in further)]


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


def age(then: float, now: float) -> str:
    """How long ago something was: in words for a week, then as a date.

    Args:
        then: Seconds since 1970.
        now: The same; what lies ahead of it is told as a date.
    """
    seconds = now - then
    if 0 <= seconds < 60:
        return "just now"
    for length, unit in ((60, "minute"), (3600, "hour"), (86_400, "day")):
        count = int(seconds // length)
        if 0 < count < {"minute": 60, "hour": 24, "day": 7}[unit]:
            return f"{count} {unit}{'s' if count != 1 else ''} ago"
    return time.strftime("%Y-%m-%d", time.localtime(then))


def _turn_line(turn: TurnHit) -> Content:
    author = "You" if turn.role == "user" else "Answer"
    colour = "$secondary" if turn.role == "user" else "$primary"
    return Content.assemble((f"{author}: ", colour), shown(turn.excerpt))
