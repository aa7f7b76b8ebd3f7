"""The persistent cache of what models said in contexts: measuring goes on, and is repeated.

An answer, or what is said of a reference, is a line as soon as it is there. Its key stands for all
that it depends on, so whatever was measured of a context that has not changed is used again, and a
changed one is measured anew. It is a cache: losing it costs time alone.

One program at a time measures: a second one would do the same work again, and could keep nothing of
it. It is refused, and finds what the first has measured when its turn comes. Who only wants to know
what is there reads the file beside whoever adds to it (`kept_measures`).
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import msgspec

from urial_tui import files
from urial_tui.evaluate.items import EvaluateError
from urial_tui.evaluate.run_file import WrittenAnswer
from urial_tui.evaluate.token_reading import TextReading
from urial_tui.file_lock import InUse
from urial_tui.journal import Journal
from urial_tui.sanitize import sanitize_line

MAX_BYTES: Final = 64 * 1024 * 1024
"""A larger file is begun anew: some thousand contexts."""


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line. `key`: of the answers to an item; a reading has its own."""

    key: str = ""
    turn: int = 0
    written: WrittenAnswer | None = None
    reading: TextReading | None = None


class MeasuredTexts:
    """Answers and readings by their keys, in memory."""

    def __init__(self) -> None:
        self._written: dict[str, dict[int, WrittenAnswer]] = {}
        self._readings: dict[str, TextReading] = {}

    def written(self, key: str, turns: int) -> tuple[WrittenAnswer, ...]:
        """The answers to the first of so many turns that are there."""
        there = self._written.get(key, {})
        found: list[WrittenAnswer] = []
        while len(found) < turns and len(found) in there:
            found.append(there[len(found)])
        return tuple(found)

    def reading(self, key: str) -> TextReading | None:
        """What was said of a text."""
        return self._readings.get(key)

    def take(self, line: bytes) -> bool:
        """Take a line of the file; False where it is none."""
        try:
            found = msgspec.json.decode(line, type=_Line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False
        self.note(found)
        return True

    def note(self, line: _Line) -> None:
        """Take a line."""
        if line.written is not None:
            self._written.setdefault(line.key, {})[line.turn] = line.written
        if line.reading is not None:
            self._readings[line.reading.key] = line.reading


def kept_measures(path: Path) -> MeasuredTexts:
    """What is kept in a file at this moment, whoever adds to it; nothing where there is none.

    Raises:
        EvaluateError: It can't be read.
    """
    found = MeasuredTexts()
    try:
        with files.open_regular(path) as file:
            left = MAX_BYTES
            # A line that is being added has no end yet.
            while (line := file.readline(left)).endswith(b"\n") and found.take(line):
                left -= len(line)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise EvaluateError(
            f"What was measured can't be read from {sanitize_line(str(path))}: "
            f"{files.reason(error)}.",
            "See whether you may read that file.",
        ) from error
    return found


class MeasureStore:
    """Answers and readings by their keys.

    Args:
        path: Where they are kept; its directory is made where it is not there.

    Raises:
        EvaluateError: Another program measures.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = MeasuredTexts()
        self._journal: Journal | None = None
        self.trouble = ""
        """Why nothing is kept, a sentence; "" where it is."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._journal = self._opened()
            self._journal.read(lambda _place, line: self._known.take(line))
        except InUse as error:
            raise EvaluateError(
                f"Another program is measuring, and keeps what it finds in {self._shown}.",
                "Wait until it is done, or stop it, and begin again: what it has measured by then "
                "is used.",
            ) from error
        except OSError as error:
            self._lose(files.reason(error))

    def written(self, key: str, turns: int) -> tuple[WrittenAnswer, ...]:
        """The answers to the first of so many turns that are there."""
        return self._known.written(key, turns)

    def reading(self, key: str) -> TextReading | None:
        """What was said of a text."""
        return self._known.reading(key)

    def keep_written(self, key: str, turn: int, written: WrittenAnswer) -> None:
        """Keep an answer.

        Raises:
            EvaluateError: It can't be written.
        """
        self._keep(_Line(key=key, turn=turn, written=written))

    def keep_reading(self, reading: TextReading) -> None:
        """Keep what was said of a text.

        Raises:
            EvaluateError: It can't be written.
        """
        self._keep(_Line(reading=reading))

    def close(self) -> None:
        """Let others have the file."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _keep(self, line: _Line) -> None:
        self._known.note(line)
        if self._journal is None:
            return
        try:
            self._journal.append(msgspec.to_builtins(line))
        except OSError as error:
            raise EvaluateError(
                f"What was measured can't be written to {self._shown}: {files.reason(error)}.",
                "Free some space and give the same command again: it goes on where it stopped.",
            ) from error

    def _opened(self) -> Journal:
        journal = Journal(self._path)
        if journal.size <= MAX_BYTES:
            return journal
        journal.remove()
        return Journal(self._path)

    def _lose(self, why: str) -> None:
        with contextlib.suppress(OSError):
            self.close()
        self.trouble = f"What is measured can't be kept in {self._shown}: {why}."

    @property
    def _shown(self) -> str:
        return sanitize_line(str(self._path))
