"""Listing the stored conversations: all of them, or those that hold words."""

from __future__ import annotations

import threading

import msgspec

from urial_tui.chat.search import Found, Hit, Search
from urial_tui.chat.store import Store
from urial_tui.chat.terms import terms_of

LISTED = 20_000
"""Conversations that are listed where nothing is looked for."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What is listed of the conversations that are `stored`; `words`: for which, "" for none.

    `unsent`: the ids of those in which something was typed and not sent.
    """

    found: Found
    stored: int
    words: str = ""
    unsent: frozenset[int] = frozenset()


class Lister:
    """Lists, in threads: a listing that is begun while another one searches stops that.

    Args:
        store: What is listed. A connection of its own is opened for the first search.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._search: Search | None = None
        self._opening = threading.Lock()

    def list(self, words: str) -> Listing:
        """The conversations that hold these words, or all of them; the newest first.

        Raises:
            Stopped: Another one was begun, or `stop` was called.
            StoreError: The database can't be read.
        """
        stored = self._store.count()
        unsent = frozenset(conversation_id for conversation_id, _, _ in self._store.drafts())
        if not terms_of(words):
            records = self._store.conversations(LISTED)
            hits = tuple(Hit(one, ((one.title, False),)) for one in records)
            return Listing(found=Found(hits, stored), stored=stored, unsent=unsent)
        with self._opening:
            if self._search is None:
                self._search = Search(self._store.path)
        found = self._search.find(words)
        return Listing(found=found, stored=stored, words=words, unsent=unsent)

    def stop(self) -> None:
        """End the search that runs, if one does; any thread."""
        if self._search is not None:
            self._search.stop()

    def close(self) -> None:
        """Close what was opened."""
        if self._search is not None:
            self._search.close()
