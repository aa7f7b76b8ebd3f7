"""The file that a run grows line by line, and goes on from.

An item is written as one JSON line as soon as it is done, so an interrupted run loses at most the
item it was at. The head of the file tells what the run depends on, and each line what its item
does, by content: a file of another run is refused, and an item that has changed is computed anew.
Its new line stands behind the old one: of an id, the last line counts.

One program at a time: the file is locked where the file system can do that.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from urial_tui import files
from urial_tui.compare.items import CompareError
from urial_tui.compare.run_terms import differences
from urial_tui.compare.sides import Task
from urial_tui.sanitize import sanitize_line

MAX_LINE_BYTES = 256 * 1024 * 1024
_BUSY = (errno.EAGAIN, errno.EACCES)


class _Line(msgspec.Struct, frozen=True):
    """What a line tells of itself."""

    id: str
    key: str = ""


class _Head(msgspec.Struct, frozen=True):
    """The first line."""

    compare: dict[str, Any]


class ItemFile:
    """A run's JSON lines.

    Args:
        path: Made when it is not there.
        head: What is compared, for people.
        terms: What every item of the run depends on (`run_terms`).

    Raises:
        CompareError: The file can't be read or written, is of another run, or in use.
    """

    def __init__(self, path: Path, head: Mapping[str, Any], terms: Mapping[str, Any]) -> None:
        self._shown = sanitize_line(str(path))
        self.lock_trouble = ""
        """Why the file could not be locked, "" if it is."""
        self._lines: dict[str, tuple[int, str]] = {}
        try:
            self._file = _open(path)
            try:
                self._lock()
                whole = self._check(terms)
                self._file.truncate(whole)
                self._file.seek(whole)
                if not whole:
                    self._write({"compare": {**head, "terms": dict(terms)}})
            except BaseException:
                self._file.close()
                raise
        except OSError as error:
            raise CompareError(
                f"The file {self._shown} can't be used: {files.reason(error)}.",
                "Name another file with --out.",
            ) from error

    def changed(self, tasks: Iterable[Task]) -> list[str]:
        """Ids of the tasks that the file has items of, but made from something else."""
        return [
            task.query.id
            for task in tasks
            if task.query.id in self._lines and self._lines[task.query.id][1] != item_key(task)
        ]

    def holds(self, task: Task) -> bool:
        """Whether the file has the task's item."""
        found = self._lines.get(task.query.id)
        return found is not None and found[1] == item_key(task)

    def documents(self, tasks: Iterable[Task]) -> Iterator[dict[str, Any]]:
        """The items of those tasks that the file has, in the order of the tasks."""
        for task in tasks:
            if not self.holds(task):
                continue
            self._file.seek(self._lines[task.query.id][0])
            document = json.loads(self._file.readline())
            del document["key"]
            yield document

    def append(self, task: Task, item: Mapping[str, Any]) -> None:
        """Add a task's item; it is on its way to the disk when this returns.

        Raises:
            CompareError: It can't be written.
        """
        key = item_key(task)
        try:
            place = self._file.seek(0, os.SEEK_END)
            self._write({"key": key, **item})
        except OSError as error:
            raise CompareError(
                f"The result can't be written to {self._shown}: {files.reason(error)}.",
                "Free some space and give the same command again: it goes on where it stopped.",
            ) from error
        self._lines[task.query.id] = (place, key)

    def close(self) -> None:
        """Close the file, which unlocks it."""
        self._file.close()

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
                raise CompareError(
                    f"The file {self._shown} is in use by another comparison.",
                    "Wait until that is done, or name another file with --out.",
                ) from error
            self.lock_trouble = files.reason(error)

    def _write(self, value: Mapping[str, Any]) -> None:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self._file.write(text.encode("utf-8", "replace") + b"\n")
        self._file.flush()

    def _check(self, terms: Mapping[str, Any]) -> int:
        """The length of the whole lines; a last line that was cut off is written again."""
        self._file.seek(0)
        first = self._file.readline(MAX_LINE_BYTES)
        if not first:
            return 0
        self._check_head(first, terms)
        whole = len(first)
        while line := self._file.readline(MAX_LINE_BYTES):
            try:
                found = msgspec.json.decode(line, type=_Line)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                break
            if not line.endswith(b"\n"):
                break
            self._lines[found.id] = (whole, found.key)
            whole += len(line)
        return whole

    def _check_head(self, line: bytes, terms: Mapping[str, Any]) -> None:
        try:
            head = msgspec.json.decode(line, type=_Head).compare
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise CompareError(
                f"The file {self._shown} holds something else than a comparison.",
                "Name another file with --out.",
            ) from error
        found = head.get("terms")
        if not isinstance(found, dict):
            raise CompareError(
                f"The file {self._shown} was written by an older version, which did not note what "
                "its items were made from.",
                "Name another file with --out: they have to be computed anew.",
            )
        differing = differences(found, msgspec.to_builtins(terms))
        if differing:
            raise CompareError(
                f"The file {self._shown} holds another comparison: {'; '.join(differing)}.",
                "Name another file with --out, or compare the same again.",
            )


def item_key(task: Task) -> str:
    """What an item depends on beside the terms of its run: the question, its fields, the text."""
    query = task.query
    parts = (query.text, sorted(query.fields.items()), task.text, task.skip, task.ids)
    # Lone surrogates are no UTF-8, but a question may hold them.
    text = json.dumps(parts, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _open(path: Path) -> BinaryIO:
    """The file for reading and appending; conversations are nobody else's business."""
    with contextlib.suppress(FileNotFoundError):
        files.open_regular(path).close()
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    return os.fdopen(handle, "r+b")
