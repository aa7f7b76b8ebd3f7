"""An append-only file of JSON lines, so that a run which was interrupted can go on.

A line is a JSON object, and is on its way to the disk when `append` returns: whatever ends the
program then, the line is whole. One that was being written is torn, and cut off at the next start.

One program at a time: the file is locked (`file_lock`) where the file system can do that.

Whatever goes wrong is an `OSError`; `file_lock.InUse` where another program has the file.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from urial_tui import files
from urial_tui.file_lock import open_locked

MAX_LINE_BYTES = 256 * 1024 * 1024


class Journal:
    """The append-only JSON lines of one program.

    Args:
        path: Made when it is not there, for its owner alone: what people ask is nobody else's
            business.

    Raises:
        InUse: Another program has it.
        OSError: It can't be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        opened = open_locked(path, files.open_private)
        self.lock_trouble = opened.trouble
        """Why the file could not be locked, "" if it is."""
        self._file = opened.file

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
