"""What commands print: JSON documents, tables and a line of progress.

Text goes to standard output, progress to standard error and only to a terminal. Nothing
that is printed holds a raw control character; colour is for terminals without NO_COLOR.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sys
import time
import unicodedata
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

import click

from urial_tui.sanitize import sanitize_line

# What json.dumps leaves as it is: DEL, C1, bidirectional controls, separators, surrogates.
_ESCAPED = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]"
)
_GAP = "  "


class Column(NamedTuple):
    """A column of a table. `right`: aligned there. `drop`: the highest goes first where
    the terminal is too narrow; 0 stays."""

    title: str
    right: bool = False
    drop: int = 0


def print_json(document: object) -> None:
    """Print one JSON document as UTF-8: on one line, or indented on a terminal.

    Numbers that JSON does not know (NaN, infinity) become null.
    """
    text = json.dumps(
        _finite(document), ensure_ascii=False, indent=2 if sys.stdout.isatty() else None
    )
    text = _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
    sys.stdout.flush()
    # Whatever the locale says: JSON is UTF-8.
    sys.stdout.buffer.write(text.encode() + b"\n")
    sys.stdout.buffer.flush()


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells under their titles; cells may hold foreign text.

    On a terminal, columns that may be dropped are, until a line fits.
    """
    cells = [[sanitize_line(cell) for cell in row] for row in rows]
    widths = [
        max(text_width(text) for text in (column.title, *(row[index] for row in cells)))
        for index, column in enumerate(columns)
    ]
    kept = _fitting(columns, widths)
    click.echo(bold(_line(columns, widths, kept, [column.title for column in columns])))
    for row in cells:
        click.echo(_line(columns, widths, kept, row))


def bold(text: str) -> str:
    """In bold on a terminal without NO_COLOR."""
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return click.style(text, bold=True) if colour else text


def text_width(text: str) -> int:
    """Columns that a terminal takes for one line of text.

    East Asian wide and fullwidth characters (most emoji too) take two, combining marks and
    format characters none. Sequences that some terminals join into one emoji count in full.
    """
    return sum(
        0
        if unicodedata.category(letter) in ("Mn", "Me", "Cf")
        else 2
        if unicodedata.east_asian_width(letter) in ("W", "F")
        else 1
        for letter in text
    )


def format_size(count: int) -> str:
    """Bytes in decimal units, with three digits: 253 MB, 4.92 GB."""
    if count < 1000:
        return f"{count} B"
    units = ("kB", "MB", "GB", "TB")
    size, power = count / 1000, 0
    while size >= 999.5 and power < len(units) - 1:
        size, power = size / 1000, power + 1
    digits = 2 if size < 9.995 else 1 if size < 99.95 else 0
    return f"{size:.{digits}f} {units[power]}"


class ProgressLine:
    """A line on standard error that is rewritten in place; nothing where that is no terminal.

    As a context manager it leaves an empty line behind.
    """

    def __init__(self) -> None:
        self._active = sys.stderr.isatty()
        self._shown = False
        self._shown_at = 0.0

    def show(self, words: str) -> None:
        """Show these words; at most ten times a second."""
        now = time.monotonic()
        if self._active and now - self._shown_at >= 0.1:
            self._shown, self._shown_at = True, now
            sys.stderr.write(f"\r\x1b[K{sanitize_line(words)}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _fitting(columns: Sequence[Column], widths: Sequence[int]) -> list[int]:
    """The indices of the columns to print."""
    kept = list(range(len(columns)))
    if not sys.stdout.isatty():
        return kept
    terminal = shutil.get_terminal_size().columns
    while sum(widths[index] + len(_GAP) for index in kept) - len(_GAP) > terminal:
        first = max(kept, key=lambda index: columns[index].drop)
        if not columns[first].drop:
            break
        kept.remove(first)
    return kept


def _line(
    columns: Sequence[Column], widths: Sequence[int], kept: Sequence[int], row: Sequence[str]
) -> str:
    parts = []
    for index in kept:
        space = " " * (widths[index] - text_width(row[index]))
        parts.append(space + row[index] if columns[index].right else row[index] + space)
    return _GAP.join(parts).rstrip()
