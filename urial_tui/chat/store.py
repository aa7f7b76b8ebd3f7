"""Conversations on disk: one SQLite file that never forgets a turn.

A conversation is a tree of turns linked by `parent_id`. Rows are added, not changed: the
only row that is written twice is an answer while it is being written (its stop reason is
still NULL), and a question once, when its token ids become known. The database itself
holds that with triggers, so a bug above can't overwrite history.

Turns come with their ids, so writing one again after a failure is safe.

One `Store` is one connection behind one lock: any thread may call any method. Several
processes may share the file (WAL, a busy timeout, short transactions). A commit is on
the disk when the method returns.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from urial_tui import paths
from urial_tui.chat.turns import ConversationRecord, Timings, TurnRecord
from urial_tui.errors import StoreError

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that writes."""

# -- the schema ---------------------------------------------------------------------


def _first_schema(connection: sqlite3.Connection) -> None:
    """Conversations, turns, and the rule that history is not rewritten."""
    for statement in (
        """CREATE TABLE conversations (
            id INTEGER PRIMARY KEY,
            title TEXT NOT NULL,
            created REAL NOT NULL,
            updated REAL NOT NULL,
            model TEXT NOT NULL,
            preamble TEXT NOT NULL
        )""",
        """CREATE TABLE turns (
            id INTEGER PRIMARY KEY,
            conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
            parent_id INTEGER REFERENCES turns (id) ON DELETE CASCADE,
            role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
            text TEXT NOT NULL,
            created REAL NOT NULL,
            ids BLOB,
            ids_key TEXT NOT NULL,
            tail TEXT NOT NULL,
            stop_reason TEXT,
            stopped_by TEXT NOT NULL,
            model TEXT NOT NULL,
            preamble TEXT NOT NULL,
            generated INTEGER NOT NULL,
            context_from INTEGER,
            timings TEXT NOT NULL
        )""",
        "CREATE INDEX turns_of_conversation ON turns (conversation_id)",
        "CREATE INDEX children_of_turn ON turns (parent_id)",
        "CREATE INDEX conversations_by_time ON conversations (updated)",
        """CREATE TRIGGER finished_answers_stay BEFORE UPDATE ON turns
            WHEN OLD.role = 'assistant' AND OLD.stop_reason IS NOT NULL
            BEGIN SELECT RAISE(ABORT, 'a finished answer is not rewritten'); END""",
        """CREATE TRIGGER questions_stay BEFORE UPDATE ON turns
            WHEN OLD.role = 'user' AND (OLD.ids IS NOT NULL OR NEW.text IS NOT OLD.text)
            BEGIN SELECT RAISE(ABORT, 'a question is not rewritten'); END""",
        """CREATE TRIGGER turns_keep_their_place BEFORE UPDATE ON turns
            WHEN NEW.id IS NOT OLD.id OR NEW.parent_id IS NOT OLD.parent_id
                OR NEW.conversation_id IS NOT OLD.conversation_id OR NEW.role IS NOT OLD.role
            BEGIN SELECT RAISE(ABORT, 'a turn keeps its place in the tree'); END""",
    ):
        connection.execute(statement)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first_schema,)
"""Append only: the file's `user_version` counts how many of these it has seen."""

