"""The screen of an evaluation's items: search, filters, and each item with all runs' answers.

The search line has the focus; Enter looks at an item alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Input, Static

from urial_tui.errors import UrialError
from urial_tui.evaluate.browsing import Mark
from urial_tui.evaluate.items import ItemSet
from urial_tui.tui.evaluate import item_words
from urial_tui.tui.evaluate.item_browsing import ItemBrowsing
from urial_tui.tui.evaluate.item_filters import ItemFilters
from urial_tui.tui.evaluate.item_list import ItemList
from urial_tui.tui.evaluate.item_pane import ItemPane
from urial_tui.tui.evaluate.item_search import ItemSearch
from urial_tui.tui.frame.screen_view import ScreenView
from urial_tui.tui.widgets.heading_line import HeadingLine
from urial_tui.tui.widgets.hint_line import HintLine

WIDE = 100
"""Columns from which on there is room for an item beside the list."""
PAUSE = 0.06
"""Seconds without a key before what was typed is looked for, or what is selected is shown."""


class ItemsScreen(Screen[None]):
    """Opens over the evaluation.

    Args:
        paths: Files of outputs and of judgements, in any order.
        items: What was asked, where that is known.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["columns.tcss", "items.tcss"]
    AUTO_FOCUS = "ItemSearch"
    BINDING_GROUP_TITLE = "Items"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="items.back"),
        Binding("f2", "category", "Safety items, regular ones, or all", id="items.category"),
        Binding("f3", "mark('cut')", "With an answer that was cut", id="items.cut"),
        Binding("f4", "mark('refused')", "With an answer that refuses", id="items.refused"),
        Binding("f5", "mark('leaked')", "With a leaked preamble", id="items.leaked"),
        Binding("f6", "mark('apart')", "With scores that differ by a point", id="items.apart"),
    ]

    def __init__(self, paths: Sequence[Path], items: ItemSet | None = None) -> None:
        super().__init__()
        self.listed = ItemList(id="items-list")
        self.pane = ItemPane(id="items-pane")
        self._view = ScreenView(self)
        self._browsing = ItemBrowsing(self._view, paths, items)
        self._browsing.when_known = self._find
        self._browsing.when_failed = self._fail
        self._head = HeadingLine("Items")
        self._search = ItemSearch(placeholder="Search questions and answers", id="items-search")
        self._filters = ItemFilters(id="items-filters")
        self._told = Static(id="items-told", markup=False)
        self._hints = HintLine(id="hints")
        self.action_move = self.listed.move
        self.action_move_page = self.listed.move_page

    def compose(self) -> ComposeResult:
        """From the top: how many there are, search, filters, the list and an item, the keys."""
        yield self._head
        yield self._search
        yield self._filters
        listed = Vertical(self.listed, self._told, id="items-listed")
        yield Horizontal(listed, self.pane, id="items-body")
        yield self._hints

    def on_mount(self) -> None:
        """Read the files."""
        self._tell(Content.styled("Reading the answers …", "$quiet"))
        self._show_keys()
        self._browsing.begin()

    def on_unmount(self) -> None:
        """Measure no more."""
        self._browsing.end()

    @property
    def is_alone(self) -> bool:
        """Whether an item is looked at without the list."""
        return self.has_class("-alone")

    # -- finding --------------------------------------------------------------------

    @on(Input.Changed, "#items-search")
    def change_search(self, event: Input.Changed) -> None:
        """Look for what is typed, as soon as there is a pause."""
        self._look(event.value)

    @work(exclusive=True, group="look")
    async def _look(self, words: str) -> None:
        await asyncio.sleep(PAUSE)
        # What is looked at alone must not change by what is not in view.
        if not self.is_alone:
            self._filters.want(words)
            self._find()

    def action_category(self) -> None:
        """Show the items of another category."""
        if not self.is_alone:
            self._filters.turn_category()
            self._find()

    def action_mark(self, mark: Mark) -> None:
        """Show the items with a mark alone, or others, too."""
        if not self.is_alone:
            self._filters.toggle(mark)
            self._find()

    def _find(self) -> None:
        """List the items that pass the filter, as far as their measures are known by now."""
        browser = self._browsing.browser
        if browser is None:
            return
        places = browser.find(self._filters.wanted)
        self._head.beside = item_words.how_many(browser, len(places))
        self._tell(Content("") if places else item_words.NOTHING)
        self.listed.show(browser, places)

    def _fail(self, error: UrialError) -> None:
        self._tell(item_words.failed(error))

    # -- the user -------------------------------------------------------------------

    @on(ItemList.Opened)
    def action_open(self) -> None:
        """Look at the selected item alone."""
        if self.listed.place is not None:
            self.add_class("-alone")
            self.set_focus(self.pane)
            self._show_item(self.listed.place)
            self._show_keys()

    def action_back(self) -> None:
        """Go back to the list, then leave the search, and then the screen."""
        if self.is_alone:
            self.remove_class("-alone")
            self.set_focus(self._search)
            self._show_keys()
        elif self._search.value:
            self._search.value = ""
        elif self.is_current:
            # A second key may have been on its way.
            self.dismiss(None)

    @on(ItemList.Selected)
    def show_selected(self) -> None:
        """Show the selected item, where there is room for it."""
        if self.is_alone or self.has_class("-wide"):
            self._show_item(self.listed.place)

    def on_resize(self, event: Resize) -> None:
        """Where there is no room for an item beside the list, there is none."""
        wide = event.size.width >= WIDE
        self.set_class(wide, "-wide")
        if wide:
            self._show_item(self.listed.place)

    # -- what is shown --------------------------------------------------------------

    @work(exclusive=True, group="item")
    async def _show_item(self, place: int | None) -> None:
        # Whoever holds a key down is not shown all that passes by.
        await asyncio.sleep(PAUSE)
        browser = self._browsing.browser
        if browser is None or place is None:
            self.pane.show(None)
            return
        view = await asyncio.to_thread(item_words.view_of, browser, place)
        if self._view.alive:
            self.pane.show(view)

    def _tell(self, told: Content) -> None:
        """Say something in place of the list."""
        self._told.update(told)
        self._told.display = bool(told.plain)
        self.listed.display = not told.plain

    def _show_keys(self) -> None:
        key = self._view.key
        if self.is_alone:
            self._hints.keys = (
                (key("item.up") + key("item.down"), "scroll"),
                (f"{key('item.before')} {key('item.after')}", "item before, after"),
                (key("item.left") + key("item.right"), "answers"),
                (key("items.back"), "list"),
                (key("app.keys"), "keys"),
            )
        else:
            self._hints.keys = (
                (key("items.up") + key("items.down"), "select"),
                (key("items.open"), "look at it"),
                (key("items.back"), "back"),
                (key("app.keys"), "keys"),
            )
