"""What commands print on standard output: JSON documents and tables.

Nothing that is printed holds a raw control character; colour is for terminals without NO_COLOR.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import click

from urial_tui.sanitize import sanitize_line

# What json.dumps leaves as it is: DEL, C1, bidirectional controls, separators, surrogates.
_ESCAPED = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]"
)
_GAP = "  "
NARROW = 80
"""Columns of a terminal that does not tell."""


class TableColumn(NamedTuple):
    """A column of a table. `right`: aligned there.

    Where the terminal is too narrow, the column with the highest `drop` goes first; 0 stays.
    Cells are cut down to a width of `shrink`, in the `middle` where what tells them apart
    stands at the end; 0 is never cut.
    """

    title: str
    right: bool = False
    drop: int = 0
    shrink: int = 0
    middle: bool = False


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


def print_table(columns: Sequence[TableColumn], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells under their titles; cells may hold foreign text.

    On a terminal, columns that may be dropped or cut are, until a line fits; elsewhere all is
    printed whole.
    """
    cells = [[sanitize_line(cell) for cell in row] for row in rows]
    widths = [
        max(text_width(text) for text in (column.title, *(row[index] for row in cells)))
        for index, column in enumerate(columns)
    ]
    if sys.stdout.isatty():
        kept = _fitting(columns, widths, shutil.get_terminal_size().columns)
    else:
        kept = dict(enumerate(widths))
    click.echo(bold(_line(columns, kept, [column.title for column in columns])))
    for row in cells:
        click.echo(_line(columns, kept, row))


def in_colour() -> bool:
    """Whether standard output is a terminal, and NO_COLOR is not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def bold(text: str) -> str:
    """In bold where colours are shown."""
    return click.style(text, bold=True) if in_colour() else text


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


def cut(text: str, width: int, *, middle: bool = False) -> str:
    """The text in at most so many columns of a terminal, with "…" for what has no room."""
    if text_width(text) <= width:
        return text
    end = _columns_of(text[::-1], (width - 1) // 2 if middle else 0)[::-1]
    return f"{_columns_of(text, width - 1 - text_width(end))}…{end}"


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _fitting(columns: Sequence[TableColumn], widths: Sequence[int], room: int) -> dict[int, int]:
    """The columns to print, by index, and how wide each is."""
    kept = dict(enumerate(widths))
    least = [
        min(width, column.shrink or width) for column, width in zip(columns, widths, strict=True)
    ]

    def over(taken: Iterable[int]) -> int:
        sizes = list(taken)
        return sum(sizes) + len(_GAP) * (len(sizes) - 1) - room

    while over(least[index] for index in kept) > 0:
        first = max(kept, key=lambda index: columns[index].drop)
        if not columns[first].drop:
            break
        del kept[first]
    for _ in range(over(kept.values())):
        wide = [index for index in kept if kept[index] > least[index]]
        if not wide:
            break
        kept[max(wide, key=lambda index: kept[index])] -= 1
    return kept


def _line(columns: Sequence[TableColumn], kept: Mapping[int, int], row: Sequence[str]) -> str:
    parts = []
    for index, width in kept.items():
        text = cut(row[index], width, middle=columns[index].middle)
        space = " " * (width - text_width(text))
        parts.append(space + text if columns[index].right else text + space)
    return _GAP.join(parts).rstrip()


def _columns_of(text: str, width: int) -> str:
    """As much of the start of a text as fits."""
    taken = 0
    for place, letter in enumerate(text):
        taken += text_width(letter)
        if taken > width:
            return text[:place]
    return text
