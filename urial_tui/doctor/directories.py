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
from urial_tui.models.stores import hub
from urial_tui.wording import amount, size

_LITTLE = 500_000_000
"""Less than that has no room for a model or some evaluated preambles."""
_MOST = 10_000
"""Entries of a directory that are counted."""


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


def _repositories(path: Path) -> str:
    """How many repositories of models there are; their files lie deep in them."""
    count = 0
    with os.scandir(path) as entries:
        for number, entry in enumerate(entries):
            if number == _MOST:
                return f"more than {amount(count, 'model repository', 'model repositories')}"
            count += entry.name.startswith("models--")
    if not count:
        return "no model"
    return amount(count, "model repository", "model repositories")


class Directory(NamedTuple):
    """One of them: what is in it, and where it is.

    `variables`: what moves it. `held`: tells how much there is.
    """

    what: str
    find: Callable[[], Path]
    variables: str = "XDG_*"
    held: Callable[[Path], str] = _held


DIRECTORIES = (
    Directory("settings and own files", lambda: paths.settings_file().parent),
    Directory("conversations", lambda: paths.database_file().parent),
    Directory("models", paths.models_dir),
    # What is downloaded from the hub goes there.
    Directory("Hugging Face's cache", lambda: hub.directories()[0], "HF_HUB_CACHE", _repositories),
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
            yield from _examined(directory, path, access)
        except OSError as error:
            yield _trouble(directory, path, f"can't be looked at: {error.strerror or error}")


def _examined(directory: Directory, path: Path, access: Access) -> Iterator[Fact]:
    what, there = directory.what, _nearest(path)
    if not there.is_dir():
        yield _trouble(directory, there, "is no directory", "Move it away.")
        return
    if not access.writable(there):
        yield _trouble(directory, there, "can't be written")
        return
    held = f"holds {directory.held(path)}" if there == path else "is made when it is needed"
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


def _trouble(directory: Directory, path: Path, problem: str, todo: str = "") -> Fact:
    todo = todo or (
        f"Give yourself the right to write {path}, or name another directory "
        f"({directory.variables})."
    )
    return Fact(f"{directory.what}: {path} {problem}", "bad", todo)


def _nearest(path: Path) -> Path:
    """The directory itself, or the next one above that is there."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path
