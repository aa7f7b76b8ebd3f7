"""Autosave: what is typed and not sent yet is on disk, and outlives a crash, a kill and a quit.

A draft belongs to a conversation, which need not be stored yet, and to a place in it: where a
question is typed, or the turn that is edited. Writing never waits for the disk; what was typed
is there half a second later, or after `flush`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

from urial_tui.chat.store import Store
from urial_tui.errors import StoreError

WRITE_EVERY = 0.5
"""Seconds between two writes of what is typed."""

QUESTION = "question"


class DraftPlace(NamedTuple):
    """The key of a draft: where it is typed. `what`: "question", or what `of_turn` makes."""

    conversation_id: int
    what: str = QUESTION


def of_turn(conversation_id: int, turn_id: int) -> DraftPlace:
    """The place where a turn is edited."""
    return DraftPlace(conversation_id, f"turn {turn_id}")


class Left(NamedTuple):
    """What an earlier run has left: a draft to go on with, or where one waits ("": nowhere)."""

    text: str = ""
    waits_in: str = ""


class Drafts:
    """The drafts of one database; any thread may call any method.

    Args:
        store: Where they are kept; None keeps nothing.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._known: dict[DraftPlace, str] = {}
        self._unwritten: dict[DraftPlace, str] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._noted = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._claims = _Claims(store.path.with_name("drafts.lock")) if store is not None else None

    def open(self, conversation_id: int) -> Left:
        """Read what was left, and let a new conversation take over the newest draft.

        What another running program is typing is left to it.
        """
        if self._store is None:
            return Left()
        self.claim(conversation_id)
        try:
            rows = self._store.drafts()
            for stored_id, what, text in rows:
                self._known[DraftPlace(stored_id, what)] = text
            for stored_id, what, text in rows:
                if not stored_id or not self._is_free(stored_id):
                    continue
                title = self._store.title(stored_id)
                if title is not None:
                    return Left(waits_in=title)
                self.note(DraftPlace(stored_id, what), "")
                self.note(DraftPlace(conversation_id), text)
                self.flush()
                return Left(text)
        except StoreError:
            # The screen tells what is wrong with the database as soon as something is asked.
            pass
        return Left()

    def claim(self, conversation_id: int) -> None:
        """Tell other programs that this one types in a conversation."""
        if self._claims is not None:
            self._claims.take(conversation_id)

    def of(self, place: DraftPlace) -> str:
        """What was typed at a place and not sent."""
        return self._known.get(place, "")

    def turns(self, conversation_id: int) -> dict[int, str]:
        """The turns of a conversation that were being edited, and how far that was."""
        return {
            int(place.what.removeprefix("turn ")): text
            for place, text in self._known.items()
            if place.conversation_id == conversation_id and place.what.startswith("turn ")
        }

    def places(self, start: str) -> list[str]:
        """The rest of the names of those places, of no conversation, that start so."""
        return sorted(
            place.what.removeprefix(start)
            for place in list(self._known)
            if not place.conversation_id and place.what.startswith(start)
        )

    @property
    def kept(self) -> bool:
        """Whether what is noted is kept at all."""
        return self._store is not None

    def note(self, place: DraftPlace, text: str) -> None:
        """Remember what stands at a place now; "" forgets it."""
        with self._lock:
            if self._store is None or self._known.get(place, "") == text:
                return
            self._known[place] = self._unwritten[place] = text
            if not text:
                del self._known[place]
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="drafts", daemon=True)
                self._thread.start()
        self._noted.set()

    def flush(self) -> None:
        """Write what is not written yet; what can't be is tried again the next time."""
        with self._writing:
            for place, text in list(self._unwritten.items()):
                try:
                    self._write(place, text)
                except StoreError:
                    return
                with self._lock:
                    if self._unwritten[place] == text:
                        del self._unwritten[place]

    def close(self) -> None:
        """Write the rest and end; safe to call twice."""
        self._closed = True
        self._noted.set()
        self.flush()
        if self._claims is not None:
            self._claims.drop()

    def _write(self, place: DraftPlace, text: str) -> None:
        if self._store is not None:
            self._store.keep_draft(place.conversation_id, place.what, text)

    def _is_free(self, conversation_id: int) -> bool:
        return self._claims is None or self._claims.is_free(conversation_id)

    def _work(self) -> None:
        while self._noted.wait() and not self._closed:
            time.sleep(WRITE_EVERY)
            self._noted.clear()
            self.flush()


class _Claims:
    """Which conversations running programs type in: one locked byte each, of an empty file.

    The system drops the locks of a program with it, however it ends. A whole file for each, as in
    `file_lock`, would be thousands.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._mine: int | None = None

    def take(self, conversation_id: int) -> None:
        with contextlib.suppress(OSError):
            if self._mine is not None and self._mine != conversation_id:
                fcntl.lockf(self._open(), fcntl.LOCK_UN, 1, self._mine)
            fcntl.lockf(self._open(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, conversation_id)
            self._mine = conversation_id

    def is_free(self, conversation_id: int) -> bool:
        try:
            fcntl.lockf(self._open(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, conversation_id)
            if conversation_id != self._mine:
                fcntl.lockf(self._open(), fcntl.LOCK_UN, 1, conversation_id)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            # A file system without locks: a draft that is shown twice is better than none.
            return True
        return True

    def drop(self) -> None:
        file, self._file, self._mine = self._file, None, None
        if file is not None:
            os.close(file)

    def _open(self) -> int:
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file
