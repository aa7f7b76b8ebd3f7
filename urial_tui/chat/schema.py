"""The tables of the database, and how an older file is brought up to date.

`MIGRATIONS` is append-only; the file's `user_version` counts how many of them it has seen.
All that is missing is done in one transaction, so a file is of one version or of another.
What is derived from the tables (the search index) is no migration: see `search_index`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from urial_tui.chat import search_index
from urial_tui.chat.database import result_code, transaction
from urial_tui.errors import StoreError


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


def _deleted_conversations(connection: sqlite3.Connection) -> None:
    """Deleting marks a conversation with the time; its turns stay until it is purged."""
    connection.execute("ALTER TABLE conversations ADD COLUMN deleted REAL")
    connection.execute(
        "CREATE INDEX deleted_conversations ON conversations (deleted) WHERE deleted IS NOT NULL"
    )


def _place_in_conversation(connection: sqlite3.Connection) -> None:
    """The leaf where one stood last; NULL stands for the newest turn, where older files stand."""
    connection.execute("ALTER TABLE conversations ADD COLUMN leaf INTEGER")


def _sampling_of_answers(connection: sqlite3.Connection) -> None:
    """How an answer's tokens were chosen, as JSON; empty where that is not known."""
    connection.execute("ALTER TABLE turns ADD COLUMN sampling TEXT NOT NULL DEFAULT ''")


def _votes(connection: sqlite3.Connection) -> None:
    """Votes between two answers; one outlives its turns, and is not rewritten."""
    for statement in (
        """CREATE TABLE votes (
            id INTEGER PRIMARY KEY,
            created REAL NOT NULL,
            question_id INTEGER REFERENCES turns (id) ON DELETE SET NULL,
            left_id INTEGER REFERENCES turns (id) ON DELETE SET NULL,
            right_id INTEGER REFERENCES turns (id) ON DELETE SET NULL,
            left_model TEXT NOT NULL,
            left_preamble TEXT NOT NULL,
            right_model TEXT NOT NULL,
            right_preamble TEXT NOT NULL,
            sampling TEXT NOT NULL,
            max_tokens INTEGER NOT NULL,
            blind INTEGER NOT NULL CHECK (blind IN (0, 1)),
            choice TEXT NOT NULL CHECK (choice IN ('left', 'right', 'tie', 'neither'))
        )""",
        # What removes a turn looks for the votes that name it.
        "CREATE INDEX votes_on_question ON votes (question_id)",
        "CREATE INDEX votes_on_left ON votes (left_id)",
        "CREATE INDEX votes_on_right ON votes (right_id)",
        """CREATE TRIGGER votes_stay BEFORE UPDATE OF id, created, left_model, left_preamble,
            right_model, right_preamble, sampling, max_tokens, blind, choice ON votes
            BEGIN SELECT RAISE(ABORT, 'a vote is not rewritten'); END""",
    ):
        connection.execute(statement)


def _drafts(connection: sqlite3.Connection) -> None:
    """What is typed and not sent; its conversation need not be stored yet."""
    connection.execute(
        """CREATE TABLE drafts (
            conversation_id INTEGER NOT NULL,
            place TEXT NOT NULL,
            text TEXT NOT NULL,
            changed REAL NOT NULL,
            PRIMARY KEY (conversation_id, place)
        )"""
    )


def _examples_of_answers(connection: sqlite3.Connection) -> None:
    """The examples that were retrieved for an answer, as JSON; empty where none were."""
    connection.execute("ALTER TABLE turns ADD COLUMN examples TEXT NOT NULL DEFAULT ''")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _first_schema,
    _deleted_conversations,
    _place_in_conversation,
    _sampling_of_answers,
    _votes,
    _drafts,
    _examples_of_answers,
)


def bring_up_to_date(
    connection: sqlite3.Connection, path: Path, busy_timeout: float, *, wal: bool = True
) -> None:
    """Migrate the database: make or complete the tables and the search index. An up-to-date file is
    only read.

    Args:
        connection: To the file, without a transaction.
        path: The file, to be named.
        busy_timeout: Seconds to wait for others.
        wal: Whether a file that is made or completed gets a write-ahead log.

    Raises:
        StoreError: The file belongs to another program or was written by a newer version.
        sqlite3.Error: SQLite refuses; the file is as it was.
    """
    # One transaction, so that the version and the tables are of the same moment.
    connection.execute("BEGIN")
    version = _version_of(connection, path)
    complete = version == len(MIGRATIONS) and search_index.is_in_order(connection)
    connection.execute("COMMIT")
    if complete:
        return
    if wal:
        _write_ahead(connection, busy_timeout)
    with transaction(connection):
        # Another process may have migrated while this one waited for the lock.
        for number in range(_version_of(connection, path), len(MIGRATIONS)):
            MIGRATIONS[number](connection)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        search_index.put_in_order(connection)


def _version_of(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StoreError(
            f"The database {path} was written by a newer version of urial-tui.",
            "Install that version again, or move the file away to start a new one.",
        )
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if (version == 0 and tables) or (version > 0 and not {"conversations", "turns"} <= tables):
        raise StoreError(
            f"The database {path} belongs to another program.",
            "Move it away so that a new one can be made.",
        )
    return version


def _write_ahead(connection: sqlite3.Connection, busy_timeout: float) -> None:
    """Switch to WAL, which stays with the file; the busy timeout does not cover this step."""
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # Whether the file system has what that needs shows only now.
            connection.execute("PRAGMA user_version").fetchone()
            return
        except sqlite3.OperationalError as error:
            if result_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.02)
