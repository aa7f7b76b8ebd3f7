"""What a worker leaves behind on the disk: its log file, and its last words there.

llama.cpp's warnings stand there with `WARNING` in front, written so by the worker, for they
tell nothing about an end.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import IO

from urial_tui.files import make_directory, open_private
from urial_tui.sanitize import sanitize_line

WARNING = "warning: "
"""Starts each line that the library wrote as a warning."""

_KEPT = 8
"""Log files of earlier workers."""

_TAIL = 8192
"""Bytes of the log that are looked at."""

_LONGEST = 200
"""Characters that are quoted."""

_DIRECTORIES = re.compile(r"\S*/(?=[^/\s]+:\d+: )")
"""In front of a source file's name and line: where the library was built."""


class WorkerLog:
    """The file that a worker's output goes to. Where none can be written, there is none."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._asked_at = 0

    def open(self) -> IO[bytes]:
        """The log to append to, or the null device; the oldest logs beside it are removed."""
        directory = self.file.parent
        try:
            make_directory(directory)
            old = sorted(directory.glob("engine-*.log"), key=lambda file: file.stat().st_mtime)
            for file in old[:-_KEPT]:
                file.unlink(missing_ok=True)
            log = open_private(self.file)
        except OSError:
            return Path(os.devnull).open("ab")
        self.mark()
        return log

    def mark(self) -> None:
        """Something is asked of the worker now; what it said before has nothing to do with it."""
        try:
            self._asked_at = self.file.stat().st_size
        except OSError:
            self._asked_at = 0

    def last_words(self) -> str:
        """The last line since `mark` that is no mere warning, to be shown; "" if there is none."""
        try:
            with self.file.open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                start = max(self._asked_at, end - _TAIL)
                log.seek(start)
                lines = log.read(_TAIL).decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        words = (line.strip() for line in reversed(lines) if not line.startswith(WARNING))
        line = next((line for line in words if line), "")
        return sanitize_line(_DIRECTORIES.sub("", line))[:_LONGEST]
