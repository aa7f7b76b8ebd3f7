"""The header of the token screen: the model, the answer, and a legend of the colours."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from urial_tui.sanitize import sanitize_line
from urial_tui.tui.tokens.traced_strip import LEVELS


class TraceHead(Widget):
    """Two lines: the model and the answer as a whole; the steps of probability."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"trace-head--{name}" for name, _ in LEVELS}

    model: reactive[str] = reactive("")
    facts: reactive[tuple[str, ...]] = reactive(())

    def render(self) -> Content:
        """The facts give way from the last on, then the model's name."""
        width = max(1, self.content_size.width)
        left = Content.assemble(
            ("tokens  ", "bold $primary"), ("written by ", "$quiet"), sanitize_line(self.model)
        )
        shown = list(self.facts)
        while shown and left.cell_length + 2 + len(" · ".join(shown)) > width:
            shown.pop()
        right = Content.styled(" · ".join(shown), "$quiet")
        gap = " " * max(1, width - left.cell_length - right.cell_length)
        first = Content.assemble(left, gap, right).truncate(width, ellipsis=True)
        return Content("\n").join([first, self._legend().truncate(width)])

    def _legend(self) -> Content:
        parts: list[tuple[str, str] | str | Content] = [("probability  ", "$quiet")]
        for number, (name, least) in enumerate(LEVELS):
            word = f"≥ {least:.0%}" if number < len(LEVELS) - 1 else f"< {LEVELS[-2][1]:.0%}"
            style = self.get_visual_style(f"trace-head--{name}", partial=True)
            parts += [Content(word).stylize(style), "  "]
        return Content.assemble(*parts)
