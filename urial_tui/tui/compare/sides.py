"""The header of the compare screen: the two sides with their contexts."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.keys import key_name


class Sides(Widget):
    """Two lines: (model, context) of the base and of the aligned side."""

    base: reactive[tuple[str, str]] = reactive(("", ""))
    aligned: reactive[tuple[str, str]] = reactive(("", ""))
    vocabulary: reactive[str] = reactive("")
    """How the vocabularies relate; "" where it is not known yet."""

    def render(self) -> Content:
        """What is compared, and the keys that change it."""
        lines = []
        relation = f"vocabularies: {self.vocabulary}" if self.vocabulary else ""
        for name, (model, context), key, note in (
            ("base", self.base, key_name(self, "compare.base"), ""),
            ("aligned", self.aligned, key_name(self, "compare.aligned"), relation),
        ):
            left = Content.assemble(
                (f"{name:<8}", "bold $primary"),
                sanitize_line(model),
                ("  context ", "$quiet"),
                (sanitize_line(context), "$secondary"),
            )
            right = Content.assemble((key, "bold $secondary"), (" change", "$quiet"))
            width = max(1, self.content_size.width)
            noted = Content.assemble((note, "$quiet"), "   ", right)
            # Where there is little room the side itself is what stays.
            if note and width - noted.cell_length - 2 >= min(left.cell_length, width // 2):
                right = noted
            left = left.truncate(max(1, width - right.cell_length - 2), ellipsis=True)
            gap = " " * max(1, width - left.cell_length - right.cell_length)
            lines.append(Content.assemble(left, gap, right))
        return Content("\n").join(lines)
