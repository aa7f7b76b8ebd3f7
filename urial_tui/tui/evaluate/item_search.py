"""The search input of the items' screen; its keys act on the list below it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from urial_tui.tui.widgets.safe_input import SafeInput


class ItemSearch(SafeInput):
    """An input for what is searched for in questions and answers."""

    BINDING_GROUP_TITLE = "Items"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.open", "Look at the item alone", id="items.open"),
        Binding("up", "screen.move(-1)", "Row before", id="items.up"),
        Binding("down", "screen.move(1)", "Row after", id="items.down"),
        Binding("pageup", "screen.move_page(-1)", "Page up", id="items.page_up"),
        Binding("pagedown", "screen.move_page(1)", "Page down", id="items.page_down"),
        Binding("ctrl+home", "screen.move(-999999)", "First row", id="items.first"),
        Binding("ctrl+end", "screen.move(999999)", "Last row", id="items.last"),
    ]
