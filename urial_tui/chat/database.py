"""The database file: how it is connected to, and how its failures are told.

Several processes may share the file (WAL, a busy timeout, short transactions). Where the file
system has not got what WAL needs, as network drives, a rollback journal does: then a writer
keeps readers waiting. A failure leaves the file as it is, and is one sentence with a next step.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from urial_tui.errors import StoreError
from urial_tui.files import make_directory

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that writes."""


def connect(path: Path, busy_timeout: float = BUSY_TIMEOUT) -> sqlite3.Connection:
    """A connection for any thread, which begins and ends its transactions by itself.

    A new file is readable by its owner alone; its directory is made.

    Raises:
        sqlite3.Error: SQLite refuses.
        OSError: The directory can't be made.
    """
    make_directory(path.parent)
    # SQLite would make the file readable by everyone; what is in it is private. A file that is
    # there is not opened: closing it would drop all locks that this process has on it.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return sqlite3.connect(
        path, timeout=busy_timeout, isolation_level=None, check_same_thread=False
    )


def lacks_wal(error: sqlite3.OperationalError) -> bool:
    """Whether it may be for want of shared memory or locks that an operation failed."""
    return result_code(error) in (
        sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
    )  # fmt: skip


def leave_wal(connection: sqlite3.Connection) -> None:
    """Give the file a rollback journal; a connection that has the file alone needs no memory
    that others share.

    Raises:
        sqlite3.Error: SQLite refuses, or another process has the file.
    """
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA locking_mode = NORMAL")
    # Only a look at the file gives up the lock.
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of what is written inside, or nothing; it is on the disk when the block ends."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk makes SQLite roll back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def explained(path: Path, deed: str) -> Iterator[None]:
    """Turn whatever SQLite or the system refuses into a sentence.

    Args:
        path: The database.
        deed: What could not be done with it: "opened", "read", "written".

    Raises:
        StoreError: In place of what SQLite or the system raised.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise _explanation(error, path, deed) from error


def result_code(error: Exception) -> int:
    """SQLite's primary result code, 0 when the error has none."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else 0


def _explanation(error: sqlite3.Error | OSError, path: Path, deed: str) -> StoreError:
    file = f"The database {path}"
    code = result_code(error)
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
    if code in (sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_IOERR):
        return StoreError(
            f"{file} can't be {deed}: the file system does not do what SQLite needs ({error}).",
            "Network drives often can't: set XDG_DATA_HOME to a directory on a local disk. On a "
            "local one, check the disk.",
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
