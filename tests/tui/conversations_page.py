"""The screen of the stored conversations as its user has it: what is sought, and what is there."""

from __future__ import annotations

from tests.tui.page import Page
from urial_tui.tui.conversations.conversation_list import ConversationList
from urial_tui.tui.conversations.conversations_screen import ConversationsScreen
from urial_tui.tui.conversations.search_line import TitleLine


class ConversationsPage(Page[ConversationsScreen]):
    """The screen, driven by its keys."""

    kind = ConversationsScreen
    key = "ctrl+o"

    async def arrives(self) -> None:
        """They are listed."""
        await super().arrives()
        await self.reads(" stored")

    @property
    def selected(self) -> str:
        """The title of the selected conversation; "" for none."""
        row = self.screen.query_one(ConversationList).row
        return "" if row is None else row.hit.conversation.title

    async def selects(self, title: str) -> None:
        """Wait until the bar stands there."""
        await self.until(lambda: self.selected == title)

    async def seeks(self, words: str, found: str) -> None:
        """Type words, and wait until the heading says what was found."""
        await self.types(words)
        await self.until(lambda: found in self.lines[0])

    async def starts_renaming(self) -> None:
        await self.pilot.press("f2")
        await self.until(lambda: isinstance(self.pilot.app.focused, TitleLine))

    async def starts_exporting(self, proposed: str) -> None:
        """Open the dialog, and wait until it proposes a file."""
        await self.pilot.press("ctrl+e")
        await self.reads(proposed)

    async def starts_importing(self) -> None:
        await self.pilot.press("ctrl+l")
        await self.reads("Import conversations")
