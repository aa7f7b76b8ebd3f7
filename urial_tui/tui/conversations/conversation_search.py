"""A debounced search as one types: the conversations that hold the words are listed.

What the database is asked for is asked in threads, and the screen never waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.widgets import Static

from urial_tui.chat.listing import Lister
from urial_tui.chat.search import SearchStopped
from urial_tui.errors import UrialError
from urial_tui.tui.conversations.conversation_list import ConversationList
from urial_tui.tui.conversations.conversation_words import how_many, nothing, trouble
from urial_tui.tui.conversations.search_line import SearchLine
from urial_tui.tui.frame.screen_view import ScreenView
from urial_tui.tui.widgets.heading_line import HeadingLine
from urial_tui.tui.widgets.notice_line import NoticeLine

PAUSE = 0.06
"""Seconds without a key before what was typed is looked for (debounce)."""


class ConversationSearch:
    """Searches in threads, and shows what was found.

    Args:
        view: Of the screen.
        lister: Finds.
        search: Where the words are.
        listed: What was found.
        head: Tells how many.
        page: Tells why there are none.
        notice: Tells what is wrong.
    """

    def __init__(
        self,
        view: ScreenView,
        lister: Lister,
        search: SearchLine,
        listed: ConversationList,
        head: HeadingLine,
        page: Static,
        notice: NoticeLine,
    ) -> None:
        self._view = view
        self._lister = lister
        self._search = search
        self._listed = listed
        self._head = head
        self._page = page
        self._notice = notice
        self._words: str | None = None
        """For which the list was made; None before the first one."""
        self._then: Callable[[], object] | None = None
        self.when_listed: Callable[[], object] = lambda: None

    def search(self) -> None:
        """Search for what is typed, as soon as there is a pause (debounce)."""
        self._lister.stop()
        self._then = None
        self._notice.say("")
        left = self._listed.record if not self._search.value else None
        self._view.work_alone("look", self._look, None if left is None else left.id, 0, PAUSE)

    def look(self, conversation_id: int | None, otherwise: int = 0) -> None:
        """Refresh the list: what holds the words, or everything.

        Args:
            conversation_id: What is selected then, if it is listed.
            otherwise: The place of the row that is selected if not.
        """
        self._view.work_alone("look", self._look, conversation_id, otherwise, 0.0)

    def once_listed(self, do: Callable[[], object]) -> None:
        """Call back when what is typed is listed, which it may be already."""
        if self._words == self._search.value:
            do()
        else:
            self._then = do

    async def _look(self, conversation_id: int | None, otherwise: int, pause: float) -> None:
        await asyncio.sleep(pause)
        words = self._search.value
        while self._view.alive:
            try:
                listing = await asyncio.to_thread(self._lister.list, words)
                break
            except SearchStopped:
                # By one that was begun before and came to the database after this one.
                continue
            except UrialError as error:
                self._notice.say(trouble(error))
                return
        else:
            return
        hits = listing.found.hits
        self._listed.unsent = listing.unsent
        self._listed.show(hits, conversation_id, otherwise)
        self._listed.display = bool(hits)
        self._page.display = not hits
        self._page.update(nothing(listing, self._view.key("conversations.import")))
        self._head.beside = how_many(listing)
        self._words = words
        self.when_listed()
        then, self._then = self._then, None
        if then is not None:
            then()
