"""A widget for one item: what was asked, and as many columns of answers as fit."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from urial_tui.tui.evaluate.answer_column import AnswerColumn
from urial_tui.tui.evaluate.item_words import ItemView

COLUMN = 34
"""Cells that a column of answers has at least, where there is more than one."""


class ItemPane(Vertical, can_focus=True):
    """Shows an item; has the keys while one looks at it alone."""

    BINDING_GROUP_TITLE = "Item"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_lines(-1)", "Line above", id="item.up"),
        Binding("down,j", "scroll_lines(1)", "Line below", id="item.down"),
        Binding("pageup", "scroll_pages(-1)", "Page up", id="item.page_up"),
        Binding("pagedown,space", "scroll_pages(1)", "Page down", id="item.page_down"),
        Binding("left,h", "turn(-1)", "Answers before", id="item.left"),
        Binding("right,l", "turn(1)", "Answers after", id="item.right"),
        Binding("p", "screen.move(-1)", "Item before", id="item.before"),
        Binding("n", "screen.move(1)", "Item after", id="item.after"),
        Binding("shift+up,K", "scroll_question(-1)", "Question: above", id="item.question_up"),
        Binding("shift+down,J", "scroll_question(1)", "Question: below", id="item.question_down"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # Textual's name
        super().__init__(id=id)
        self._view: ItemView | None = None
        self._first = 0
        """The column at the left."""
        self._order = asyncio.Lock()
        self._asked = 0
        """How often it was to be laid out."""

    def compose(self) -> ComposeResult:
        """From the top: the question, which columns these are, the columns."""
        with VerticalScroll(id="item-question", can_focus=False):
            yield Static(id="item-asked", markup=False)
        yield Static(id="item-which", markup=False)
        yield Horizontal(id="item-columns")

    @property
    def columns(self) -> list[AnswerColumn]:
        """Those that are shown."""
        return list(self.query(AnswerColumn))

    def show(self, view: ItemView | None) -> None:
        """Show another item, from its start; the columns are those that were looked at."""
        self._view = view
        self.query_one("#item-asked", Static).update(Content("") if view is None else view.asked)
        self.query_one("#item-question").scroll_home(animate=False)
        self._lay_out()

    def on_resize(self, event: Resize) -> None:
        """More or fewer columns fit."""
        if self._fitting() != len(self.columns):
            self._lay_out()

    def action_turn(self, columns: int) -> None:
        """Show other columns."""
        if self._view is not None:
            first = self._first + columns
            self._first = min(max(0, first), len(self._view.columns) - self._fitting())
            self._lay_out()

    def action_scroll_lines(self, lines: int) -> None:
        """Move through all answers."""
        for column in self.columns:
            column.scroll_lines(lines)

    def action_scroll_pages(self, pages: int) -> None:
        """Move through all answers by what is in view."""
        for column in self.columns:
            column.scroll_pages(pages)

    def action_scroll_question(self, lines: int) -> None:
        """Move through the question."""
        self.query_one("#item-question").scroll_relative(y=lines, animate=False)

    def _fitting(self) -> int:
        """How many columns there is room for, of those that there are."""
        known = 0 if self._view is None else len(self._view.columns)
        return min(known, max(1, self.size.width // COLUMN))

    def _lay_out(self) -> None:
        self._asked += 1
        self._lay_out_for(self._asked)

    @work(group="columns")
    async def _lay_out_for(self, number: int) -> None:
        """Show the columns that fit, unless that is asked for anew; never two at a time."""
        async with self._order:
            if number == self._asked and self.is_attached:
                await self._show_columns()

    async def _show_columns(self) -> None:
        view, fitting = self._view, self._fitting()
        which = self.query_one("#item-which", Static)
        if view is None or not fitting:
            which.display = False
            await self.query_one("#item-columns").remove_children()
            return
        self._first = min(self._first, len(view.columns) - fitting)
        which.display = fitting < len(view.columns)
        last = self._first + fitting
        which.update(f"{_range(self._first + 1, last)} of {len(view.columns)} columns")
        there = self.columns
        for column in there[fitting:]:
            await column.remove()
        for number in range(len(there), fitting):
            beside = "-beside" if number else ""
            await self.query_one("#item-columns").mount(AnswerColumn(classes=beside))
        for column, shown in zip(self.columns, view.columns[self._first : last], strict=True):
            await column.show(shown.title, shown.parts)


def _range(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first} to {last}"
