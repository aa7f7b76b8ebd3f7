"""The list widget of preambles: a row each with what it costs and what was measured of it.

What is not known is an empty cell. Where there is little room the columns that say least give way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from textual.content import Content

from urial_tui.evaluate.measure_table import difference_cell, interval_cell
from urial_tui.evaluate.measured_before import KeptMeasures
from urial_tui.prompting.check import Finding
from urial_tui.prompting.preamble import Preamble, examples_in_short
from urial_tui.prompting.preamble_file import PreambleEntry
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.prompts.laboratory import Cost
from urial_tui.tui.widgets.row_list import RowList
from urial_tui.wording import fixed, percent, size

BASE = "zero-shot"
"""What measures are compared with, and what is tried beside a single one."""

_PAIR = 2
_MARK = 2
_GAP = 2
_NAME = 16
"""Cells of the shortest column of names."""


class PreambleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A preamble with what is known of it; None for what is not.

    `drafted`: something of it is not saved. `findings`: without a model. `kept`: its measures.
    """

    entry: PreambleEntry
    drafted: bool = False
    findings: tuple[Finding, ...] = ()
    cost: Cost | None = None
    kept: KeptMeasures | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.entry.name

    @property
    def measures(self) -> Any:
        """What was measured; None where it was not, or not to its end."""
        return None if self.kept is None else self.kept.measures


class _Column(NamedTuple):
    """`gives_way`: the higher, the earlier. `instead`: a longer form where there is room."""

    title: str
    width: int
    gives_way: int
    cell: Callable[[PreambleRow], str]


def _of_cost(tell: Callable[[Cost], str]) -> Callable[[PreambleRow], str]:
    return lambda row: "" if row.cost is None else tell(row.cost)


def _of_measures(tell: Callable[[Any], str]) -> Callable[[PreambleRow], str]:
    return lambda row: "" if row.measures is None else tell(row.measures)


def _examples(row: PreambleRow) -> str:
    preamble = row.entry.preamble
    return "" if preamble is None else examples_in_short(preamble)


def _share(name: str) -> Callable[[Any], str]:
    """A share in percent; nothing where it was not measured."""
    return lambda found: "" if found[name]["share"] is None else percent(found[name]["share"], 0)


_COLUMNS = (
    _Column("K", 3, 4, _examples),
    _Column("TOKENS", 6, 0, _of_cost(lambda cost: f"{cost.tokens:,}")),
    _Column("CACHE", 7, 6, _of_cost(lambda cost: "" if cost.cache is None else size(cost.cache))),
    _Column("BITS/BYTE", 9, 1, _of_measures(lambda found: _number(found["bits_per_byte"]["mean"]))),
    _Column("DIFFERENCE", 10, 2, _of_measures(lambda found: difference_cell(found, wide=False))),
    _Column("ENDED", 5, 3, _of_measures(_share("ended"))),
    _Column("COPIED", 6, 5, _of_measures(_share("copied_opening"))),
)
_WIDE = {
    "DIFFERENCE": (28, _of_measures(lambda found: difference_cell(found, wide=True))),
    "BITS/BYTE": (25, _of_measures(lambda found: interval_cell(found["bits_per_byte"]))),
}
"""Columns with the interval, where there is room."""


def _number(value: float | None) -> str:
    return "" if value is None else fixed(value, 4)


def columns_for(width: int) -> list[_Column]:
    """The columns beside the name that fit into so many cells."""
    chosen = list(_COLUMNS)
    while len(chosen) > 1 and _taken(chosen) + _MARK + _NAME > width:
        chosen.remove(max(chosen, key=lambda column: column.gives_way))
    for title, (wide, cell) in _WIDE.items():
        grown = [
            column._replace(width=wide, cell=cell) if column.title == title else column
            for column in chosen
        ]
        if _taken(grown) + _MARK + _NAME <= width:
            chosen = grown
    return chosen


def _taken(columns: Sequence[_Column]) -> int:
    return sum(column.width + _GAP for column in columns)


def heading(width: int) -> Content:
    """The titles of the columns."""
    return Content.styled(_line("NAME", [(c.title, c.width) for c in columns_for(width)], width))


def _line(name: str, cells: Sequence[tuple[str, int]], width: int) -> str:
    right = "".join(" " * _GAP + text.rjust(cell) for text, cell in cells)
    return f"{' ' * _MARK}{name.ljust(max(1, width - _MARK - len(right)))}{right}"


class PreambleList(RowList[PreambleRow]):
    """A row for each preamble; some may be marked."""

    @property
    def pair(self) -> tuple[tuple[str, Preamble], tuple[str, Preamble]] | None:
        """The two that are marked, or the base and what is chosen; None where these are no two."""
        chosen = self.chosen
        if len(chosen) == 1:
            chosen = [*(row for row in self.rows if row.name == BASE), *chosen]
        pair = [(row.name, row.entry.preamble) for row in chosen if row.entry.preamble is not None]
        if len(pair) != _PAIR or pair[0] == pair[1]:
            return None
        return pair[0], pair[1]

    def key_of(self, row: PreambleRow) -> str:
        """Its name."""
        return row.name

    def line_of(self, row: PreambleRow) -> Content:
        """Its mark, its name, and the columns for which there is room."""
        width = max(_NAME, self.scrollable_content_region.width)
        if row.entry.preamble is None:
            right = Content.styled("  ✖ can't be used", "$error")
        else:
            cells = [(column.cell(row), column.width) for column in columns_for(width)]
            right = Content("".join(" " * _GAP + text.rjust(cell) for text, cell in cells))
        room = max(1, width - _MARK - right.cell_length)
        drafted = " ✎" if row.drafted else ""
        name = Content.styled(
            sanitize_line(row.name), "bold" if row.entry.origin == "user" else ""
        ).truncate(max(1, room - len(drafted)), ellipsis=True)
        left = Content.assemble(name, (drafted, "$warning"))
        return Content.assemble(
            self.mark_of(row), left, " " * max(0, room - left.cell_length), right
        )
