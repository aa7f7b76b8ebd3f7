"""Finding conversations by words in their titles and turns.

A title or a turn is found when it holds every word that was typed: words are found by how
they start, without regard to case and accents, and what stands in quotes as it is. The
index answers what it can; words it has no entries for (in scripts without spaces, or signs)
are looked for in the texts, and so is everything where SQLite has no FTS5.

A `Search` is one connection of its own, so that a long search holds up no writer; `stop`
ends one from any thread.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from urial_tui.chat import search_index
from urial_tui.chat.database import connect, explained
from urial_tui.chat.marking import Marked, excerpt, marked
from urial_tui.chat.rows import CONVERSATION, conversation_from
from urial_tui.chat.terms import Term, terms_of
from urial_tui.chat.turns import ConversationRecord, Role

MAX_CONVERSATIONS = 300
MAX_HITS = 5
"""Conversations that are returned, and turns of each."""

_STEPS = 50_000
"""Steps of SQLite's machine between two looks at whether to stop."""
_WILD = re.compile(r"[\\%_]")


class TurnHit(msgspec.Struct, frozen=True):
    """A turn that holds the words, and what stands around the first of them."""

    turn_id: int
    role: Role
    excerpt: Marked


class Hit(msgspec.Struct, frozen=True):
    """A conversation that was found.

    `turns` are the first turns that hold the words, oldest first; `count` is how many there
    are. None of them: the words are in the title.
    """

    conversation: ConversationRecord
    title: Marked
    turns: tuple[TurnHit, ...] = ()
    count: int = 0


class Found(msgspec.Struct, frozen=True):
    """What a search found: the newest conversations, of `count` that there are."""

    hits: tuple[Hit, ...] = ()
    count: int = 0


class SearchStopped(Exception):
    """The search was stopped before it was through."""


class Search:
    """Searches in one database file, which `Store` has brought up to date.

    Args:
        path: The database.

    Raises:
        StoreError: It can't be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._wanted = object()
        with explained(path, "opened"):
            self._connection = connect(path)
            self._indexed = search_index.has_fts5(self._connection)

    def find(self, words: str) -> Found:
        """The conversations that hold these words, the newest first; none for no words.

        A search that is begun while another runs stops that one.

        Raises:
            Stopped: Another one was begun, or `stop` was called.
            StoreError: The database can't be read.
        """
        terms = terms_of(words)
        if not terms:
            return Found()
        mine = self._wanted = object()
        with self._lock, explained(self._path, "read"):
            if mine is not self._wanted:
                raise SearchStopped
            self._connection.set_progress_handler(lambda: int(mine is not self._wanted), _STEPS)
            try:
                return _find(self._connection, terms, indexed=self._indexed)
            except sqlite3.OperationalError as error:
                if mine is not self._wanted:
                    raise SearchStopped from error
                raise

    def stop(self) -> None:
        """End the search that runs, if one does; any thread."""
        self._wanted = object()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self.stop()
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Condition(NamedTuple):
    """What a text has to meet, as SQL, and the values in it."""

    sql: str
    values: tuple[str, ...]


def _condition(terms: tuple[Term, ...], table: str, column: str, *, indexed: bool) -> _Condition:
    """Whether a row of `table` holds all terms in `column`."""
    parts: list[str] = []
    values: list[str] = []
    listed = [term.match for term in terms if indexed and term.match]
    if listed:
        index = f"{table}_search"
        parts.append(f"{table}.id IN (SELECT rowid FROM {index} WHERE {index} MATCH ?)")
        values.append(" AND ".join(listed))
    for term in terms:
        if not indexed or not term.match or term.exact:
            parts.append(f"{table}.{column} LIKE ? ESCAPE '\\'")
            values.append("%" + _WILD.sub(r"\\\g<0>", term.text) + "%")
    return _Condition(" AND ".join(parts), tuple(values))


def _find(connection: sqlite3.Connection, terms: tuple[Term, ...], *, indexed: bool) -> Found:
    in_turns = _condition(terms, "turns", "text", indexed=indexed)
    in_titles = _condition(terms, "conversations", "title", indexed=indexed)
    conversations = f"""
        WITH by_turn AS MATERIALIZED (
            SELECT conversation_id AS id, count(*) AS hits FROM turns
            WHERE {in_turns.sql} GROUP BY conversation_id
        ), by_title AS MATERIALIZED (
            SELECT id FROM conversations WHERE {in_titles.sql}
        )
        SELECT {", ".join(f"c.{name}" for name in CONVERSATION.split(", "))},
            (SELECT count(*) FROM turns WHERE conversation_id = c.id),
            coalesce(by_turn.hits, 0), count(*) OVER ()
        FROM conversations AS c LEFT JOIN by_turn USING (id)
        WHERE c.deleted IS NULL AND (by_turn.id IS NOT NULL OR c.id IN by_title)
        ORDER BY c.updated DESC, c.id DESC LIMIT {MAX_CONVERSATIONS}
    """
    rows = connection.execute(conversations, (*in_turns.values, *in_titles.values)).fetchall()
    listed = ", ".join(str(row[0]) for row in rows if row[-2])
    turns = f"""
        SELECT id, conversation_id, role, text FROM turns WHERE id IN (
            SELECT id FROM (
                SELECT id, row_number() OVER (PARTITION BY conversation_id ORDER BY id) AS place
                FROM turns WHERE conversation_id IN ({listed}) AND {in_turns.sql}
            ) WHERE place <= {MAX_HITS}
        ) ORDER BY id
    """
    found: dict[int, list[TurnHit]] = {}
    for turn_id, conversation_id, role, text in connection.execute(turns, in_turns.values):
        hit = TurnHit(turn_id, role, excerpt(str(text), terms))
        found.setdefault(conversation_id, []).append(hit)
    hits = tuple(_hit(row, found.get(row[0], []), terms) for row in rows)
    return Found(hits, rows[0][-1] if rows else 0)


def _hit(row: tuple[Any, ...], turns: list[TurnHit], terms: tuple[Term, ...]) -> Hit:
    record = conversation_from(row)
    return Hit(record, marked(record.title, terms), tuple(turns), row[-2])
