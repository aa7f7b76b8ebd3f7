"""Errors whose text is what the user reads.

Every error that can reach a user is an `UrialError`: one sentence that says what
happened, and one that says what to do next. The edges (the command line, the
screens) print exactly that; anything else that reaches an edge is a bug.
"""

from __future__ import annotations

from urial_tui.sanitize import shortened

LONGEST = 1000
"""Characters of a sentence: it may quote a file, whose texts can have any length."""


class UrialError(Exception):
    """A failure that is explained to the user.

    Args:
        message: What happened: one sentence, ending with a full stop.
        hint: What to do next: one sentence, ending with a full stop; may be empty.

    Both are shortened to `LONGEST` characters.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = shortened(message, LONGEST)
        self.hint = shortened(hint, LONGEST)
        super().__init__(self.message, self.hint)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(UrialError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = 2


class SettingsError(UrialError):
    """The settings file can't be read or holds a value that is not allowed."""


class PreambleError(UrialError):
    """A preamble file is missing, unreadable or malformed."""


class RetrievalError(UrialError):
    """A pool of examples, or an index of one, can't be read, written or searched."""


class ModelError(UrialError):
    """A model is unknown, missing, damaged or does not fit this machine."""


class StoreError(UrialError):
    """The database of conversations can't be opened, read or written."""


class ExportError(UrialError):
    """A file of conversations can't be written, read or understood."""


class RecordingError(UrialError):
    """A recorded session can't be read."""


class InternalError(UrialError):
    """A mistake in this program; what was being done is given up, and the rest goes on."""


class EngineError(UrialError):
    """The engine refused a request; it is still running."""


class EngineDied(EngineError):
    """The worker process ended without being asked to; it has to be started again."""
