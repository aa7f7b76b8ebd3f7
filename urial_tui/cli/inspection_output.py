"""An inspected model file for people: groups of lines, for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Final

import click

from urial_tui.cli.output import bold
from urial_tui.models.inspection import Inspection
from urial_tui.models.inspection_words import InspectionRow, groups, title_of
from urial_tui.sanitize import sanitize_line

_WIDTH: Final = 80
_LABEL: Final = 18
"""Columns of the labels, with what is in front of them and behind."""


def print_inspection(told: Inspection) -> None:
    """Print all that is known, grouped."""
    click.echo(bold(title_of(told)))
    for title, rows in groups(told, "--template shows it, --render QUESTION uses it"):
        if title:
            click.echo()
            click.echo(bold(title))
        _print_rows(rows)


def _print_rows(rows: Iterable[InspectionRow]) -> None:
    for label, text in rows:
        lines = textwrap.wrap(
            sanitize_line(text),
            width=_WIDTH,
            initial_indent=f"  {label}".ljust(_LABEL),
            subsequent_indent=" " * _LABEL,
            break_long_words=False,
            break_on_hyphens=False,
        )
        click.echo("\n".join(lines))
