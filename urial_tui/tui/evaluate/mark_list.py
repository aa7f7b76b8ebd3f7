"""A list widget with multiple selection that is submitted as a whole."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from urial_tui.sanitize import sanitize_line, short_name


class MarkList(OptionList):
    """Space marks a row, or no longer; Enter sends what is marked.

    Args:
        rows: The name of each row, by which it is chosen, and a few words about it.
        marked: The names that are marked at first.
        id: The list's own name.
    """

    BINDING_GROUP_TITLE = "Marked lists"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Run what is marked", id="new_runs.begin"),
        Binding("space", "mark", "Mark, or no longer", id="new_runs.mark"),
    ]

    class Changed(Message):
        """Something else is marked."""

    class Submitted(Message):
        """What is marked is what is wanted."""

    def __init__(
        self,
        rows: Sequence[tuple[str, str]],
        marked: Collection[str],
        id: str,  # Textual's name
    ) -> None:
        super().__init__(id=id, markup=False)
        self._rows = list(rows)
        self._marked = set(marked)
        self.add_options(map(self._option, self._rows))

    @property
    def names(self) -> list[str]:
        """All rows, in their order."""
        return [name for name, _ in self._rows]

    @property
    def marked(self) -> tuple[str, ...]:
        """What is marked, in the order of the rows."""
        return tuple(name for name in self.names if name in self._marked)

    def mark(self, names: Collection[str]) -> None:
        """Mark these and no others; those that are in no row get one, and the bar."""
        self._marked = set(names)
        new = [(name, "") for name in names if name not in self.names]
        self._rows += new
        self.add_options(map(self._option, new))
        for place in range(len(self._rows) - len(new)):
            self._draw(place)
        if new:
            self.highlighted = len(self._rows) - 1
        self.post_message(self.Changed())

    def action_mark(self) -> None:
        """Mark the row under the bar, or no longer."""
        place = self.highlighted
        if place is not None:
            self._marked ^= {self.names[place]}
            self._draw(place)
            self.post_message(self.Changed())

    def action_submit(self) -> None:
        """Submit the marked rows."""
        self.post_message(self.Submitted())

    def _draw(self, place: int) -> None:
        self.replace_option_prompt_at_index(place, self._prompt(*self._rows[place]))

    def _option(self, row: tuple[str, str]) -> Option:
        return Option(self._prompt(*row))

    def _prompt(self, name: str, what: str) -> Content:
        """A path is shown by its end."""
        return Content.assemble(
            ("◆ " if name in self._marked else "  ", "$primary"),
            short_name(name),
            (f"  {sanitize_line(what)}" if what else "", "$quiet"),
        )
