"""The full-text index over turns and titles (SQLite FTS5), kept by triggers.

The index holds no text of its own: it points into the tables (external content). While its
triggers exist it is in step with them; where a SQLite without FTS5 has to write, it takes
the triggers away, and the next one that has FTS5 builds the index anew. So an index is
whole or known not to be.

unicode61 splits words at what is no letter or digit and ignores case and accents. The
trigram tokenizer, which would find parts of words in scripts without spaces, takes ten times
as long to build and six times the space, and can't find words of two signs, which most
Chinese words are: `search` looks through the texts for these instead.
"""

from __future__ import annotations

import sqlite3

INDEXED = (("turns", "text"), ("conversations", "title"))
"""(table, column); the index of a table is called `<table>_search`."""

_TRIGGERS = tuple(
    f"{table}_search_{event}" for table, _ in INDEXED for event in ("insert", "update", "delete")
)


def has_fts5(connection: sqlite3.Connection) -> bool:
    """Whether this SQLite knows full-text indexes."""
    query = "SELECT count(*) FROM pragma_module_list WHERE name = 'fts5'"
    return bool(connection.execute(query).fetchone()[0])


def is_in_order(connection: sqlite3.Connection) -> bool:
    """Whether the index is in step with the tables, or not there because it can't be."""
    return _is_kept(connection) if has_fts5(connection) else not _kept_by(connection)


def put_in_order(connection: sqlite3.Connection) -> None:
    """Build the index, or stop keeping it where this SQLite can't; within a transaction."""
    if is_in_order(connection):
        return
    for name in _kept_by(connection):
        connection.execute(f"DROP TRIGGER {name}")
    if has_fts5(connection):
        for table, column in INDEXED:
            _build(connection, table, column)


def _is_kept(connection: sqlite3.Connection) -> bool:
    return len(_kept_by(connection)) == len(_TRIGGERS)


def _kept_by(connection: sqlite3.Connection) -> list[str]:
    """The triggers that exist."""
    names = ", ".join(f"'{name}'" for name in _TRIGGERS)
    query = f"SELECT name FROM sqlite_master WHERE type = 'trigger' AND name IN ({names})"
    return [row[0] for row in connection.execute(query)]


def _build(connection: sqlite3.Connection, table: str, column: str) -> None:
    index = f"{table}_search"
    add = f"INSERT INTO {index} (rowid, {column}) VALUES (NEW.id, NEW.{column});"
    remove = (
        f"INSERT INTO {index} ({index}, rowid, {column}) VALUES ('delete', OLD.id, OLD.{column});"
    )
    for statement in (
        f"""CREATE VIRTUAL TABLE IF NOT EXISTS {index} USING fts5 (
            {column}, content = '{table}', content_rowid = 'id',
            tokenize = "unicode61 remove_diacritics 2"
        )""",
        f"INSERT INTO {index} ({index}) VALUES ('rebuild')",
        f"CREATE TRIGGER {index}_insert AFTER INSERT ON {table} BEGIN {add} END",
        f"CREATE TRIGGER {index}_delete AFTER DELETE ON {table} BEGIN {remove} END",
        f"""CREATE TRIGGER {index}_update AFTER UPDATE OF {column} ON {table}
            WHEN NEW.{column} IS NOT OLD.{column} BEGIN {remove} {add} END""",
    ):
        connection.execute(statement)
