"""A report as a file to hand on: it appears whole, and what stood there before stays till then.

Where the user says where it goes, the umask decides who may read it; in the directory of the
program's own evaluations it is its owner's alone, like all that is there.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from urial_tui import paths
from urial_tui.errors import UrialError
from urial_tui.files import is_directory, is_same, reason, replacing
from urial_tui.sanitize import sanitize_line

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class ReportError(UrialError):
    """A report can't be made or written."""


@contextlib.contextmanager
def report_file(path: Path, option: str) -> Iterator[BinaryIO]:
    """A report to write to; an older one is replaced once this is whole.

    Args:
        path: Where to; its directory exists.
        option: What chooses the place, for the errors: `--html`.

    Raises:
        ReportError: The disk is full, or the place can't be written to.
    """
    directory = path.resolve().parent
    try:
        # A report is made to be handed on, unlike the conversations that it may be made from.
        with replacing(path, private=_is_own(directory)) as output:
            yield output
    except OSError as error:
        # Whatever a report is made from may fail by itself, with a file of its own.
        if error.filename is not None and Path(error.filename).parent != directory:
            raise
        raise _unwritable(path, error, option) from error


def _is_own(directory: Path) -> bool:
    """Whether it is the directory of the evaluations; nobody has one without a home directory."""
    with contextlib.suppress(UrialError):
        return is_same(directory, paths.evaluations_dir())
    return False


def _unwritable(path: Path, error: OSError, option: str) -> ReportError:
    shown = sanitize_line(str(path))
    if error.errno in _FULL:
        return ReportError(
            f"The disk is too full for the report {shown}.",
            f"Make room there, or choose another place with {option}.",
        )
    if not is_directory(path.parent):
        return ReportError(
            f"The report can't be written to {shown}: there is no such directory.",
            f"Make it first, or choose another place with {option}.",
        )
    return ReportError(
        f"The report can't be written to {shown}: {reason(error)}.",
        f"Choose another place with {option}.",
    )
