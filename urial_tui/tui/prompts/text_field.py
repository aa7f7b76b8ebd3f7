"""A text area for a text of a preamble."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from urial_tui.tui.widgets.written_text import WrittenText


class TextField(WrittenText):
    """Lines that keep to the room that they are given."""

    BINDING_GROUP_TITLE = "Text of a preamble"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+g", "editor", "Write in your editor", id="text.editor"),
    ]

    def show(self, text: str) -> None:
        """Have this be its text, from its start; what was done to another one can't be undone."""
        self.forget()
        self.put(text)
        self.history.clear()
        self.move_cursor((0, 0))
