"""The header: the program, the conversation, and what answers in it."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.style import Style
from textual.widget import Widget

from urial_tui.sanitize import sanitize_line

_LIST = "list"
"""Under this name a text tells which list a click on it opens."""


class HeaderLine(Widget):
    """One line: name and title at the left, model and preamble at the right.

    A click on the model or the preamble asks the screen for another one.
    """

    title_text: reactive[str] = reactive("")
    model: reactive[str] = reactive("")
    preamble: reactive[str] = reactive("")
    note: reactive[str] = reactive("")

    async def on_click(self, event: events.Click) -> None:
        """Ask for another model or preamble."""
        if chosen := event.style.meta.get(_LIST):
            await self.run_action(f"screen.switch('{chosen}')")

    def render(self) -> Content:
        """Lay the two ends out; the title gives way first."""
        width = max(1, self.size.width)
        right = Content.assemble(
            (sanitize_line(self.note), "$warning"),
            "  " if self.note else "",
            Content.styled(sanitize_line(self.model), Style.from_meta({_LIST: "models"})).stylize(
                "$primary"
            ),
            (" · ", "$quiet"),
            Content.styled(sanitize_line(self.preamble), Style.from_meta({_LIST: "preambles"})),
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
