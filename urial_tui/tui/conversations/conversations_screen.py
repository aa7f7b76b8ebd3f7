"""The stored conversations: found, opened, renamed, deleted, exported and imported.

The search line has the focus; its keys move in the list below it. What the database is
asked for is asked in threads, and the screen never waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static

from urial_tui.chat.export import (
    Form,
    exported,
    free_path,
    proposed_directory,
    read_file,
    whole_conversation,
    write_file,
)
from urial_tui.chat.search import Found, Hit, Search, Stopped
from urial_tui.chat.store import Store
from urial_tui.chat.terms import terms_of
from urial_tui.chat.turns import MAX_TITLE_LENGTH, ConversationRecord
from urial_tui.errors import UrialError
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.conversations.conversation_file import ExportScreen, ImportScreen, trouble
from urial_tui.tui.conversations.conversation_list import ConversationList, Row
from urial_tui.tui.conversations.conversation_preview import ConversationPreview, preview_of
from urial_tui.tui.conversations.search_line import SearchLine, TitleLine
from urial_tui.tui.frame.keys import key_name, keys_of, shown

WIDE = 100
"""Columns from which on there is room for a preview."""
PAUSE = 0.06
"""Seconds without a key before what was typed is looked for."""
LISTED = 20_000
"""Conversations that are listed where nothing is looked for."""


class Opening(NamedTuple):
    """The conversation to open, and the turn to go to; None: where one stood last."""

    conversation_id: int
    turn_id: int | None


class ConversationsScreen(Screen[Opening | None]):
    """Ends with what to open, or None.

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
        self._store = store
        self._current = current
        self._directory = directory
        self._search: Search | None = None
        self._opening = threading.Lock()
        self._listed: str | None = None
        """The words for which the list was made; None before the first one."""
        self._opens = False
        """Whether what is found is to be opened at once."""

    def compose(self) -> ComposeResult:
        """From the top: what it is, the search line, list and preview, a notice, the keys."""
        yield Static(id="conversations-heading", markup=False)
        yield SearchLine(placeholder="Search titles and texts", id="search")
        with Horizontal():
            yield ConversationList(id="conversations-list")
            yield Static(id="conversations-empty", markup=False)
            yield ConversationPreview(id="preview")
        yield Static(id="conversations-notice", markup=False)
        yield Static(id="conversations-keys", markup=False)

    def on_mount(self) -> None:
        """List everything."""
        self._say(Content(""))
        self.query_one("#conversations-empty").display = False
        self._show_keys()
        self._look(self._current)

    def on_unmount(self) -> None:
        """Stop searching."""
        if self._search is not None:
            self._search.close()

    def on_resize(self, event: events.Resize) -> None:
        """Where there is no room for a preview, there is none."""
        self.query(TitleLine).remove()
        wide = event.size.width >= WIDE
        self.set_class(wide, "-wide")
        self._show_keys()
        if wide:
            self._preview(self._row)

    # -- finding --------------------------------------------------------------------

    @property
    def _row(self) -> Row | None:
        return self.query_one(ConversationList).row

    @property
    def _record(self) -> ConversationRecord | None:
        return None if self._row is None else self._row.hit.conversation

    @on(Input.Changed, "#search")
    def change_search(self, event: Input.Changed) -> None:
        """Look for what is typed, as soon as there is a pause."""
        if self._search is not None:
            self._search.stop()
        self._opens = False
        self._say(Content(""))
        left = self._record if not event.value else None
        self._look(None if left is None else left.id, pause=PAUSE)

    @work(exclusive=True, group="look")
    async def _look(
        self, conversation_id: int | None, otherwise: int = 0, pause: float = 0.0
    ) -> None:
        """List what holds the words, or everything.

        Args:
            conversation_id: What is selected then, if it is listed.
            otherwise: The place of the row that is selected if not.
            pause: Seconds to wait for more to be typed.
        """
        search = self.query_one(SearchLine)
        await asyncio.sleep(pause)
        words = search.value
        while self.is_attached:
            try:
                found, count = await asyncio.to_thread(self._find, words)
                break
            except Stopped:
                # By one that was begun before and came to the database after this one.
                continue
            except UrialError as error:
                self._say(trouble(error))
                return
        else:
            return
        self.query_one(ConversationList).show(found.hits, conversation_id, otherwise)
        self._tell_found(words, found, count)
        self._show_keys()
        self._listed = words
        if self._opens:
            await self.action_open()

    def _find(self, words: str) -> tuple[Found, int]:
        """What holds the words, and how many conversations there are."""
        count = self._store.count()
        if not terms_of(words):
            records = self._store.conversations(LISTED)
            return Found(tuple(Hit(one, ((one.title, False),)) for one in records), count), count
        with self._opening:
            if self._search is None:
                self._search = Search(self._store.path)
        return self._search.find(words), count

    def _tell_found(self, words: str, found: Found, count: int) -> None:
        searched = bool(terms_of(words))
        self.query_one("#conversations-heading", Static).update(_heading(found, count, searched))
        empty = self.query_one("#conversations-empty", Static)
        empty.display = not found.hits
        self.query_one(ConversationList).display = bool(found.hits)
        empty.update(self._nothing_found(words) if searched else self._nothing_stored())

    def _nothing_found(self, words: str) -> Content:
        return Content.assemble(
            (f"Nothing holds “{sanitize_line(words)[:60]}”.\n\n", "bold"),
            (
                "All words have to be in one turn, or in the title. They are found by how they "
                "start; fewer or shorter ones find more.",
                "$quiet",
            ),
        )

    def _nothing_stored(self) -> Content:
        return Content.assemble(
            ("There are none yet.\n\n", "bold"),
            (
                "What you ask in the chat is stored here as you go. "
                f"{self._key('conversations.import')} takes in conversations from files.",
                "$quiet",
            ),
        )

    @on(ConversationList.Selected)
    def show_preview(self, event: ConversationList.Selected) -> None:
        """Show what the selected conversation says."""
        if self.has_class("-wide"):
            self._preview(event.row)

    @work(exclusive=True, group="preview")
    async def _preview(self, row: Row | None) -> None:
        # The screen may be on its way out after the pause, and its children gone.
        pane, search = self.query_one(ConversationPreview), self.query_one(SearchLine)
        if row is None:
            pane.show(None)
            return
        # Whoever holds a key down is not shown all that passes by.
        await asyncio.sleep(PAUSE)
        terms = terms_of(search.value)
        record, turn = row.hit.conversation, row.turn
        with contextlib.suppress(UrialError):
            turns = await asyncio.to_thread(self._store.turns, record.id)
            turn_id = None if turn is None else turn.turn_id
            pane.show(preview_of(turns, record.leaf, turn_id, terms))

    # -- keys -----------------------------------------------------------------------

    def action_move(self, rows: int) -> None:
        """Select another row."""
        self.query_one(ConversationList).move(rows)

    def action_move_page(self, pages: int) -> None:
        """Select a row on another page."""
        self.query_one(ConversationList).move_page(pages)

    @on(ConversationList.Opened)
    async def action_open(self) -> None:
        """End with the selected conversation; of what was just typed, once it is found."""
        for line in self.query(TitleLine):
            # An Enter that was on its way when the title got the focus.
            await line.action_submit()
            return
        self._opens = self._listed != self.query_one(SearchLine).value
        if self._opens:
            return
        row = self._row
        if row is not None:
            turn_id = None if row.turn is None else row.turn.turn_id
            self.dismiss(Opening(row.hit.conversation.id, turn_id))

    def action_back(self) -> None:
        """Leave the search, and then the screen."""
        search = self.query_one(SearchLine)
        if search.value:
            search.value = ""
        else:
            self.dismiss(None)

    async def action_rename(self) -> None:
        """Change the title of the selected conversation where it stands."""
        record = self._record
        if record is None or self.query(TitleLine):
            return
        region = self.query_one(ConversationList).title_region()
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
        self._rename(int(event.input.name or 0), event.value)

    @work(group="change")
    async def _rename(self, conversation_id: int, title: str) -> None:
        try:
            await asyncio.to_thread(self._store.rename, conversation_id, title)
        except UrialError as error:
            self._say(trouble(error))
            return
        self._say(Content(""))
        self._look(conversation_id)

    @work(group="change")
    async def action_delete(self) -> None:
        """Delete the selected conversation."""
        record = self._record
        if record is None:
            return
        try:
            await asyncio.to_thread(self._store.delete, record.id)
        except UrialError as error:
            self._say(trouble(error))
            return
        key = self._key("conversations.bring_back")
        self._say(
            Content.assemble(
                "Deleted “",
                (_title(record), "bold"),
                "”. ",
                (key, "bold $secondary"),
                " brings it back.",
            )
        )
        self._look(record.id, self.query_one(ConversationList).selected)

    @work(group="change")
    async def action_bring_back(self) -> None:
        """Undo the newest deletion."""
        try:
            record = await asyncio.to_thread(self._store.bring_back)
        except UrialError as error:
            self._say(trouble(error))
            return
        if record is None:
            self._say(Content("Nothing is deleted that could be brought back."))
            return
        self._say(Content.assemble("“", (_title(record), "bold"), "” is back."))
        self._look(record.id)

    @work(exclusive=True, group="file")
    async def action_export(self) -> None:
        """Write the selected conversation to a file."""
        record = self._record
        if record is None:
            return

        def propose(form: Form) -> Path:
            return free_path(self._directory(), record.title, form)

        def write(path: Path, form: Form, replace: bool) -> Path:
            text = exported([whole_conversation(self._store, record.id)], form)
            write_file(path, text, replace=replace)
            return path

        written = await self.app.push_screen_wait(ExportScreen(record.title, propose, write))
        if written is not None:
            self._say(Content.assemble("Wrote ", (sanitize_line(str(written)), "bold"), "."))

    @work(exclusive=True, group="file")
    async def action_import(self) -> None:
        """Take in conversations from a file."""
        added: list[ConversationRecord] = []

        def read(path: Path) -> Sequence[str]:
            added.extend(self._store.add(read_file(path)))
            return [record.title for record in added]

        titles = await self.app.push_screen_wait(ImportScreen(read))
        if not titles:
            return
        what = f"“{_title(added[0])}”" if len(added) == 1 else f"{len(added):,} conversations"
        self._say(Content(f"Took in {what}."))
        search = self.query_one(SearchLine)
        with search.prevent(Input.Changed):
            search.value = ""
        self._look(added[0].id)

    # -- telling --------------------------------------------------------------------

    def _say(self, notice: Content) -> None:
        line = self.query_one("#conversations-notice", Static)
        line.update(notice)
        line.display = bool(notice.plain)

    def _key(self, name: str) -> str:
        """The first key of an action, as it is printed on a keyboard."""
        keys = keys_of(self, name) or keys_of(self.query_one(SearchLine), name)
        return shown(keys[0]) if keys else ""

    def on_descendant_focus(self) -> None:
        """Where a title is typed, other keys do something."""
        self._show_keys()

    def _show_keys(self) -> None:
        """What the keys do at this moment; the last ones give way where it is narrow."""
        if isinstance(self.focused, TitleLine):
            hints = [
                ("Enter", "keeps the title"),
                (key_name(self, "conversations.leave_title"), "leaves it as it was"),
            ]
        else:
            found = self._row is not None
            hints = [
                (self._key(f"conversations.{name}"), what)
                for name, what, on_row in _HINTS
                if found or not on_row
            ]
        width, line = self.app.size.width - 2, Content("")
        for key, what in hints:
            part = Content.assemble((key, "bold $secondary"), (f" {what}  ", "$quiet"))
            if line.cell_length + part.rstrip().cell_length > width:
                break
            line = Content.assemble(line, part)
        self.query_one("#conversations-keys", Static).update(line)


_HINTS = (
    ("open", "opens", True),
    ("rename", "renames", True),
    ("delete", "deletes", True),
    ("export", "exports", True),
    ("import", "imports", False),
    ("back", "back", False),
)
"""Actions, what they do, and whether they do it with a row."""


def _title(record: ConversationRecord) -> str:
    title = sanitize_line(record.title)
    return (title[:47] + "…" if len(title) > 48 else title) or "(no title)"


def _heading(found: Found, count: int, searched: bool) -> Content:
    if not searched:
        amount = f"{count:,} stored"
    elif found.count > len(found.hits):
        amount = f"{found.count:,} of {count:,} found, the newest {len(found.hits):,} are shown"
    else:
        amount = f"{found.count:,} of {count:,} found"
    return Content.assemble(("Conversations", "bold $primary"), ("  " + amount, "$quiet"))
