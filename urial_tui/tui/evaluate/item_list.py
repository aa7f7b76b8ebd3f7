"""A virtual list of items, a line each: what was asked, and what is wrong with an answer."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from urial_tui.evaluate.browsing import Browser
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.evaluate.item_words import SIGNS
from urial_tui.tui.widgets.line_list import LineList

_LONGEST_ID = 10
_DRAWN = 400
"""Characters of a question that can be in a line at most."""


class ItemList(LineList[int]):
    """Its rows are the places of items among all."""

    def __init__(self, *, id: str | None = None) -> None:  # Textual's name
        super().__init__(id=id)
        self._browser: Browser | None = None
        self._id_width = 1

    @property
    def place(self) -> int | None:
        """The place of the selected item among all."""
        return self.row

    def show(self, browser: Browser, places: Sequence[int]) -> None:
        """Show these items; the one that was selected stays so, where it is among them."""
        before = self.place
        self._browser = browser
        ids = (len(str(item.id)) for item in browser.items)
        self._id_width = min(_LONGEST_ID, max(ids, default=1))
        self.put(places, next((row for row, place in enumerate(places) if place == before), 0))
        if self.place != before:
            self.post_message(self.Selected())

    def line_of(self, row: int, number: int, width: int) -> Content:
        """Id, question, and what is wrong with an answer at the right."""
        browser = self._browser
        assert browser is not None, "there are rows"
        item = browser.items[row]
        marks = browser.marks(row)
        signs = "".join(sign for mark, sign in SIGNS.items() if mark in marks)
        safety = "safety  " if item.category == "safety" else ""
        name = Content(sanitize_line(str(item.id)))
        name = name.truncate(self._id_width, ellipsis=True)
        left = Content.assemble(
            " " * (self._id_width - name.cell_length),
            name.stylize("$quiet"),
            "  ",
            (safety, "$secondary"),
            sanitize_line(item.turns[0][:_DRAWN]),
        )
        left = left.truncate(max(1, width - len(signs) - 1), ellipsis=True)
        gap = " " * max(1, width - left.cell_length - len(signs))
        return Content.assemble(left, gap, (signs, "$warning"))
