"""The first line: the program, the conversation, and what answers in it."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from urial_tui.sanitize import sanitize_line


class HeaderLine(Widget):
    """One line: name and title at the left, model and preamble at the right."""

    title_text: reactive[str] = reactive("")
    model: reactive[str] = reactive("")
    preamble: reactive[str] = reactive("")
    note: reactive[str] = reactive("")

    def render(self) -> Content:
        """Lay the two ends out; the title gives way first."""
        width = max(1, self.size.width)
        right = Content.assemble(
            (sanitize_line(self.note), "$warning"),
            "  " if self.note else "",
            (sanitize_line(self.model), "$primary"),
            (" · ", "$quiet"),
            sanitize_line(self.preamble),
        )
        left = Content.assemble(
            ("urial", "bold $primary"),
            ("  ", ""),
            (sanitize_line(self.title_text) or "new conversation", "$quiet"),
        )
        room = width - right.cell_length - 2
        if room < 5:
            return right.truncate(width, ellipsis=True)
        left = left.truncate(room, ellipsis=True)
        return Content.assemble(left, " " * (width - left.cell_length - right.cell_length), right)
