"""The inputs of the conversations' screen: what is searched for, and a title."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from urial_tui.tui.widgets.safe_input import SafeInput


class SearchLine(SafeInput):
    """An input for what is searched for; its keys act on the list."""

    BINDING_GROUP_TITLE = "Conversations"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.open", "Open", id="conversations.open"),
        Binding("up", "screen.move(-1)", "Row before", id="conversations.up"),
        Binding("down", "screen.move(1)", "Row after", id="conversations.down"),
        Binding("pageup", "screen.move_page(-1)", "Page up", id="conversations.page_up"),
        Binding("pagedown", "screen.move_page(1)", "Page down", id="conversations.page_down"),
        Binding("ctrl+home", "screen.move(-999999)", "First row", id="conversations.first"),
        Binding("ctrl+end", "screen.move(999999)", "Last row", id="conversations.last"),
        Binding("f2", "screen.rename", "Rename", id="conversations.rename"),
        Binding("delete", "delete_or_erase", "Delete", id="conversations.delete"),
        Binding("ctrl+z", "screen.bring_back", "Bring back", id="conversations.bring_back"),
        Binding("ctrl+e", "screen.export", "Export", id="conversations.export"),
        Binding("ctrl+l", "screen.import", "Import", id="conversations.import"),
    ]

    async def action_delete_or_erase(self) -> None:
        """Within the text, erase to the right as in every line; else delete the conversation."""
        if self.selection.is_empty and self.cursor_at_end:
            await self.run_action("screen.delete")
        else:
            self.action_delete_right()


class TitleLine(SafeInput):
    """An input for a title that is being changed, in its place in the list."""

    BINDING_GROUP_TITLE = "Title"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave it as it was", id="conversations.leave_title")
    ]

    def action_leave(self) -> None:
        """Cancel: the title stays."""
        self.remove()

    def on_blur(self) -> None:
        """Cancel when the focus goes elsewhere in the application."""
        if self.app.app_focus:
            self.remove()
