"""The screen of stored conversations: search, open, rename, delete, export, import.

The search line has the focus; its keys move in the list below it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, NamedTuple

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Input, Static

from urial_tui.chat.export import proposed_directory
from urial_tui.chat.listing import Lister
from urial_tui.chat.store import Store
from urial_tui.chat.turns import MAX_TITLE_LENGTH
from urial_tui.tui.conversations.changes import Changes
from urial_tui.tui.conversations.conversation_list import ConversationList
from urial_tui.tui.conversations.conversation_preview import ConversationPreview
from urial_tui.tui.conversations.conversation_search import ConversationSearch
from urial_tui.tui.conversations.search_line import SearchLine, TitleLine
from urial_tui.tui.frame.screen_view import ScreenView
from urial_tui.tui.widgets.heading_line import HeadingLine
from urial_tui.tui.widgets.hint_line import HintLine
from urial_tui.tui.widgets.notice_line import NoticeLine

WIDE = 100
"""Columns from which on there is room for a preview."""


class Opening(NamedTuple):
    """The conversation to open, and the turn to go to; None: where one stood last."""

    conversation_id: int
    turn_id: int | None


class ConversationsScreen(Screen[Opening | None]):
    """A screen over the chat, dismissed with what to open, or None.

    Args:
        store: What is listed.
        current: The conversation that is selected at first.
        directory: Where files are proposed; asked when one is.
    """

    CSS_PATH = "conversations.tcss"
    AUTO_FOCUS = "#search"
    BINDING_GROUP_TITLE = "Conversations"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="conversations.back"),
    ]

    def __init__(
        self,
        store: Store,
        current: int | None = None,
        *,
        directory: Callable[[], Path] = proposed_directory,
    ) -> None:
        super().__init__()
        self._current = current
        self._lister = Lister(store)
        self._heading = HeadingLine("Conversations")
        self._search = SearchLine(placeholder="Search titles and texts", id="search")
        self._listed = ConversationList(id="conversations-list")
        self._page = Static(id="conversations-empty", markup=False)
        self._page.display = False
        self._preview = ConversationPreview(store, id="preview")
        self._notice = NoticeLine()
        self._keys = HintLine()
        view = self._view = ScreenView(self)
        searching = self._searching = ConversationSearch(
            view,
            self._lister,
            self._search,
            self._listed,
            self._heading,
            self._page,
            self._notice,
        )
        searching.when_listed = self._show_keys
        changes = self._changes = Changes(
            view, store, self._listed, self._search, searching, self._notice, directory
        )

        # What the keys of the search line name.
        self.action_move = self._listed.move
        self.action_move_page = self._listed.move_page
        self.action_delete = changes.delete
        self.action_bring_back = changes.bring_back
        self.action_export = changes.write
        self.action_import = changes.take_in

    def compose(self) -> ComposeResult:
        """From the top: what it is, the search line, list and preview, a notice, the keys."""
        yield self._heading
        yield self._search
        yield Horizontal(self._listed, self._page, self._preview)
        yield self._notice
        yield self._keys

    def on_mount(self) -> None:
        """List everything."""
        self._show_keys()
        self._searching.look(self._current)

    def on_unmount(self) -> None:
        """Stop searching."""
        self._lister.close()

    def on_resize(self, event: events.Resize) -> None:
        """Show a preview where there is room for one."""
        self.query(TitleLine).remove()
        self.set_class(event.size.width >= WIDE, "-wide")
        self.show_preview()

    @on(Input.Changed, "#search")
    def change_search(self) -> None:
        """Search for what is typed, as soon as there is a pause."""
        self._searching.search()

    @on(ConversationList.Selected)
    def show_preview(self) -> None:
        """Show what the selected conversation says."""
        if self.has_class("-wide"):
            self._preview.show(self._listed.row, self._search.value)

    @on(ConversationList.Opened)
    async def action_open(self) -> None:
        """Dismiss with the selected conversation; of what was just typed, once it is found."""
        for line in self.query(TitleLine):
            # An Enter that was on its way when the title got the focus.
            await line.action_submit()
            return
        self._searching.once_listed(self._end)

    def _end(self) -> None:
        row = self._listed.row
        if row is not None:
            turn_id = None if row.turn is None else row.turn.turn_id
            self.dismiss(Opening(row.hit.conversation.id, turn_id))

    def action_back(self) -> None:
        """Leave the search, and then the screen."""
        if self._search.value:
            self._search.value = ""
        else:
            self.dismiss(None)

    # -- a title that is changed ------------------------------------------------------

    async def action_rename(self) -> None:
        """Change the title of the selected conversation where it stands."""
        record = self._listed.record
        if record is None or self.query(TitleLine):
            return
        region = self._listed.title_region()
        line = TitleLine(
            record.title,
            max_length=MAX_TITLE_LENGTH,
            name=str(record.id),
            select_on_focus=False,
        )
        line.styles.offset = (region.x, region.y)
        line.styles.width = region.width
        await self.mount(line)
        # At once: `focus` would let keys that follow pass to the search.
        self.set_focus(line)

    @on(Input.Submitted, "TitleLine")
    def take_title(self, event: Input.Submitted) -> None:
        """Give the conversation the title."""
        event.input.remove()
        self._changes.rename(int(event.input.name or 0), event.value)

    def on_descendant_focus(self) -> None:
        """Update the key hints: where a title is typed, other keys do something."""
        self._show_keys()

    def _show_keys(self) -> None:
        """Tell what the keys do at this moment."""
        if isinstance(self.focused, TitleLine):
            leave = self._view.key("conversations.leave_title")
            self._keys.keys = (("Enter", "keeps the title"), (leave, "leaves it as it was"))
        else:
            found = self._listed.row is not None
            hints = (each for each in _HINTS if found or not each[2])
            self._keys.show((f"conversations.{name}", what) for name, what, _ in hints)


_HINTS = (
    ("open", "opens", True),
    ("rename", "renames", True),
    ("delete", "deletes", True),
    ("export", "exports", True),
    ("import", "imports", False),
    ("back", "back", False),
)
"""Actions, what they do, and whether they do it with a row."""
