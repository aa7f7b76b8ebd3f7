"""Changes of stored conversations: rename, delete, undo of that, export, import."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from textual.content import Content

from urial_tui.chat.export import already_stored
from urial_tui.chat.store import Added, Store
from urial_tui.errors import UrialError
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.conversations.conversation_file import ConversationImportScreen, ExportScreen
from urial_tui.tui.conversations.conversation_list import ConversationList
from urial_tui.tui.conversations.conversation_search import ConversationSearch
from urial_tui.tui.conversations.conversation_words import title_of, trouble
from urial_tui.tui.conversations.search_line import SearchLine
from urial_tui.tui.frame.screen_view import ScreenView
from urial_tui.tui.widgets.notice_line import NoticeLine


class Changes:
    """Changes stored conversations in threads, and refreshes the list.

    Args:
        view: Of the screen.
        store: Has the conversations.
        listed: Which one is selected.
        search: Emptied where something new is to be seen.
        searching: Lists what there is then.
        notice: Tells what was done, or what is wrong.
        directory: Where files are proposed; asked when one is.
    """

    def __init__(
        self,
        view: ScreenView,
        store: Store,
        listed: ConversationList,
        search: SearchLine,
        searching: ConversationSearch,
        notice: NoticeLine,
        directory: Callable[[], Path],
    ) -> None:
        self._view = view
        self._store = store
        self._listed = listed
        self._search = search
        self._searching = searching
        self._notice = notice
        self._directory = directory

    def rename(self, conversation_id: int, title: str) -> None:
        """Give a conversation another title."""
        self._view.work("change", self._rename, conversation_id, title)

    def delete(self) -> None:
        """Delete the selected conversation."""
        self._view.work("change", self._delete)

    def bring_back(self) -> None:
        """Undo the newest deletion."""
        self._view.work("change", self._bring_back)

    def write(self) -> None:
        """Export the selected conversation to a file."""
        self._view.work_alone("file", self._write)

    def take_in(self) -> None:
        """Import conversations from a file."""
        self._view.work_alone("file", self._take_in)

    async def _rename(self, conversation_id: int, title: str) -> None:
        with self._telling():
            await asyncio.to_thread(self._store.rename, conversation_id, title)
            self._notice.say("")
            self._searching.look(conversation_id)

    async def _delete(self) -> None:
        record = self._listed.record
        if record is None:
            return
        with self._telling():
            await asyncio.to_thread(self._store.delete, record.id)
            key = (self._view.key("conversations.bring_back"), "bold $secondary")
            title = (title_of(record), "bold")
            self._notice.say(Content.assemble("Deleted “", title, "”. ", key, " brings it back."))
            self._searching.look(record.id, self._listed.selected)

    async def _bring_back(self) -> None:
        with self._telling():
            record = await asyncio.to_thread(self._store.bring_back)
            if record is None:
                self._notice.say("Nothing is deleted that could be brought back.")
            else:
                self._notice.say(Content.assemble("“", (title_of(record), "bold"), "” is back."))
                self._searching.look(record.id)

    async def _write(self) -> None:
        record = self._listed.record
        if record is None:
            return
        path = await self._view.chosen_on(ExportScreen(self._store, record, self._directory()))
        if path is not None:
            self._notice.say(Content.assemble("Wrote ", (sanitize_line(str(path)), "bold"), "."))

    async def _take_in(self) -> None:
        added = await self._view.chosen_on(ConversationImportScreen(self._store))
        if added is None:
            return
        self._notice.say(_taken_in(added))
        with self._search.prevent(SearchLine.Changed):
            self._search.value = ""
        self._searching.look((added.records or added.already)[0].id)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """A context manager that tells errors instead of raising them."""
        try:
            yield
        except UrialError as error:
            self._notice.say(trouble(error))


def _taken_in(added: Added) -> str:
    """What an import did, in a sentence or two."""
    said: list[str] = []
    if len(added.records) == 1:
        said.append(f"Took in “{title_of(added.records[0])}”.")
    elif added.records:
        said.append(f"Took in {len(added.records):,} conversations.")
    if added.already:
        said.append(already_stored(added.already))
    return " ".join(said)
