"""A lock on a file for as long as it is open: one process at a time works on it.

The system drops the lock (`flock`) with its process, however that ends: nothing has to be cleaned
up. Some network file systems have no such locks. There the file is open all the same, and `trouble`
says why it is not locked: who can't do without refuses, and who can tells the user to take care.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from urial_tui.files import reason

_BUSY = (errno.EAGAIN, errno.EACCES)


class InUse(OSError):
    """Another process has the file."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "another program writes to it")


class Locked(NamedTuple):
    """A file that is open. `trouble`: why it could not be locked, "" if it is."""

    file: io.FileIO
    trouble: str


def open_locked(path: Path, opener: Callable[[Path], io.FileIO]) -> Locked:
    """Open a file and lock it until it is closed.

    Args:
        path: The file.
        opener: Opens it, or makes it.

    Returns:
        The file, and why it is not locked, where the file system has no locks.

    Raises:
        InUse: Another process has it.
        OSError: It can't be opened.
    """
    while True:
        file = opener(path)
        try:
            trouble = _lock(file)
            if _is_named(file, path):
                return Locked(file, trouble)
        except BaseException:
            file.close()
            raise
        # Who had it was done, and removed or renamed it, between our opening and our locking it.
        file.close()


def _lock(file: io.FileIO) -> str:
    try:
        import fcntl
    except ImportError:
        return "this system has no such locks"
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            raise InUse from error
        return reason(error)
    return ""


def _is_named(file: io.FileIO, path: Path) -> bool:
    """Whether the file that is open is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
