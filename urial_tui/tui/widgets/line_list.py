"""A virtual list: rows of some lines each, of which only those in view are drawn.

It never has the focus: the screen moves the selection, and the mouse does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import ClassVar, Generic, TypeVar

from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

Row = TypeVar("Row")


class LineList(ScrollView, Generic[Row]):
    """One row is selected; a subclass draws the lines of a row, and says how many these are."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"line-list--selected"}

    selected: reactive[int] = reactive(-1)
    """The place of the selected row; -1 where there is none."""

    class Selected(Message):
        """Another row is selected, or none."""

    class Opened(Message):
        """The selected row was clicked."""

    def __init__(self, *, id: str | None = None) -> None:  # Textual's name
        super().__init__(id=id)
        self.can_focus = False
        self._rows: Sequence[Row] = ()
        self._tops: list[int] = [0]
        """The line at which each row starts, and where the last one ends."""

    @property
    def rows(self) -> Sequence[Row]:
        """Those that are shown."""
        return self._rows

    @property
    def row(self) -> Row | None:
        """The selected row."""
        return self._rows[self.selected] if 0 <= self.selected < len(self._rows) else None

    def height_of(self, row: Row) -> int:
        """How many lines a row has."""
        return 1

    def line_of(self, row: Row, number: int, width: int) -> Content:
        """A line of a row, by its number from 0, in so many cells."""
        raise NotImplementedError

    def put(self, rows: Sequence[Row], selected: int) -> None:
        """Replace the rows and the selection, without posting `Selected`."""
        self._rows = rows
        self._tops = list(accumulate(map(self.height_of, rows), initial=0))
        self.virtual_size = Size(self.scrollable_content_region.width, self._tops[-1])
        self.set_reactive(LineList.selected, min(selected, len(rows) - 1))
        self._follow()
        self.refresh()

    def move(self, rows: int) -> None:
        """Select the row so many places further, at most the last one or the first."""
        if self._rows:
            self.selected = min(max(0, self.selected + rows), len(self._rows) - 1)

    def move_page(self, pages: int) -> None:
        """Select a row about a view further."""
        if self._rows:
            line = self._tops[self.selected] + pages * max(1, self.size.height - 1)
            place = self._place_at(min(max(0, line), self._tops[-1] - 1))
            self.move(place - self.selected or pages)

    def watch_selected(self) -> None:
        """Scroll to the selection, and post `Selected`."""
        self._follow()
        self.refresh()
        self.post_message(self.Selected())

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
        content = self.line_of(self._rows[place], line - self._tops[place], width - 2)
        bar = Content.styled("▌ ", "$primary") if chosen else Content("  ")
        style = self.get_visual_style("line-list--selected") if chosen else self.visual_style
        whole = Content.assemble(bar, content.truncate(width - 2, ellipsis=True))
        strips = Visual.to_strips(self, whole, width, 1, style)
        return strips[0].extend_cell_length(width, style.rich_style)

    def _place_at(self, line: int) -> int:
        """The place of the row on this line."""
        return min(bisect_right(self._tops, line), len(self._rows)) - 1

    def _follow(self) -> None:
        """Bring the selected row into view."""
        if self.selected < 0:
            return
        top, bottom = self._tops[self.selected : self.selected + 2]
        if top < self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, immediate=True)
        elif bottom > self.scroll_offset.y + self.size.height:
            self.scroll_to(y=bottom - self.size.height, animate=False, immediate=True)
