"""The title line of a screen: what it is, and beside that a count."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from urial_tui.sanitize import sanitize_line


class HeadingLine(Widget):
    """A title with a quiet word beside it, cut off where there is no room.

    Args:
        title: What the screen is.
        beside: What is told quietly beside it.
    """

    heading: reactive[str] = reactive("")
    beside: reactive[str] = reactive("")

    def __init__(self, title: str, beside: str = "") -> None:
        super().__init__()
        self.heading = title
        self.beside = beside

    def render(self) -> Content:
        """One line."""
        beside = f"  {sanitize_line(self.beside)}" if self.beside else ""
        line = Content.assemble((self.heading, "bold $primary"), (beside, "$quiet"))
        return line.truncate(max(1, self.content_size.width), ellipsis=True)
