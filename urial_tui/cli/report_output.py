"""The tables of an evaluation as they are printed: titles, sentences and columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from urial_tui.evaluate.report_cells import Table

_COLUMNS = 80


def print_tables(tables: Iterable[Table]) -> None:
    """Print tables, an empty line between them."""
    from urial_tui.cli.output import TableColumn, bold, print_table
    from urial_tui.sanitize import sanitize_line

    for at, table in enumerate(tables):
        if at:
            click.echo()
        click.echo(bold(sanitize_line(table.title)))
        for line in table.above:
            _echo_wrapped(line)
        if table.rows:
            columns = [
                TableColumn(title, right=place >= table.name_columns, shrink=0 if place else 14)
                if place != 1 or table.name_columns < 2
                else TableColumn(title, shrink=20, middle=True)
                for place, title in enumerate(table.columns)
            ]
            print_table(columns, table.rows)
        for line in table.below:
            _echo_wrapped(line)


def _echo_wrapped(text: str) -> None:
    """A sentence in lines of at most 80 columns."""
    from urial_tui.sanitize import sanitize_line

    for line in textwrap.wrap(sanitize_line(text), _COLUMNS, break_on_hyphens=False):
        click.echo(line)