_CONVERSATION = "id, title, created, updated, model, preamble"
_TURN = tuple(TurnRecord.__struct_fields__)
_INSERT_TURN = f"INSERT INTO turns ({', '.join(_TURN)}) VALUES ({', '.join('?' * len(_TURN))})"
# Fields that must not change are set as well, so that the triggers refuse what changes them.
_UPSERT_ANSWER = f"{_INSERT_TURN} ON CONFLICT (id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in _TURN if name != "id"
)
_SURROGATES = re.compile("[\ud800-\udfff]")


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
        with self._explained("opened"):
            self._open()

    # -- reading --------------------------------------------------------------------

    def conversations(self, limit: int = 500) -> list[ConversationRecord]:
        """The newest conversations first, by their last change."""
        return [
            ConversationRecord(
                id=row[0],
                title=row[1],
                created=row[2],
                updated=row[3],
                model=row[4],
                preamble=row[5],
                turns=row[6],
            )
            for row in self._read(
                f"SELECT {_CONVERSATION},"
                " (SELECT count(*) FROM turns WHERE conversation_id = conversations.id)"
                " FROM conversations ORDER BY updated DESC, id DESC LIMIT ?",
                (limit,),
            )
        ]

    def conversation(self, conversation_id: int) -> ConversationRecord:
        """One conversation; StoreError when there is none of this id."""
        rows = self._read(
            f"SELECT {_CONVERSATION}, (SELECT count(*) FROM turns WHERE conversation_id = ?1)"
            " FROM conversations WHERE id = ?1",
            (conversation_id,),
        )
        if not rows:
            raise StoreError(
                "This conversation is no longer in the database.", "Open another from the list."
            )
        fields = (*_CONVERSATION.split(", "), "turns")
        return ConversationRecord(**dict(zip(fields, rows[0], strict=True)))

    def turns(self, conversation_id: int) -> list[TurnRecord]:
        """All turns of a conversation, oldest first: a parent always precedes its children."""
        rows = self._read(
            f"SELECT {', '.join(_TURN)} FROM turns WHERE conversation_id = ? ORDER BY id",
            (conversation_id,),
        )
        return [_turn_from(row) for row in rows]

    def recent_questions(self, limit: int = 100) -> list[str]:
        """The last questions of all conversations, newest first, each once."""
        rows = self._read(
            "SELECT text FROM turns WHERE role = 'user'"
            " GROUP BY text ORDER BY max(id) DESC LIMIT ?",
            (limit,),
        )
        return [row[0] for row in rows]

    # -- writing --------------------------------------------------------------------

    def add_question(self, conversation: ConversationRecord, turn: TurnRecord) -> None:
        """Store a user's turn, and its conversation if that is new, in one commit."""
        with self._transaction() as connection:
            connection.execute(
                f"INSERT INTO conversations ({_CONVERSATION}) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET updated = excluded.updated,"
                " model = excluded.model, preamble = excluded.preamble",
                (
                    conversation.id,
                    _storable(conversation.title),
                    conversation.created,
                    conversation.updated,
                    _storable(conversation.model),
                    _storable(conversation.preamble),
                ),
            )
            connection.execute(_INSERT_TURN, _row_of(turn))

    def set_question_ids(self, turn_id: int, ids: Sequence[int], ids_key: str) -> None:
        """Remember the tokens of a question; those of a question that has some stay."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE turns SET ids = ?, ids_key = ?"
                " WHERE id = ? AND role = 'user' AND ids IS NULL",
                (_pack(ids), ids_key, turn_id),
            )

    def save_answer(self, turn: TurnRecord) -> None:
        """Add an answer, or bring it up to date while its stop reason is not stored yet."""
        with self._transaction() as connection:
            connection.execute(_UPSERT_ANSWER, _row_of(turn))
            connection.execute(
                "UPDATE conversations SET updated = max(updated, ?) WHERE id = ?",
                (turn.created, turn.conversation_id),
            )

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
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite would make the file readable by everyone; what is in it is private.
        with contextlib.suppress(OSError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(
            self.path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            self._migrate(connection)
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        # One transaction, so that the version and the tables are of the same moment.
        connection.execute("BEGIN")
        version = self._version_of(connection)
        connection.execute("COMMIT")
        if version == len(MIGRATIONS):
            return
        self._write_ahead(connection)
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have migrated while this one waited for the lock.
            for number in range(self._version_of(connection), len(MIGRATIONS)):
                MIGRATIONS[number](connection)
                connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _version_of(self, connection: sqlite3.Connection) -> int:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise StoreError(
                f"The database {self.path} was written by a newer version of urial-tui.",
                "Install that version again, or move the file away to start a new one.",
            )
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        if (version == 0 and tables) or (version > 0 and not {"conversations", "turns"} <= tables):
            raise StoreError(
                f"The database {self.path} belongs to another program.",
                "Move it away so that a new one can be made.",
            )
        return version

    def _write_ahead(self, connection: sqlite3.Connection) -> None:
        """Switch to WAL, which stays with the file; the busy timeout does not cover this step."""
        deadline = time.monotonic() + self._busy_timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(0.02)

    def _read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._lock, self._explained("read"):
            return self._connected().execute(query, values).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._explained("written"):
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError("The database is closed.", "Start urial again.")
        return self._connection

    @contextlib.contextmanager
    def _explained(self, deed: str) -> Iterator[None]:
        """Turn whatever SQLite or the system refuses into a sentence."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._explain(error, deed) from error

    def _explain(self, error: sqlite3.Error | OSError, deed: str) -> StoreError:
        file = f"The database {self.path}"
        code = _code(error)
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreError(
                f"{file} is in use by another program.",
                "End the other program, or wait until it has finished, and try again.",
            )
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return StoreError(
                f"{file} is damaged or is not a database.",
                "Move it away to start a new one; keep it, for much of it may be recoverable.",
            )
        if code == sqlite3.SQLITE_FULL:
            return StoreError(
                f"{file} can't be written: the disk is full.",
                "Free some space; what was stored before is safe.",
            )
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return StoreError(
                f"{file} can't be written: it is read-only.",
                "Give yourself permission to write it and its directory.",
            )
        if code == sqlite3.SQLITE_CANTOPEN or isinstance(error, OSError):
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return StoreError(
                f"{file} can't be {deed}: {reason}.",
                "Check that the directory exists and that you may write to it.",
            )
        return StoreError(
            f"{file} can't be {deed}: {error}.", "Check the disk, then start urial again."
        )


def _code(error: Exception) -> int:
    """SQLite's primary result code, 0 when the error has none."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else 0


def _storable(text: str) -> str:
    """Lone surrogates (from undecodable command lines) can't be written as UTF-8."""
    return _SURROGATES.sub("\ufffd", text)


def _pack(ids: Sequence[int]) -> bytes:
    packed = array("i", ids)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _unpack(blob: bytes) -> tuple[int, ...]:
    unpacked = array("i")
    unpacked.frombytes(blob)
    if sys.byteorder == "big":
        unpacked.byteswap()
    return tuple(unpacked)


def _row_of(turn: TurnRecord) -> tuple[object, ...]:
    values = {name: getattr(turn, name) for name in _TURN}
    for name in ("text", "tail", "stopped_by", "model", "preamble"):
        values[name] = _storable(values[name])
    values["ids"] = None if turn.ids is None else _pack(turn.ids)
    values["timings"] = msgspec.json.encode(turn.timings).decode()
    return tuple(values.values())


def _turn_from(row: tuple[Any, ...]) -> TurnRecord:
    values = dict(zip(_TURN, row, strict=True))
    blob = values["ids"]
    # A torn or foreign blob or document costs the ids or the timings, never the text.
    values["ids"] = None
    if isinstance(blob, bytes) and len(blob) % 4 == 0:
        values["ids"] = _unpack(blob)
    try:
        values["timings"] = msgspec.json.decode(values["timings"], type=Timings)
    except (msgspec.DecodeError, TypeError):
        values["timings"] = Timings()
    return TurnRecord(**values)
