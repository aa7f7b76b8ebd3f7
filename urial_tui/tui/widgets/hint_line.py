"""The last line of the compare screen: what is being done, and the keys for it."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from urial_tui.sanitize import sanitize_line


class HintLine(Widget):
    """Keys at the left, the state at the right; the last keys give way first."""

    keys: reactive[tuple[tuple[str, str], ...]] = reactive(())
    """(key, what it does)"""
    state: reactive[str] = reactive("")

    def render(self) -> Content:
        """As many keys as fit beside the state."""
        width = max(1, self.content_size.width)
        state = Content.styled(sanitize_line(self.state), "bold $primary").truncate(width)
        left = Content("")
        for key, what in self.keys:
            part = Content.assemble((key, "bold $secondary"), (f" {what}   ", "$quiet"))
            if left.cell_length + part.cell_length + state.cell_length > width:
                break
            left = Content.assemble(left, part)
        gap = " " * max(0, width - left.cell_length - state.cell_length)
        return Content.assemble(left, gap, state)
