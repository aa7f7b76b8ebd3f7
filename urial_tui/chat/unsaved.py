"""The retry list of conversations of which not all could be stored yet."""

from __future__ import annotations

from urial_tui.chat.session import Conversation


class Unsaved:
    """Remembers them until they are stored; one thread or event loop at a time notes."""

    def __init__(self) -> None:
        self._conversations: list[Conversation] = []

    def note(self, conversation: Conversation) -> None:
        """Remember a conversation, if something of it is not stored."""
        if conversation.store_error is not None and conversation not in self._conversations:
            self._conversations.append(conversation)

    def save(self) -> None:
        """Try again to store them; any thread.

        Raises:
            StoreError: They still can't be.
        """
        for conversation in tuple(self._conversations):
            conversation.save_rest()
            if conversation.store_error is None and conversation in self._conversations:
                self._conversations.remove(conversation)
