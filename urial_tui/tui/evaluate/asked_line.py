"""A labelled input: a line of a dialog with what is asked for, and where it is typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from textual.containers import Horizontal
from textual.widgets import Input, Label

WIDTHS: Final[Sequence[tuple[int, str]]] = ((0, "-narrow"), (80, "-wide"))
HEIGHTS: Final[Sequence[tuple[int, str]]] = (
    (0, "-short"),
    (18, "-low"),
    (24, "-usual"),
    (30, "-roomy"),
)
"""Columns and lines from which on the style sheet lays a dialog out in another way."""


def asked(what: str, line: Input) -> Horizontal:
    """A label with its line; side by side with others where there is room.

    Args:
        what: What is asked for.
        line: Where it is typed.
    """
    return Horizontal(Label(what), line, classes="evaluate-asked")
