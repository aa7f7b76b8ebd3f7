"""The list widget of models: a row each, with what is known of it by now.

What is not known is an empty cell. Where there is little room the columns that say least give way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
from textual.content import Content

from urial_tui import wording
from urial_tui.models.overview import Listed, Looked
from urial_tui.sanitize import sanitize_line, shortened
from urial_tui.tui.models.downloads import DownloadState
from urial_tui.tui.widgets.row_list import RowList

LISTED = 1000
"""Rows that are shown; searching finds the others."""

_MARK = 2
_GAP = 2
_NAME = 20
"""Cells of the shortest column of names."""
_LONGEST = 200
"""Characters of a name that are drawn at most."""

FIT_SIGNS = {
    "fits": ("✔", "$success"),
    "tight": ("▲", "$warning"),
    "too large": ("✖", "$error"),
}
_STATES = {
    "here": ("●", "$primary"),
    "package": ("●", "$primary"),
    "unfinished": ("◐", "$warning"),
    "absent": ("○", "$quiet"),
}


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model with what is known of it. `looked` is None before it was looked at.

    `download`: that of it, if one was asked for. `in_use`: whether the chat answers with it.
    """

    listed: Listed
    looked: Looked | None = None
    download: DownloadState | None = None
    in_use: bool = False

    @property
    def name(self) -> str:
        """What it is called."""
        return self.listed.name

    @property
    def is_coming(self) -> bool:
        """Whether it is being downloaded, or waits for that."""
        return self.download is not None and self.download.is_open

    @property
    def role(self) -> str:
        """Base or chat: by the catalogue, else as it is guessed, with a question mark."""
        listed = self.listed
        if listed.kind != "model":
            return {"embedding": "embeds", "adapter": "LoRA"}[listed.kind]
        if listed.entry is not None:
            return "base" if listed.entry.role == "base" else "chat"
        guess = self.looked.guess if self.looked else None
        return "" if guess is None or guess.origin == "unknown" else f"{guess.origin}?"


class _Column(NamedTuple):
    """`gives_way`: the higher, the earlier."""

    title: str
    width: int
    gives_way: int
    cell: Callable[[ModelRow], tuple[str, str]]
    right: bool = True


def _size(row: ModelRow) -> tuple[str, str]:
    return (wording.size(row.listed.size) if row.listed.size else ""), ""


def _needs(row: ModelRow) -> tuple[str, str]:
    if row.looked is not None and row.looked.trouble:
        return "✖ unsound", "$error"
    fit = row.looked.fit if row.looked else None
    if fit is None:
        return "", ""
    sign, colour = FIT_SIGNS[fit.verdict]
    return f"{sign} {fit.figure}", colour


def _needs_in_words(row: ModelRow) -> tuple[str, str]:
    told, colour = _needs(row)
    fit = row.looked.fit if row.looked and not row.looked.trouble else None
    return (told if fit is None else f"{fit.verdict} {fit.figure}"), colour


def _speed(row: ModelRow) -> tuple[str, str]:
    speed = row.looked.speed if row.looked else None
    if speed is None:
        return "", ""
    about = "" if speed.how == "measured" else "~"
    return f"{about}{wording.three_digits(speed.empty)}", ""


_COLUMNS = (
    _Column("SIZE", 7, 1, _size),
    _Column("QUANT", 8, 3, lambda row: (row.listed.quantisation, ""), right=False),
    _Column("KIND", 6, 2, lambda row: (row.role, ""), right=False),
    _Column("NEEDS", 10, 0, _needs),
    _Column("TOKENS/S", 8, 4, _speed),
)
_PARTNER = _Column("PARTNER", 24, 5, lambda row: (row.listed.partner, "$quiet"), right=False)
_WIDE_NEEDS = _Column("NEEDS", 17, 0, _needs_in_words)
_WIDE = 104
"""Cells from which on there is room for the partner, and for words."""


def columns_for(width: int) -> list[_Column]:
    """The columns beside the name that fit into so many cells."""
    chosen = list(_COLUMNS)
    if width >= _WIDE:
        chosen = [_WIDE_NEEDS if column.title == "NEEDS" else column for column in chosen]
        chosen.append(_PARTNER)
    while len(chosen) > 1 and _taken(chosen) + _MARK + _NAME > width:
        chosen.remove(max(chosen, key=lambda column: column.gives_way))
    return chosen


def _taken(columns: Sequence[_Column]) -> int:
    return sum(column.width + _GAP for column in columns)


def _cell(text: str, column: _Column) -> str:
    shown = sanitize_line(text)
    shown = shown if len(shown) <= column.width else f"{shown[: column.width - 1]}…"
    return shown.rjust(column.width) if column.right else shown.ljust(column.width)


def heading(width: int) -> Content:
    """The titles of the columns."""
    columns = columns_for(width)
    right = "".join(" " * _GAP + _cell(column.title, column) for column in columns)
    room = max(1, width - _MARK - len(right))
    return Content.styled(f"{' ' * _MARK}{'NAME'.ljust(room)}{right}")


class ModelList(RowList[ModelRow]):
    """A row for each model."""

    def key_of(self, row: ModelRow) -> str:
        """Its name."""
        return row.name

    @property
    def in_view(self) -> Sequence[ModelRow]:
        """The rows that can be seen, that under the bar first."""
        row, top = self.row, int(self.scroll_offset.y)
        seen = self.rows[top : top + max(1, self.size.height)]
        return [*([] if row is None else [row]), *(one for one in seen if one is not row)]

    def line_of(self, row: ModelRow) -> Content:
        """Its mark, its name, what is beside it, and the columns for which there is room."""
        width = max(_NAME, self.scrollable_content_region.width)
        columns = columns_for(width)
        cells: list[Content | tuple[str, str]] = []
        for column in columns:
            text, colour = column.cell(row)
            cells.append((" " * _GAP + _cell(text, column), colour or "$foreground"))
        right = Content.assemble(*cells)
        download = row.download
        mark = _STATES[row.listed.state]
        going = ""
        if download is not None and row.is_coming:
            mark = ("↓", "$primary")
            pace, listed = download.pace, row.listed
            done, total = pace.done, pace.total
            if (pace.reading or not total) and listed.state == "unfinished":
                # What lay there counts before more comes.
                done, total = listed.done, listed.size
            share = done / total if total else 0.0
            going = f" {share:.0%}" if download.stage == "going" else " waits"
        elif download is not None and download.stage == "failed" and not row.listed.is_here:
            mark = ("✖", "$error")
        elif row.listed.state == "unfinished" and row.listed.size:
            going = f" {row.listed.done / row.listed.size:.0%}"
        beside = going + (" ★" if row.listed.default else "")
        room = max(1, width - _MARK - right.cell_length)
        shown = shortened(sanitize_line(row.name), _LONGEST)
        name = _cut(shown, max(1, room - len(beside)))
        style = "" if row.listed.is_here else "$quiet"
        left = Content.assemble((name, "bold" if row.in_use else style), (beside, "$primary"))
        return Content.assemble(
            (f"{mark[0]} ", mark[1]), left, " " * max(0, room - left.cell_length), right
        )


def _cut(name: str, room: int) -> str:
    """A name in so many cells: both of its ends, for what tells models apart stands there."""
    width = Content(name).cell_length
    if width <= room:
        return name
    limit = room
    while Content(shortened(name, limit)).cell_length > room and limit > 1:
        limit -= 1
    return shortened(name, limit)
