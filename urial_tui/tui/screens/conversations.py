"""Choosing one of the stored conversations."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from urial_tui.chat.turns import ConversationRecord
from urial_tui.sanitize import sanitize_line


class ConversationsScreen(ModalScreen[int | None]):
    """A list over the chat; ends with the chosen conversation's id, or None."""

    BINDING_GROUP_TITLE = "Conversations"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="conversations.back")
    ]

    def __init__(self, conversations: Sequence[ConversationRecord]) -> None:
        super().__init__()
        self._conversations = conversations

    def compose(self) -> ComposeResult:
        """A title, the list, the keys."""
        with Vertical(classes="dialog"):
            yield Static("Stored conversations", classes="dialog-title", markup=False)
            if self._conversations:
                yield OptionList(*map(_option, self._conversations), markup=False)
                yield Static("Enter opens, Esc goes back", classes="dialog-keys", markup=False)
            else:
                yield Static("There are none yet: ask something first.", markup=False)
                yield Static("Esc goes back", classes="dialog-keys", markup=False)

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """End with the choice."""
        self.dismiss(self._conversations[event.option_index].id)


def _option(conversation: ConversationRecord) -> Option:
    turns = f"{conversation.turns} turn{'s' if conversation.turns != 1 else ''}"
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(conversation.updated))
    about = " · ".join((when, conversation.model, conversation.preamble, turns))
    return Option(
        Content.assemble(
            sanitize_line(conversation.title) or "(no title)",
            "\n",
            (sanitize_line(about), "$quiet"),
        )
    )
