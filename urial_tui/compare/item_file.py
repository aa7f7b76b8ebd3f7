"""The file that a run grows line by line, and goes on from.

An item is written as one JSON line as soon as it is done, so an interrupted run loses at most the
item it was at. The head of the file tells what the run depends on, and each line what its item
does, by content: a file of another run is refused, and an item that has changed is computed anew.
Its new line stands behind the old one: of an id, the last line counts.

One program at a time: the file is locked where the file system can do that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from urial_tui import files
from urial_tui.compare.items import CompareError
from urial_tui.compare.run_terms import ComparisonTerms, differences
from urial_tui.compare.sides import Task
from urial_tui.file_lock import InUse
from urial_tui.journal import Journal
from urial_tui.sanitize import sanitize_line


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

    def __init__(self, path: Path, head: Mapping[str, Any], terms: ComparisonTerms) -> None:
        self._shown = sanitize_line(str(path))
        self._lines: dict[str, tuple[int, str]] = {}
        try:
            self._journal = Journal(path)
            try:
                self._journal.read(lambda place, line: self._take(place, line, terms))
                if not self._journal.size:
                    self._journal.append({"compare": {**head, "terms": msgspec.to_builtins(terms)}})
            except BaseException:
                self._journal.close()
                raise
        except InUse as error:
            raise CompareError(
                f"The file {self._shown} is in use by another comparison.",
                "Wait until that is done, or name another file with --out.",
            ) from error
        except OSError as error:
            raise CompareError(
                f"The file {self._shown} can't be used: {files.reason(error)}.",
                "Name another file with --out.",
            ) from error

    @property
    def lock_trouble(self) -> str:
        """Why the file could not be locked, "" if it is."""
        return self._journal.lock_trouble

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
            document = json.loads(self._journal.line(self._lines[task.query.id][0]))
            del document["key"]
            yield document

    def append(self, task: Task, item: Mapping[str, Any]) -> None:
        """Add a task's item; it is on its way to the disk when this returns.

        Raises:
            CompareError: It can't be written.
        """
        key = item_key(task)
        try:
            place = self._journal.append({"key": key, **item})
        except OSError as error:
            raise CompareError(
                f"The result can't be written to {self._shown}: {files.reason(error)}.",
                "Free some space and give the same command again: it goes on where it stopped.",
            ) from error
        self._lines[task.query.id] = (place, key)

    def close(self) -> None:
        """Close the file, which unlocks it."""
        self._journal.close()

    def _take(self, place: int, line: bytes, terms: ComparisonTerms) -> bool:
        """Note a line of the file; False for one that is none of ours."""
        if not place:
            self._check_head(line, terms)
            return True
        try:
            found = msgspec.json.decode(line, type=_Line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False
        self._lines[found.id] = (place, found.key)
        return True

    def _check_head(self, line: bytes, terms: ComparisonTerms) -> None:
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
        differing = differences(found, terms)
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
