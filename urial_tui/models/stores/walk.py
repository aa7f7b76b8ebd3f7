"""Walking through directories that others fill: every file once, and an end in any case.

Links are followed, each directory is entered once, and depth and number of entries are bounded,
so that a link to the root, a link to itself or a directory of millions of files does not hold
anybody up. Nothing but directories is opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from urial_tui.files import reason
from urial_tui.models.stores.sighting import LeftOut, StoreName

MAX_DEPTH = 8
"""Levels below where the walk starts."""
MAX_ENTRIES = 200_000
"""Files and directories that one walk looks at."""


class Walk:
    """The names below a directory; what could not be looked at is told in `left_out`.

    Args:
        store: What the directories belong to.
        entries: Files and directories that it may look at.
    """

    def __init__(self, store: StoreName, *, entries: int = MAX_ENTRIES) -> None:
        self._store = store
        self._left = entries
        self._entered = set[tuple[int, int]]()
        self.left_out: list[LeftOut] = []

    def files(self, top: Path, depth: int = MAX_DEPTH) -> Iterator[Path]:
        """Everything below `top` that is no directory, in the order of the names.

        A directory that is not there has nothing below it; one that was entered by this walk
        before is passed over.
        """
        below = []
        for name, is_directory in self._names(top):
            path = top / name
            if is_directory:
                below.append(path)
            else:
                yield path
        for path in below:
            if depth:
                yield from self.files(path, depth - 1)
            else:
                self._leave_out(path, "it lies too deep, and is not looked into")

    def files_in(self, directory: Path) -> list[Path]:
        """What lies in `directory` itself and is none, in the order of the names."""
        return [directory / name for name, is_below in self._names(directory) if not is_below]

    def directories(self, top: Path) -> list[Path]:
        """The directories in `top`, in the order of their names; links to some count."""
        return [top / name for name, is_directory in self._names(top) if is_directory]

    def _names(self, directory: Path) -> list[tuple[str, bool]]:
        names = []
        if self._left < 0:
            return []
        try:
            status = directory.stat()
            if (status.st_dev, status.st_ino) in self._entered:
                return []
            self._entered.add((status.st_dev, status.st_ino))
            with os.scandir(directory) as entries:
                for entry in entries:
                    self._left -= 1
                    if self._left < 0:
                        break
                    names.append((entry.name, _is_directory(entry)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, ValueError) as error:
            self._leave_out(directory, f"it can't be looked into: {reason(error)}")
        if self._left < 0:
            self._leave_out(directory, "too much to look at; the search stopped in here")
        return sorted(names)

    def _leave_out(self, path: Path, why: str) -> None:
        self.left_out.append(LeftOut(path=path, store=self._store, why=why))


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that goes round in circles.
        return False
