"""Rendering of a report's tables and sentences as styled text."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from urial_tui.evaluate.report_cells import Table
from urial_tui.sanitize import sanitize_line

_GAP = "  "
_LONGEST = 40
"""Cells that a name takes at most."""


def sentences(lines: Iterable[str]) -> Content:
    """Sentences in front of a table, or behind it, each in a line of its own."""
    return Content("\n").join(Content.styled(sanitize_line(line), "$quiet") for line in lines)


def drawn(table: Table) -> Content:
    """A table's columns and rows, names at the left and figures at the right of their columns."""
    columns = [
        [_cell(title, "bold $secondary"), *(_cell(row[place]) for row in table.rows)]
        for place, title in enumerate(table.columns)
    ]
    widths = [max(cell.cell_length for cell in column) for column in columns]
    lines = []
    for number in range(len(table.rows) + 1):
        parts = []
        for place, (column, width) in enumerate(zip(columns, widths, strict=True)):
            space = " " * (width - column[number].cell_length)
            right = place >= table.name_columns
            parts.append(
                Content.assemble(space, column[number])
                if right
                else Content.assemble(column[number], space)
            )
        lines.append(Content(_GAP).join(parts))
    return Content("\n").join(lines)


def _cell(text: str, style: str = "") -> Content:
    return Content.styled(sanitize_line(text), style).truncate(_LONGEST, ellipsis=True)
