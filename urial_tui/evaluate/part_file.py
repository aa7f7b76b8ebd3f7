"""A checkpointed list: written whole at its end, and until then line by line in a journal beside
it.

The lines stand in a journal, FILE.part, each as soon as it is there; so whoever is killed loses at
most what was under way. At the end the list is written whole, and the journal removed. One program
at a time: the journal is locked where the file system can do that.

Whatever goes wrong is an `EvaluateError` in one sentence; a file that only has the journal's name
is refused and stays as it is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from urial_tui import files
from urial_tui.evaluate.items import EvaluateError
from urial_tui.file_lock import InUse
from urial_tui.journal import Journal
from urial_tui.sanitize import sanitize_line
from urial_tui.wording import capital


class ListKind(msgspec.Struct, frozen=True, kw_only=True):
    """What a list holds, in the words of its sentences.

    `name`: all of it ("outputs"), also the key of the journal's head, whose value is `version`.
    `one`: a line ("An answer"). `held`: what is kept in the journal, and when. The rest is what can
    be done where it is used, on a command line or on a screen: `another` and `again`, to name
    another file and to go on; `unlimited` and `that_set`, to ask all items or those of the file.
    """

    name: str
    version: int
    one: str
    held: str
    another: str = "name another file with --out"
    again: str = "give the same command again"
    unlimited: str = "leave out --limit"
    that_set: str = "name that set with --items"


class PartFile:
    """A list in the making.

    Args:
        path: Where it is written at the end.
        kind: What it holds.

    Raises:
        EvaluateError: Another program uses it, or its journal can't be opened.
    """

    def __init__(self, path: Path, kind: ListKind) -> None:
        self.path = path
        self.shown = sanitize_line(str(path))
        real = Path(os.path.realpath(path))
        self.journal_path = real.with_name(f"{real.name}.part")
        """Where the lines go until all are there."""
        self._kind = kind
        try:
            self._journal = Journal(self.journal_path)
        except InUse as error:
            raise EvaluateError(
                f"The file {self.shown} is in use by another evaluation.",
                f"Wait until that is done, or {kind.another}.",
            ) from error
        except OSError as error:
            raise self._unusable(error) from error
        self._removable = not self._journal.size
        """Whether the journal is ours, and has no lines."""

    @property
    def lock_caution(self) -> str:
        """What to tell the user where another program can't be kept from writing, else ""."""
        trouble = sanitize_line(self._journal.lock_trouble)
        if not trouble:
            return ""
        return (
            f"The file {self.shown} can't be locked ({trouble}): don't let another evaluation "
            "write to it meanwhile."
        )

    def read(self, whole: Callable[[], None], take: Callable[[bytes], bool]) -> None:
        """Read the list, where there is one, then the journal, which is newer.

        Where that fails, it is closed.

        Args:
            whole: Reads the list; what it refuses is not written over.
            take: Takes a line of the journal; from the first one on that is none, all are cut off.

        Raises:
            EvaluateError: `whole` or `take` refused what is there, or it can't be read.
        """

        def each(place: int, line: bytes) -> bool:
            if not place:
                self._check_head(line)
                self._removable = True
                return True
            # What `take` refuses by an error is somebody's, and stays.
            empty, self._removable = self._removable, False
            taken = take(line)
            self._removable = empty and not taken
            return taken

        try:
            whole()
            self._journal.read(each)
            if not self._journal.size:
                self._journal.append(self._head)
        except OSError as error:
            self.close()
            raise self._unusable(error) from error
        except BaseException:
            self.close()
            raise

    def append(self, line: Mapping[str, Any]) -> None:
        """Keep a line; it is on its way to the disk when this returns.

        Raises:
            EvaluateError: It can't be written.
        """
        try:
            self._journal.append(line)
        except OSError as error:
            raise EvaluateError(
                f"{self._kind.one} can't be written to {sanitize_line(str(self.journal_path))}: "
                f"{files.reason(error)}.",
                f"Free some space and {self._kind.again}: it goes on where it stopped.",
            ) from error
        self._removable = False

    def finish(self, write: Callable[[Path], None]) -> None:
        """Have the list written, and remove the journal.

        Raises:
            EvaluateError: It can't be written; the journal stays.
        """
        try:
            write(self.path)
        except OSError as error:
            raise EvaluateError(
                f"The {self._kind.name} can't be written to {self.shown}: {files.reason(error)}.",
                f"Free some space and {self._kind.again}: nothing is lost.",
            ) from error
        self._removable = False
        try:
            self._journal.remove()
        except OSError as error:
            raise self._unusable(error) from error

    def close(self) -> None:
        """Let others have the file; a journal without lines is removed."""
        if self._removable:
            self._removable = False
            # Where that can't be, it is in nobody's way.
            with contextlib.suppress(OSError):
                self._journal.remove()
        self._journal.close()

    def not_over(self, error: EvaluateError) -> EvaluateError:
        """That the list is something else, as `error` says, and stays as it is."""
        return EvaluateError(
            f"{error.message.removesuffix('.')}: nothing is written over it.", self._another
        )

    def of_another_program(self) -> EvaluateError:
        """That the list is another program's, and stays as it is."""
        return self.holding(f"{self._kind.name} of another program")

    def holding(self, what: str) -> EvaluateError:
        """That the list holds something else, and stays as it is."""
        return EvaluateError(
            f"The file {self.shown} holds {what}, which are not written over.", self._another
        )

    @property
    def _another(self) -> str:
        return f"{capital(self._kind.another)}."

    @property
    def _head(self) -> dict[str, int]:
        return {self._kind.name: self._kind.version}

    def _check_head(self, line: bytes) -> None:
        """Refuse a file that only has the journal's name."""
        head = msgspec.json.encode(self._head) + b"\n"
        if line != head and not (head.startswith(line) and self._journal.size == len(line)):
            raise EvaluateError(
                f"The file {sanitize_line(str(self.journal_path))} is in the way: "
                f"{self._kind.held}, and it holds something else.",
                f"Move it away, or {self._kind.another}.",
            )

    def _unusable(self, error: OSError) -> EvaluateError:
        return EvaluateError(
            f"The file {sanitize_line(str(self.journal_path))} can't be used: "
            f"{files.reason(error)}.",
            self._another,
        )
