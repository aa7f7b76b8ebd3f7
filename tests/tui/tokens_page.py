"""The screen of an answer's tokens as its user has it: what was likely, what else there was."""

from __future__ import annotations

from tests.tui.chat_page import ChatPage
from tests.tui.page import Page
from urial_tui.tui.tokens.tokens_screen import TokensScreen
from urial_tui.tui.tokens.traced_strip import TracedStrip


class TokensPage(Page[TokensScreen]):
    """The screen, driven by its keys."""

    kind = TokensScreen
    key = "f4"

    @property
    def cursor(self) -> int:
        """The place of the token that is looked at."""
        return self.screen.query_one(TracedStrip).cursor

    async def is_read(self) -> None:
        """Wait until all tokens are there."""
        await self.until(lambda: self.status.rstrip().endswith("tokens"))


async def read_tokens(chat: ChatPage) -> TokensPage:
    """Look at the tokens of the newest answer, and wait until all are read."""
    tokens = await chat.leads_to(TokensPage)
    await tokens.is_read()
    return tokens
