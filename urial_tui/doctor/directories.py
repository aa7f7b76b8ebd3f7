"""The directories of the program: whether they can be written, what they hold, what is free."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from urial_tui import paths
from urial_tui.doctor.finding import Fact
from urial_tui.errors import UrialError
from urial_tui.wording import amount, size

_LITTLE = 500_000_000
"""Less than that has no room for a model or some evaluated preambles."""
_MOST = 10_000
"""Entries of a directory that are counted."""


class Directory(NamedTuple):
    """One of them: what it holds, and where it is."""

    what: str
    find: Callable[[], Path]


DIRECTORIES = (
    Directory("settings and own files", lambda: paths.settings_file().parent),
    Directory("conversations", lambda: paths.database_file().parent),
    Directory("models", paths.models_dir),
    Directory("evaluated preambles", paths.preamble_cache_dir),
    Directory("logs", paths.log_dir),
    Directory("state", lambda: paths.copied_file().parent),
)


class Access(NamedTuple):
    """Access to the file system, injected so that tests can replace it."""

    writable: Callable[[Path], bool]
    free: Callable[[Path], int]


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK | os.X_OK)


def _free(path: Path) -> int:
    return shutil.disk_usage(path).free


ACCESS = Access(_writable, _free)


def directories(access: Access = ACCESS) -> Iterator[Fact]:
    """A line for each, and for each that is on a file system with little room."""
    for directory in DIRECTORIES:
        try:
            path = directory.find()
        except UrialError as error:
            yield Fact(f"{directory.what}: {error.message}", "bad", error.hint)
            continue
        try:
            yield from _examined(directory.what, path, access)
        except OSError as error:
            yield _trouble(directory.what, path, f"can't be looked at: {error.strerror or error}")


def _examined(what: str, path: Path, access: Access) -> Iterator[Fact]:
    there = _nearest(path)
    if not there.is_dir():
        yield _trouble(what, there, "is no directory", "Move it away.")
        return
    if not access.writable(there):
        yield _trouble(what, there, "can't be written")
        return
    held = f"holds {_held(path)}" if there == path else "is made when it is needed"
    free = access.free(there)
    room = f"{size(free)} free"
    if free < _LITTLE:
        yield Fact(
            f"{what}: {path} {held}; only {room}",
            "warning",
            f"Make room where {there} is.",
        )
    else:
        yield Fact(f"{what}: {path} {held}; {room}")


def _trouble(what: str, path: Path, problem: str, todo: str = "") -> Fact:
    todo = todo or f"Give yourself the right to write {path}, or name another directory (XDG_*)."
    return Fact(f"{what}: {path} {problem}", "bad", todo)


def _nearest(path: Path) -> Path:
    """The directory itself, or the next one above that is there."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


def _held(path: Path) -> str:
    """How many entries there are, and the size of the files among them."""
    count = total = 0
    with os.scandir(path) as entries:
        for entry in entries:
            if count == _MOST:
                return f"more than {amount(count, 'entry', 'entries')}"
            count += 1
            if entry.is_file():
                total += entry.stat().st_size
    return "nothing" if not count else f"{amount(count, 'entry', 'entries')}, {size(total)}"
