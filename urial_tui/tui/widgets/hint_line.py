"""The key hints at the bottom of a screen, and what is being done."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.keys import key_name, shown

_GAP = "  "


class HintLine(Widget):
    """Keys at the left, the state at the right; the last keys give way first.

    As many lines as the style sheet gives it; of a height that is "auto" it takes what the keys
    need.
    """

    keys: reactive[tuple[tuple[str, str], ...]] = reactive((), layout=True)
    """(key, what it does)"""
    state: reactive[str] = reactive("", layout=True)

    def show(self, actions: Iterable[tuple[str, str]]) -> None:
        """Show the keys of bindings, by their ids, with what they do.

        What is no id is a key, one of Textual's own: "tab", "enter".
        """
        self.keys = tuple(
            (key_name(self, name) if "." in name else shown(name), what) for name, what in actions
        )

    def render(self) -> Content:
        """As many keys as fit beside the state, which stands in the first line."""
        width = max(1, self.content_size.width)
        return Content("\n").join(self._lines(width)[: max(1, self.content_size.height)])

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The lines that all keys need."""
        return len(self._lines(max(1, width)))

    def _lines(self, width: int) -> list[Content]:
        """The keys in lines; a key that is wider than a line has none, nor have those behind it."""
        state = Content.styled(sanitize_line(self.state), "bold $primary").truncate(width)
        lines, room = [Content("")], width - state.cell_length - (len(_GAP) if self.state else 0)
        for key, what in self.keys:
            part = Content.assemble((key, "bold $secondary"), (f" {what}", "$quiet"))
            line = Content.assemble(lines[-1], _GAP, part) if lines[-1] else part
            if line.cell_length <= room:
                lines[-1] = line
            elif part.cell_length <= width:
                lines.append(part)
                room = width
            else:
                break
        gap = " " * max(0, width - lines[0].cell_length - state.cell_length)
        first = Content.assemble(lines[0], gap, state)
        return [first, *(line for line in lines[1:] if line)]
