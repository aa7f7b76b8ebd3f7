"""A given text to compare on: a file or standard input, to the byte."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable
from pathlib import Path

from urial_tui import files
from urial_tui.errors import UrialError, UsageError
from urial_tui.sanitize import sanitize_line

MAX_TEXT_BYTES = 256 * 1024 * 1024
_STDIN = Path("-")


def read_compared_text(path: Path, say: Callable[[str], None]) -> str:
    """The text as it stands in a file, line ends included; `-` is standard input.

    Args:
        path: The file.
        say: Told that a byte order mark was left out.

    Raises:
        UrialError: It can't be read, is no text, or is too long.
        UsageError: It is empty.
    """
    shown = "standard input" if path == _STDIN else f"the file {sanitize_line(str(path))}"
    try:
        if path == _STDIN:
            data = files.read_stream(sys.stdin.buffer, MAX_TEXT_BYTES)
        else:
            data = files.read_bytes(path, MAX_TEXT_BYTES)
        text = files.decoded(data)
    except OSError as error:
        raise UrialError(
            f"The text in {shown} can't be read: {files.reason(error)}.",
            "Name another file, or convert it to UTF-8.",
        ) from error
    if not text:
        raise UsageError(f"There is no text in {shown}.", "Name another file.")
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or data[:3] == codecs.BOM_UTF8:
        say(f"The byte order mark in front of the text in {shown} is left out.")
    return text
