"""The tables of a report as a Markdown file.

Names come from files of strangers: no character of theirs is markup, and none breaks out of its
cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from urial_tui.evaluate.report_cells import Table
from urial_tui.evaluate.report_tables import report_tables
from urial_tui.report_file import report_file
from urial_tui.sanitize import sanitize_line

# What CommonMark takes for more than text within a line, and the bars of a table; then what some
# readers make links of without being told to.
_MARKUP = re.compile(r"[\\`*_{}\[\]<>#|~!&@]|:(?=//)|(?<=www)\.", re.IGNORECASE)


def write_markdown(path: Path, document: Mapping[str, Any]) -> None:
    """Write the tables of a report; an older file is replaced once the new one is whole.

    Args:
        path: Where to; its directory exists.
        document: The JSON document, see docs/json.md.

    Raises:
        ReportError: The disk is full, or the place can't be written to.
    """
    with report_file(path, "--markdown") as output:
        output.write(markdown(document).encode("utf-8", "replace"))


def markdown(document: Mapping[str, Any]) -> str:
    """The tables of a report as Markdown, with all runs beside each other."""
    parts = ("\n".join(_part(table)) for table in report_tables(document))
    return "\n\n".join(("# Evaluation", *parts)) + "\n"


def _part(table: Table) -> Iterator[str]:
    yield f"## {_plain(table.title)}"
    if table.above:
        yield ""
        yield " ".join(map(_plain, table.above))
    if table.rows:
        yield ""
        yield _row(table.columns)
        words = table.name_columns
        yield _row(
            [":--" if at < words else "--:" for at in range(len(table.columns))], plain=False
        )
        for row in table.rows:
            yield _row(row)
    if table.below:
        yield ""
        for line in table.below:
            yield f"- {_plain(line)}"


def _row(cells: tuple[str, ...] | list[str], *, plain: bool = True) -> str:
    return f"| {' | '.join(_plain(cell) if plain else cell for cell in cells)} |"


def _plain(text: str) -> str:
    """Text without markup: whatever would be some is escaped."""
    return _MARKUP.sub(r"\\\g<0>", sanitize_line(text))
