"""The list of items: a line each, of which only those in view are drawn.

It never has the focus; the screen moves the selection, and the mouse does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from urial_tui.evaluate.browsing import Browser
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.evaluate.item_words import SIGNS

_LONGEST_ID = 10
_DRAWN = 400
"""Characters of a question that can be in a line at most."""


class ItemList(ScrollView):
    """Rows of one line, one of them selected."""

    DEFAULT_CLASSES = "item-list"
    COMPONENT_CLASSES: ClassVar[set[str]] = {"item-list--selected"}

    selected: reactive[int] = reactive(-1)
    """The row that is selected; -1 where there is none."""

    class Selected(Message):
        """Another item is selected, or none."""

        def __init__(self, place: int | None) -> None:
            super().__init__()
            self.place = place

    class Opened(Message):
        """The selected row was clicked."""

    def __init__(self, *, id: str | None = None) -> None:  # Textual's name
        super().__init__(id=id)
        self.can_focus = False
        self._browser: Browser | None = None
        self._places: Sequence[int] = ()
        self._id_width = 1

    @property
    def place(self) -> int | None:
        """The place of the selected item among all."""
        return self._places[self.selected] if 0 <= self.selected < len(self._places) else None

    def show(self, browser: Browser, places: Sequence[int]) -> None:
        """Show these items; the one that was selected stays so, where it is among them."""
        before = self.place
        self._browser, self._places = browser, places
        ids = (len(str(item.id)) for item in browser.items)
        self._id_width = min(_LONGEST_ID, max(ids, default=1))
        self.virtual_size = Size(self.scrollable_content_region.width, len(places))
        row = next((row for row, place in enumerate(places) if place == before), 0)
        self.set_reactive(ItemList.selected, row if places else -1)
        self._follow()
        self.refresh()
        if self.place != before:
            self.post_message(self.Selected(self.place))

    def move(self, rows: int) -> None:
        """Select the row so many places further, as far as there are any."""
        if self._places:
            self.selected = min(max(0, self.selected + rows), len(self._places) - 1)

    def move_page(self, pages: int) -> None:
        """Select a row about a view further."""
        self.move(pages * max(1, self.size.height - 1))

    def watch_selected(self) -> None:
        """Keep the selection in view, and tell of it."""
        self._follow()
        self.refresh()
        self.post_message(self.Selected(self.place))

    def on_resize(self) -> None:
        """Rows are cut to another width."""
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._places))
        self._follow()

    def on_click(self, event: events.Click) -> None:
        """Select the row that is clicked; open it where it was selected."""
        row = event.get_content_offset_capture(self).y + self.scroll_offset.y
        if not 0 <= row < len(self._places):
            return
        if row == self.selected:
            self.post_message(self.Opened())
        else:
            self.selected = row

    def render_line(self, y: int) -> Strip:
        """One item."""
        row, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        if width <= 0 or self._browser is None or not 0 <= row < len(self._places):
            return Strip.blank(self.size.width, self.rich_style)
        chosen = row == self.selected
        bar = Content.styled("▌ ", "$primary") if chosen else Content("  ")
        style = self.get_visual_style("item-list--selected") if chosen else self.visual_style
        line = self._line(self._browser, self._places[row], width - 2)
        strips = Visual.to_strips(self, Content.assemble(bar, line), width, 1, style)
        return strips[0].extend_cell_length(width, style.rich_style)

    def _line(self, browser: Browser, place: int, width: int) -> Content:
        """Id, question, and what is wrong with an answer at the right."""
        item = browser.items[place]
        marks = browser.marks(place)
        signs = "".join(sign for mark, sign in SIGNS.items() if mark in marks)
        safety = "safety  " if item.category == "safety" else ""
        number = Content(sanitize_line(str(item.id)))
        number = number.truncate(self._id_width, ellipsis=True)
        left = Content.assemble(
            " " * (self._id_width - number.cell_length),
            number.stylize("$quiet"),
            "  ",
            (safety, "$secondary"),
            sanitize_line(item.turns[0][:_DRAWN]),
        )
        left = left.truncate(max(1, width - len(signs) - 1), ellipsis=True)
        gap = " " * max(1, width - left.cell_length - len(signs))
        return Content.assemble(left, gap, (signs, "$warning"))

    def _follow(self) -> None:
        """Bring the selected row into view."""
        if self.selected < 0:
            return
        height = self.size.height
        if self.selected < self.scroll_offset.y:
            self.scroll_to(y=self.selected, animate=False, immediate=True)
        elif self.selected >= self.scroll_offset.y + height:
            self.scroll_to(y=self.selected - height + 1, animate=False, immediate=True)
