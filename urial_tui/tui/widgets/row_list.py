"""A list widget with multiple selection: a bar on one row, marks on others, known by keys."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from textual.content import Content
from textual.events import Resize
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

Row = TypeVar("Row")


class RowList(OptionList, Generic[Row]):
    """A base class: a subclass tells a row's key, by which bar and marks stay, and draws it."""

    class Refitted(Message):
        """The rows are drawn in another width, so a heading of their columns has to be as well."""

    def __init__(self, *, id: str | None = None) -> None:  # Textual's name
        super().__init__(id=id, markup=False)
        self._rows: list[Row] = []
        self._marked: list[Hashable] = []
        self._wanted: Hashable | None = None
        self.drawn_in = 0
        """The width that the rows are drawn for: what stands above their columns goes by it."""

    def key_of(self, row: Row) -> Hashable:
        """What a row is known by when it is shown again."""
        raise NotImplementedError

    def line_of(self, row: Row) -> Content:
        """A row as it is drawn."""
        raise NotImplementedError

    @property
    def rows(self) -> Sequence[Row]:
        """Those that are shown."""
        return self._rows

    @property
    def row(self) -> Row | None:
        """What is under the bar."""
        place = self.highlighted
        return self._rows[place] if place is not None and place < len(self._rows) else None

    @property
    def marked(self) -> list[Row]:
        """What is marked, in the order in which it was."""
        by_key = {self.key_of(row): row for row in self._rows}
        return [by_key[key] for key in self._marked if key in by_key]

    @property
    def chosen(self) -> list[Row]:
        """What is marked, or else what is under the bar."""
        row = self.row
        return self.marked or ([] if row is None else [row])

    def seek(self, key: Hashable) -> None:
        """Put the bar on the row with this key when rows are shown next."""
        self._wanted = key

    def show(self, rows: Sequence[Row]) -> None:
        """Show these, with the bar on what was sought, else on what it was on."""
        row, place = self.row, self.highlighted or 0
        under_bar = None if row is None else self.key_of(row)
        under_bar, self._wanted = self._wanted or under_bar, None
        self._rows = list(rows)
        self._marked = [self.key_of(one) for one in self.marked]
        self.clear_options()
        width = self.scrollable_content_region.width
        self.add_options([Option(self.line_of(one)) for one in self._rows])
        keys = [self.key_of(one) for one in self._rows]
        if under_bar in keys:
            place = keys.index(under_bar)
        self.highlighted = min(place, len(keys) - 1) if keys else None
        # Its scrollbar, which takes room of the rows, goes and comes without an event.
        self.drawn_in = width
        self.call_after_refresh(self._fit)

    def change(self, row: Row) -> None:
        """Show something else of the row that has the same key."""
        key = self.key_of(row)
        for place, before in enumerate(self._rows):
            if self.key_of(before) == key:
                if before != row:
                    self._rows[place] = row
                    self.draw_again(place)
                return

    def toggle(self) -> None:
        """Mark what is under the bar, or no longer."""
        row, place = self.row, self.highlighted
        if row is None or place is None:
            return
        key = self.key_of(row)
        if key in self._marked:
            self._marked.remove(key)
        else:
            self._marked.append(key)
        self.draw_again(place)

    def mark_of(self, row: Row) -> Content:
        """The sign in front of a row, of two cells."""
        return (
            Content.styled("◆ ", "$primary") if self.key_of(row) in self._marked else Content("  ")
        )

    def draw_again(self, place: int) -> None:
        """Redraw the row in this place, of which something else is to be told."""
        self.replace_option_prompt_at_index(place, self.line_of(self._rows[place]))

    def on_resize(self, event: Resize) -> None:
        """Rows are laid out for another width, if it is one; the bar stays in sight."""
        self._fit()
        self.call_after_refresh(self.scroll_to_highlight)

    def _fit(self) -> None:
        """Redraw the rows where they were drawn in another width than they have."""
        if self.scrollable_content_region.width != self.drawn_in:
            self._draw_all()
            self.post_message(self.Refitted())

    def _draw_all(self) -> None:
        self.drawn_in = self.scrollable_content_region.width
        for place in range(len(self._rows)):
            self.draw_again(place)
