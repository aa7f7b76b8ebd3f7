"""What a worker leaves behind: its log file, and the sentence about its end."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import IO

from urial_tui.errors import EngineDied
from urial_tui.sanitize import sanitize_line

_KEPT = 8
"""Log files of earlier workers."""


class WorkerLog:
    """The file that a worker's output goes to. Where none can be written, there is none."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def open(self) -> IO[bytes]:
        """The log to append to, or the null device; the oldest logs beside it are removed."""
        directory = self.file.parent
        try:
            directory.mkdir(parents=True, exist_ok=True)
            old = sorted(directory.glob("engine-*.log"), key=lambda file: file.stat().st_mtime)
            for file in old[:-_KEPT]:
                file.unlink(missing_ok=True)
            return self.file.open("ab")
        except OSError:
            return Path(os.devnull).open("ab")

    def end_of(self, code: int | None) -> EngineDied:
        """Why a worker with this exit code ended, in a sentence with its last words."""
        hint = "Load the model again; nothing of the conversation is lost."
        if code is not None and code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            cause = f"it was ended by {name}"
            if -code == signal.SIGKILL:
                cause += ", as the system does when memory runs out"
                hint += " A smaller model or context needs less memory."
        else:
            cause = f"it exited with code {code}"
        last = self._last_line()
        said = f' Its last words: "{last}".' if last else ""
        return EngineDied(f"The engine stopped: {cause}.{said}", f"{hint} Its log is {self.file}.")

    def _last_line(self) -> str:
        try:
            with self.file.open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(0, log.tell() - 4096))
                lines = log.read(4096).decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return next(
            (sanitize_line(line.strip())[:200] for line in reversed(lines) if line.strip()), ""
        )
