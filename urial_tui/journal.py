"""A file that grows line by line, so that a run which was interrupted can go on.

A line is a JSON object, and is on its way to the disk when `append` returns: whatever ends the
program then, the line is whole. One that was being written is torn, and cut off at the next start.

One program at a time: the file is locked where the file system can do that.

Whatever goes wrong is an `OSError`; `InUse` where another program has the file.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from urial_tui import files

MAX_LINE_BYTES = 256 * 1024 * 1024
_BUSY = (errno.EAGAIN, errno.EACCES)


class InUse(OSError):
    """Another program writes to the file."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "another program writes to it")


class Journal:
    """JSON lines of one program.

    Args:
        path: Made when it is not there, for its owner alone: what people ask is nobody else's
            business.

    Raises:
        InUse: Another program has it.
        OSError: It can't be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lock_trouble = ""
        """Why the file could not be locked, "" if it is."""
        while True:
            self._file = files.open_private(path)
            try:
                self._lock()
                if self._is_named():
                    break
            except BaseException:
                self._file.close()
                raise
            # Who had it was done, and removed it, between our opening and our locking it.
            self._file.close()

    @property
    def size(self) -> int:
        """Bytes of its lines."""
        return os.fstat(self._file.fileno()).st_size

    def read(self, take: Callable[[int, bytes], bool]) -> None:
        """Give each line and its place to `take`, in their order.

        What is behind the last whole line, or from the first one on that `take` refuses, is cut
        off. Of a first line that is torn `take` is asked as well: it may raise, where the file is
        something else, which must not be cut.

        Raises:
            OSError: It can't be read, or cut.
        """
        whole = 0
        with self._reading(whole) as lines:
            while line := lines.readline(MAX_LINE_BYTES):
                torn = not line.endswith(b"\n")
                if (torn and whole) or not take(whole, line) or torn:
                    break
                whole += len(line)
        if whole < self.size:
            self._file.truncate(whole)

    def line(self, place: int) -> bytes:
        """The line at a place.

        Raises:
            OSError: It can't be read.
        """
        with self._reading(place) as lines:
            return lines.readline()

    def append(self, value: Mapping[str, Any]) -> int:
        """Add a line; its place.

        Raises:
            OSError: It can't be written; what was written of it is taken back where that can be.
        """
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        rest = memoryview(text.encode("utf-8", "replace") + b"\n")
        place = self.size
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(place)
            raise
        return place

    def remove(self) -> None:
        """Take the file away, and close it; who waits for it gets a new one.

        Raises:
            OSError: It can't be removed.
        """
        try:
            self._path.unlink(missing_ok=True)
        finally:
            self.close()

    def close(self) -> None:
        """Close the file, which unlocks it."""
        self._file.close()

    def _reading(self, place: int) -> BinaryIO:
        """The file from a place on; what is appended meanwhile is appended all the same."""
        lines = os.fdopen(os.dup(self._file.fileno()), "rb")
        lines.seek(place)
        return lines

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:
            self.lock_trouble = "this system has no such locks"
            return
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _BUSY:
                raise InUse from error
            self.lock_trouble = files.reason(error)

    def _is_named(self) -> bool:
        """Whether the file that is open is still the one of that name."""
        opened = os.fstat(self._file.fileno())
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return False
        return (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)
