"""Standard input as a text: alone, or beside one that is given as an argument.

It is read where somebody asks for it ("-", or no other text), and beside an argument wherever
it is no terminal. A file and a pipe that has something to say are read to their end, up to
`LIMIT`. But a pipe may also just be inherited, as from `ssh` or an editor, and never say
anything; then waiting would be for ever, and going on could answer half a question. So after
`NOTICE_AFTER` seconds of silence it is said what is waited for, and after `PATIENCE` the
command ends. With "-" it waits for as long as it takes.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
from typing import BinaryIO

import click

from urial_tui import wording
from urial_tui.errors import UrialError, UsageError
from urial_tui.files import decoded, read_stream, reason

LIMIT = 4 * 1024 * 1024
"""Bytes: more than the longest context holds."""

NOTICE_AFTER = 2.0
PATIENCE = 60.0


def read_all() -> str:
    """The text of standard input, however long it takes to come.

    Raises:
        UsageError: There is no standard input.
        UrialError: It can't be read, is too long, or is no text.
    """
    stream = _stream()
    if stream is None:
        raise UsageError("There is no standard input.", 'Say it as an argument: urial ask "…".')
    return _text(stream)


def read_beside() -> str:
    """What standard input adds to a text that is given; "" where it is a terminal, or empty.

    Raises:
        UrialError: It says nothing for `PATIENCE` seconds, can't be read, is too long, or is no
            text.
    """
    stream = _stream()
    if stream is None or is_terminal():
        return ""
    if not _speaks(stream, NOTICE_AFTER):
        click.echo(
            "urial: Waiting for standard input, to add it to the question "
            "(`< /dev/null` leaves it out).",
            err=True,
        )
        if not _speaks(stream, PATIENCE - NOTICE_AFTER):
            raise UsageError(
                f"Nothing came from standard input for {PATIENCE:.0f} seconds.",
                "Add `< /dev/null` to ask without it, or ` -` to wait for as long as it takes.",
            )
    return _text(stream)


def is_terminal() -> bool:
    """Whether standard input is one."""
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:
        return False


def _stream() -> BinaryIO | None:
    """None where there is no standard input at all (`<&-`), or it is one to write to (`0>`)."""
    if sys.stdin is None or sys.stdin.closed:
        return None
    try:
        for_writing = fcntl.fcntl(sys.stdin, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
    except (OSError, ValueError):
        for_writing = False
    return None if for_writing else sys.stdin.buffer


def _speaks(stream: BinaryIO, seconds: float) -> bool:
    """Whether there is something to read, or the end, within this time."""
    try:
        return bool(select.select([stream], [], [], seconds)[0])
    except (OSError, ValueError):
        # What can't be waited for is read, as a file.
        return True


def _text(stream: BinaryIO) -> str:
    try:
        return decoded(read_stream(stream, LIMIT))
    except OSError as error:
        raise UrialError(
            f"Standard input can't be used: {reason(error)}.",
            f"It has to be text in UTF-8 of at most {wording.limit(LIMIT)}; "
            "`iconv` converts others.",
        ) from error
