"""The items of an evaluation: found, filtered, and looked at with what every run answered.

The files are read in a thread, and the measures of all answers follow in another one, so thousands
of answers keep no key waiting. The search line has the focus; Enter looks at an item alone.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Input, Static

from urial_tui.errors import UrialError
from urial_tui.evaluate.browsing import Browser, Mark, Wanted, open_browser
from urial_tui.evaluate.items import Category, ItemSet
from urial_tui.mistakes import explaining
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.evaluate.item_list import ItemList
from urial_tui.tui.evaluate.item_pane import ItemPane
from urial_tui.tui.evaluate.item_search import ItemSearch
from urial_tui.tui.evaluate.item_words import SIGNS, view_of
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.frame.keys import key_name, keys_of, shown
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.wording import amount

WIDE = 100
"""Columns from which on there is room for an item beside the list."""
PAUSE = 0.06
"""Seconds without a key before what was typed is looked for, or what is selected is shown."""
_TELL_EVERY = 0.5
"""Seconds between two looks at how far the measuring is."""
_REST = 0.01
"""Seconds for which the measuring leaves the processor to the keys, every few answers."""

_CATEGORIES: tuple[Category | None, ...] = (None, "safety", "regular")
_LABELS: dict[Mark, str] = {
    "cut": "cut",
    "refused": "refused",
    "leaked": "leaked",
    "apart": "scores apart",
}


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
        self._paths = tuple(paths)
        self._items = items
        self._browser: Browser | None = None
        self._wanted = Wanted()
        self._ended = threading.Event()
        """Set where nothing is to be measured any more."""

    def compose(self) -> ComposeResult:
        """From the top: how many there are, search, filters, the list and an item, the keys."""
        yield Static(id="items-head", markup=False)
        yield ItemSearch(placeholder="Search questions and answers", id="items-search")
        yield Static(id="items-filters", markup=False)
        with Horizontal(id="items-body"):
            with Vertical(id="items-listed"):
                yield ItemList(id="items-list")
                yield Static(id="items-told", markup=False)
            yield ItemPane(id="items-pane")
        yield HintLine(id="hints")

    def on_mount(self) -> None:
        """Read the files."""
        self._tell(Content.styled("Reading the answers …", "$quiet"))
        self._show_head(None)
        self._show_filters()
        self._show_keys()
        self._read()

    def on_unmount(self) -> None:
        """Measure no more."""
        self._ended.set()

    @property
    def listed(self) -> ItemList:
        """The list."""
        return self.query_one(ItemList)

    @property
    def pane(self) -> ItemPane:
        """What shows an item."""
        return self.query_one(ItemPane)

    @property
    def is_alone(self) -> bool:
        """Whether an item is looked at without the list."""
        return self.has_class("-alone")

    # -- reading --------------------------------------------------------------------

    @work(group="read")
    async def _read(self) -> None:
        try:
            with explaining():
                browser = await asyncio.to_thread(open_browser, self._paths, self._items)
        except UrialError as error:
            if has_widgets(self):
                self._tell(_failed(error))
            return
        if not has_widgets(self):
            return
        self._browser = browser
        self._find()
        self._measure(browser)

    @work(group="measure")
    async def _measure(self, browser: Browser) -> None:
        """Measure all answers in a thread, and say how far that is."""
        measuring = asyncio.ensure_future(
            asyncio.to_thread(browser.measure_all, lambda: not self._ended.wait(_REST))
        )
        try:
            while not measuring.done():
                await asyncio.wait([measuring], timeout=_TELL_EVERY)
                if has_widgets(self):
                    self._find()
            with explaining():
                await measuring
        except UrialError as error:
            if has_widgets(self):
                self.notify(sanitize_line(str(error)), severity="error", markup=False)

    # -- finding --------------------------------------------------------------------

    @on(Input.Changed, "#items-search")
    def change_search(self, event: Input.Changed) -> None:
        """Look for what is typed, as soon as there is a pause."""
        self._look(event.value)

    @work(exclusive=True, group="look")
    async def _look(self, words: str) -> None:
        await asyncio.sleep(PAUSE)
        self._want(msgspec.structs.replace(self._wanted, words=words))

    def action_category(self) -> None:
        """Show the items of another category."""
        at = _CATEGORIES.index(self._wanted.category) + 1
        category = _CATEGORIES[at % len(_CATEGORIES)]
        self._want(msgspec.structs.replace(self._wanted, category=category))

    def action_mark(self, mark: Mark) -> None:
        """Show the items with a mark alone, or others, too."""
        marks = self._wanted.marks ^ {mark}
        self._want(msgspec.structs.replace(self._wanted, marks=marks))

    def _want(self, wanted: Wanted) -> None:
        if self.is_alone:
            # What is looked at must not change by a key whose filter is not in view.
            return
        self._wanted = wanted
        self._show_filters()
        self._find()

    def _find(self) -> None:
        """List what holds what is wanted, as far as that is known by now."""
        browser = self._browser
        if browser is None:
            return
        places = browser.find(self._wanted)
        self._show_head(len(places))
        self._tell(Content("") if places else _NOTHING)
        self.listed.show(browser, places)

    # -- the user -------------------------------------------------------------------

    def action_move(self, rows: int) -> None:
        """Select another item."""
        self.listed.move(rows)

    def action_move_page(self, pages: int) -> None:
        """Select an item on another page."""
        self.listed.move_page(pages)

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
        search = self.query_one(ItemSearch)
        if self.is_alone:
            self.remove_class("-alone")
            self.set_focus(search)
            self._show_keys()
        elif search.value:
            search.value = ""
        elif self.is_current:
            # A second key may have been on its way.
            self.dismiss(None)

    @on(ItemList.Selected)
    def show_selected(self, event: ItemList.Selected) -> None:
        """Show the selected item, where there is room for it."""
        if self.is_alone or self.has_class("-wide"):
            self._show_item(event.place)

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
        browser = self._browser
        if browser is None or place is None:
            self.pane.show(None)
            return
        view = await asyncio.to_thread(view_of, browser, place)
        if has_widgets(self):
            self.pane.show(view)

    def _tell(self, told: Content) -> None:
        """Say something in place of the list."""
        page = self.query_one("#items-told", Static)
        page.update(told)
        page.display = bool(told.plain)
        self.listed.display = not told.plain

    def _show_head(self, found: int | None) -> None:
        browser = self._browser
        if browser is None or found is None:
            self.query_one("#items-head", Static).update(Content.styled("Items", "bold $primary"))
            return
        total = len(browser.items)
        parts = [
            amount(total, "item") if found == total else f"{found:,} of {amount(total, 'item')}",
            amount(len(browser.evaluation.runs), "run"),
        ]
        if unmatched := sum(file.unmatched for file in browser.evaluation.files):
            parts.append(f"{amount(unmatched, 'judgement')} of other answers left out")
        if browser.measured < total:
            parts.append(f"measured {browser.measured:,}")
        self.query_one("#items-head", Static).update(
            Content.assemble(("Items", "bold $primary"), (f"  {' · '.join(parts)}", "$quiet"))
        )

    def _show_filters(self) -> None:
        category = self._wanted.category
        parts = [_filter(self._key("items.category"), category or "all", category is not None)]
        for mark, label in _LABELS.items():
            chosen = mark in self._wanted.marks
            parts.append(_filter(self._key(f"items.{mark}"), f"{SIGNS[mark]} {label}", chosen))
        self.query_one("#items-filters", Static).update(Content("  ").join(parts))

    def _show_keys(self) -> None:
        back = self._key("items.back")
        hints = self.query_one(HintLine)
        if self.is_alone:
            up, down = (self._key(f"item.{name}") for name in ("up", "down"))
            before, after = (self._key(f"item.{name}") for name in ("before", "after"))
            left, right = (self._key(f"item.{name}") for name in ("left", "right"))
            hints.keys = (
                (f"{up}{down}", "scroll"),
                (f"{before} {after}", "item before, after"),
                (f"{left}{right}", "answers"),
                (back, "list"),
                (key_name(self, "app.keys"), "keys"),
            )
        else:
            up, down = (self._key(f"items.{name}") for name in ("up", "down"))
            hints.keys = (
                (f"{up}{down}", "select"),
                (self._key("items.open"), "look at it"),
                (back, "back"),
                (key_name(self, "app.keys"), "keys"),
            )

    def _key(self, name: str) -> str:
        """The first key of an action, as it is printed on a keyboard."""
        owners = (self, self.query_one(ItemSearch), self.pane)
        return next(shown(keys[0]) for owner in owners if (keys := keys_of(owner, name)))


_NOTHING = Content.assemble(
    ("No item has all of this.\n\n", "bold"),
    (
        "All words have to be in one item: its id, its question, or an answer. Fewer of them, or "
        "fewer filters, find more.",
        "$quiet",
    ),
)


def _filter(key: str, label: str, chosen: bool) -> Content:
    """A filter with its key; what is chosen is told by more than colour."""
    shown_as = Content.styled(f"[{label}]", "bold $primary") if chosen else Content(label)
    return Content.assemble((f"{key} ", "bold $secondary"), shown_as)


def _failed(error: UrialError) -> Content:
    return Content.assemble(
        (f"✖ {sanitize_line(error.message)}\n", "bold"), sanitize_line(error.hint)
    )
