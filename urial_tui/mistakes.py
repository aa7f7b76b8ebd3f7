"""Unexpected exceptions: a sentence for the user, and a log for whoever mends the mistake.

A mistake is any exception that is no `UrialError`. What is shown of it is bounded: its text may
be somebody's file.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from urial_tui import __version__, paths
from urial_tui.errors import InternalError, UrialError
from urial_tui.files import make_directory, open_private

_KEPT_LOGS = 20
_MOST = 200
"""Characters of an exception's text that are told."""


def explained(error: Exception) -> InternalError:
    """Log an unexpected exception: the error that tells the user."""
    text = f"{type(error).__name__}: {error}".rstrip(".")
    what = text if len(text) <= _MOST else f"{text[:_MOST]}…"
    message = f"An internal error happened: {what}."
    try:
        log = _write_log("".join(traceback.format_exception(error)))
    except (OSError, UrialError):
        return InternalError(message, "Its log could not be written.")
    return InternalError(message, f"Please report it with the log {log}.")


@contextlib.contextmanager
def explaining() -> Iterator[None]:
    """A context manager and decorator that turns unexpected exceptions into told errors.

    Raises:
        InternalError: In place of the mistake.
    """
    try:
        yield
    except UrialError:
        raise
    except Exception as error:
        raise explained(error) from error


def _write_log(text: str) -> Path:
    directory = paths.log_dir()
    make_directory(directory)
    for old in sorted(directory.glob("crash-*.log"))[: -_KEPT_LOGS + 1]:
        old.unlink(missing_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = directory / f"crash-{stamp}-{os.getpid()}.log"
    version = f"urial-tui {__version__}, Python {sys.version.split()[0]}, {sys.platform}"
    # Later mistakes of the same second are added.
    with open_private(path) as log:
        log.write(f"{version}\n\n{text}".encode("utf-8", "backslashreplace"))
    return path
