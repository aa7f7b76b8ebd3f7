"""The search input of the models' screen; its keys act on the list below it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from urial_tui.tui.widgets.safe_input import SafeInput


class ModelSearch(SafeInput):
    """An input for what is searched for in names, titles, kinds and places."""

    BINDING_GROUP_TITLE = "Models, searching"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.leave_search", "To what was found", id="models.found"),
        Binding("up", "screen.move(-1)", "Row before", id="models.up"),
        Binding("down", "screen.move(1)", "Row after", id="models.down"),
    ]
