"""The two answers of a duel beside each other, or one of them alone."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container

from urial_tui.tui.duel.side_view import SideView

NARROW = 78
"""Columns of a screen below which the sides stand one above the other."""

_VIEWS = ("", "-only-left", "-only-right")


class BothSides(Container):
    """Holds the left and the right side, and moves through both."""

    def __init__(self) -> None:
        super().__init__(id="both-sides")

    def compose(self) -> ComposeResult:
        """Left and right."""
        yield SideView("A", id="left-side")
        yield SideView("B", id="right-side")

    @property
    def sides(self) -> tuple[SideView, SideView]:
        """Left and right."""
        return self.query_one("#left-side", SideView), self.query_one("#right-side", SideView)

    def clear(self, state: str) -> None:
        """Make room for two other answers, which are so far."""
        for side in self.sides:
            side.clear()
            side.say(state)

    def show_empty(self, empty: bool) -> None:
        """Take no more room than the names need, where there are no answers."""
        for part in (self, *self.sides):
            part.set_class(empty, "-empty")

    def show_next_view(self) -> None:
        """Show both sides, then each alone."""
        place = next((n for n, name in enumerate(_VIEWS) if name and self.has_class(name)), 0)
        self.remove_class(*_VIEWS[1:])
        following = _VIEWS[(place + 1) % len(_VIEWS)]
        if following:
            self.add_class(following)

    def scroll_sides(self, lines: int) -> None:
        """Scroll both answers."""
        for side in self.sides:
            side.scroll_by(lines)

    def page(self, direction: int) -> None:
        """Move through both answers by a page."""
        for side in self.sides:
            side.page(direction)
