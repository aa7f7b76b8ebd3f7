"""Conversations on disk: one SQLite file that never forgets a turn.

A conversation is a tree of turns linked by `parent_id`. Rows are added, not changed: the
only row that is written twice is an answer while it is being written (its stop reason is
still NULL), and a question once, when its token ids become known. The database itself
holds that with triggers, so a bug above can't overwrite history. A deleted conversation is
only marked; it can be brought back until it is purged, `KEPT_DELETED` later.

Turns come with their ids, so writing one again after a failure is safe.

One `Store` is one connection behind one lock: any thread may call any method. A commit
is on the disk when the method returns. The search has a connection of its own (`search`).
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from urial_tui import paths
from urial_tui.chat import vote_rows
from urial_tui.chat.already_stored import AlreadyStored
from urial_tui.chat.database import (
    BUSY_TIMEOUT,
    connect,
    explained,
    lacks_wal,
    leave_wal,
    transaction,
)
from urial_tui.chat.rows import (
    CONVERSATION,
    TURN,
    TURNS_OF,
    Turns,
    conversation_from,
    conversation_row,
    pack,
    turn_row,
    turns_from,
)
from urial_tui.chat.schema import bring_up_to_date
from urial_tui.chat.turns import (
    ConversationRecord,
    TurnRecord,
    WholeConversation,
    one_line,
    renumbered,
)
from urial_tui.chat.votes import Vote
from urial_tui.errors import StoreError, UsageError
from urial_tui.sanitize import storable

KEPT_DELETED = 30 * 86_400.0
"""Seconds for which a deleted conversation can be brought back."""

_INSERT_CONVERSATION = f"INSERT INTO conversations ({CONVERSATION}) VALUES (?, ?, ?, ?, ?, ?, ?)"
# What goes on is no longer deleted; the title stays as it was given.
_UPSERT_CONVERSATION = (
    f"{_INSERT_CONVERSATION} ON CONFLICT (id) DO UPDATE SET updated = excluded.updated,"
    " model = excluded.model, preamble = excluded.preamble, deleted = NULL"
)
_WRITTEN_LAST = "UPDATE conversations SET leaf = ?, updated = max(updated, ?) WHERE id = ?"
_READ_CONVERSATIONS = (
    f"SELECT {CONVERSATION},"
    " (SELECT count(*) FROM turns WHERE conversation_id = conversations.id)"
    " FROM conversations"
)
_INSERT_TURN = f"INSERT INTO turns ({', '.join(TURN)}) VALUES ({', '.join('?' * len(TURN))})"
# Fields that must not change are set as well, so that the triggers refuse what changes them.
_UPSERT_ANSWER = f"{_INSERT_TURN} ON CONFLICT (id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in TURN if name != "id"
)


class Added(NamedTuple):
    """What became of conversations from elsewhere, in their order.

    `records`: those that were stored. `already`: those that were there, as they are stored.
    """

    records: list[ConversationRecord]
    already: list[ConversationRecord]


class Store:
    """The conversations of one database file.

    Args:
        path: The database; `paths.database_file()` unless given. Its directory is made, and
            a new file is readable by its owner alone.

    Raises:
        StoreError: The file can't be opened, is damaged, belongs to another program or was
            written by a newer version of this one. It is left as it is.
    """

    def __init__(self, path: Path | None = None, *, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self.path = path or paths.database_file()
        self._busy_timeout = busy_timeout
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        with explained(self.path, "opened"):
            self._open()

    # -- reading --------------------------------------------------------------------

    def conversations(self, limit: int = 500) -> list[ConversationRecord]:
        """The newest conversations first, by their last change; without deleted ones."""
        rows = self._read(
            f"{_READ_CONVERSATIONS} WHERE deleted IS NULL ORDER BY updated DESC, id DESC LIMIT ?",
            (limit,),
        )
        return [conversation_from(row) for row in rows]

    def conversation(self, conversation_id: int) -> ConversationRecord:
        """One conversation; StoreError when there is none of this id, or it is deleted."""
        rows = self._read(
            f"{_READ_CONVERSATIONS} WHERE id = ? AND deleted IS NULL", (conversation_id,)
        )
        if not rows:
            raise StoreError(
                "This conversation is no longer in the database.", "Open another from the list."
            )
        return conversation_from(rows[0])

    def title(self, conversation_id: int) -> str | None:
        """The title as it is now; None for what is deleted or was never stored."""
        query = "SELECT title FROM conversations WHERE id = ? AND deleted IS NULL"
        rows = self._read(query, (conversation_id,))
        return str(rows[0][0]) if rows else None

    def count(self) -> int:
        """How many conversations there are, without deleted ones."""
        query = "SELECT count(*) FROM conversations WHERE deleted IS NULL"
        return int(self._read(query, ())[0][0])

    def turns(self, conversation_id: int) -> list[TurnRecord]:
        """All turns of a conversation, oldest first: a parent always precedes its children."""
        return self.placed_turns(conversation_id).turns

    def placed_turns(self, conversation_id: int) -> Turns:
        """Its turns, and how many had lost their place by damage."""
        return turns_from(self._read(TURNS_OF, (conversation_id,)))

    def recent_questions(self, limit: int = 100) -> list[str]:
        """The last questions of all conversations but deleted ones, newest first, each once."""
        rows = self._read(
            "SELECT text FROM turns WHERE role = 'user' AND conversation_id IN"
            " (SELECT id FROM conversations WHERE deleted IS NULL)"
            " GROUP BY text ORDER BY max(id) DESC LIMIT ?",
            (limit,),
        )
        return [row[0] for row in rows]

    # -- writing --------------------------------------------------------------------

    def add_question(self, conversation: ConversationRecord, turn: TurnRecord) -> None:
        """Store a user's turn, and its conversation if that is new, in one commit."""
        with self._transaction() as connection:
            connection.execute(_UPSERT_CONVERSATION, conversation_row(conversation))
            connection.execute(_INSERT_TURN, turn_row(turn))
            connection.execute(_WRITTEN_LAST, (turn.id, conversation.updated, conversation.id))

    def set_question_ids(self, turn_id: int, ids: Sequence[int], ids_key: str) -> None:
        """Remember the tokens of a question; those of a question that has some stay."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE turns SET ids = ?, ids_key = ?"
                " WHERE id = ? AND role = 'user' AND ids IS NULL",
                (pack(ids), ids_key, turn_id),
            )

    def save_answer(self, turn: TurnRecord) -> None:
        """Add an answer, or bring it up to date while its stop reason is not stored yet."""
        with self._transaction() as connection:
            connection.execute(_UPSERT_ANSWER, turn_row(turn))
            connection.execute(_WRITTEN_LAST, (turn.id, turn.created, turn.conversation_id))

    def stand_at(self, conversation_id: int, turn_id: int) -> None:
        """Remember where in a conversation one stands; writing a turn does that as well."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE conversations SET leaf = ? WHERE id = ?", (turn_id, conversation_id)
            )

    # -- drafts ---------------------------------------------------------------------

    def drafts(self) -> list[tuple[int, str, str]]:
        """What is typed and not sent, the newest first: conversation, place, text."""
        return self._read(
            "SELECT conversation_id, place, text FROM drafts ORDER BY changed DESC", ()
        )

    def keep_draft(self, conversation_id: int, place: str, text: str) -> None:
        """Store what stands at a place now; "" removes it."""
        with self._transaction() as connection:
            if text:
                connection.execute(
                    "INSERT OR REPLACE INTO drafts (conversation_id, place, text, changed)"
                    " VALUES (?, ?, ?, ?)",
                    (conversation_id, place, storable(text), time.time()),
                )
            else:
                connection.execute(
                    "DELETE FROM drafts WHERE conversation_id = ? AND place = ?",
                    (conversation_id, place),
                )

    # -- votes ----------------------------------------------------------------------

    def add_vote(self, vote: Vote) -> None:
        """Store a vote, for good."""
        with self._transaction() as connection:
            vote_rows.insert(connection, vote)

    def votes(self) -> list[Vote]:
        """All votes, oldest first."""
        return [vote_rows.vote_from(row) for row in self._read(vote_rows.READ, ())]

    # -- whole conversations --------------------------------------------------------

    def voted_texts(self) -> dict[int, tuple[int | None, str]]:
        """By id, the parent and the text of the turns that votes are about and that are there."""
        rows = self._read(
            "SELECT id, parent_id, text FROM turns WHERE id IN (SELECT question_id FROM votes"
            " UNION SELECT left_id FROM votes UNION SELECT right_id FROM votes)"
            " AND conversation_id IN (SELECT id FROM conversations WHERE deleted IS NULL)",
            (),
        )
        return {number: (parent, str(text)) for number, parent, text in rows}

    def rename(self, conversation_id: int, title: str) -> str:
        """Give a conversation another title, made one line, which is returned.

        Raises:
            UsageError: There is no text.
            StoreError: It could not be stored.
        """
        title = storable(one_line(title))
        if not title:
            raise UsageError("The title is empty.", "Type one, or leave the old one.")
        with self._transaction() as connection:
            connection.execute(
                "UPDATE conversations SET title = ? WHERE id = ?", (title, conversation_id)
            )
        return title

    def delete(self, conversation_id: int) -> None:
        """Take a conversation out of sight; `bring_back` undoes it."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE conversations SET deleted = ? WHERE id = ? AND deleted IS NULL",
                (time.time(), conversation_id),
            )

    def bring_back(self, conversation_id: int | None = None) -> ConversationRecord | None:
        """Undo a deletion, the newest that is left by default; None when there is no such."""
        with self._transaction() as connection:
            found = connection.execute(
                "SELECT id FROM conversations WHERE deleted IS NOT NULL AND id = coalesce(?, id)"
                " ORDER BY deleted DESC, id DESC LIMIT 1",
                (conversation_id,),
            ).fetchone()
            if found is None:
                return None
            connection.execute("UPDATE conversations SET deleted = NULL WHERE id = ?", found)
            return conversation_from(
                connection.execute(f"{_READ_CONVERSATIONS} WHERE id = ?", found).fetchone()
            )

    def purge(self, older_than: float = KEPT_DELETED) -> None:
        """Remove for good what was deleted more than `older_than` seconds ago."""
        before = (time.time() - older_than,)
        if self._read("SELECT 1 FROM conversations WHERE deleted < ? LIMIT 1", before):
            with self._transaction() as connection:
                connection.execute(
                    "DELETE FROM drafts WHERE conversation_id IN"
                    " (SELECT id FROM conversations WHERE deleted < ?)",
                    before,
                )
                connection.execute("DELETE FROM conversations WHERE deleted < ?", before)

    def add(self, conversations: Iterable[WholeConversation]) -> Added:
        """Store conversations from elsewhere, all or none; one whose ids are taken gets others.

        What is stored already is left as it is: see `already_stored`.
        """
        added = Added([], [])
        with self._transaction() as connection:
            stored = AlreadyStored(connection)
            for whole in conversations:
                known = stored.find(whole)
                if known is not None:
                    added.already.append(self.conversation(known))
                    continue
                new = _add(connection, whole)
                stored.note(new)
                added.records.append(msgspec.structs.replace(new.record, turns=len(new.turns)))
        return added

    # -- the connection -------------------------------------------------------------

    def close(self) -> None:
        """Close the file; safe to call twice. Later calls of other methods are StoreErrors."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> None:
        connection = connect(self.path, self._busy_timeout)
        try:
            try:
                bring_up_to_date(connection, self.path, self._busy_timeout)
            except sqlite3.OperationalError as error:
                if not lacks_wal(error):
                    raise
                connection.close()
                connection = connect(self.path, self._busy_timeout)
                leave_wal(connection)
                bring_up_to_date(connection, self.path, self._busy_timeout, wal=False)
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._lock, explained(self.path, "read"):
            return self._connected().execute(query, values).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, explained(self.path, "written"):
            connection = self._connected()
            with transaction(connection):
                yield connection

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError("The database is closed.", "Start urial again.")
        return self._connection


def _add(connection: sqlite3.Connection, whole: WholeConversation) -> WholeConversation:
    connection.execute("SAVEPOINT before")
    try:
        _insert(connection, whole)
    except sqlite3.IntegrityError:
        connection.execute("ROLLBACK TO before")
        whole = renumbered(whole)
        _insert(connection, whole)
    connection.execute("RELEASE before")
    return whole


def _insert(connection: sqlite3.Connection, whole: WholeConversation) -> None:
    connection.execute(_INSERT_CONVERSATION, conversation_row(whole.record))
    connection.executemany(_INSERT_TURN, map(turn_row, whole.turns))
