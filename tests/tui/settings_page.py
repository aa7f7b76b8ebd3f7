"""The settings as their user has them: what is sought, and what is changed."""

from __future__ import annotations

from textual.widgets import Input

from tests.tui.page import Page
from urial_tui.tui.frame.settings_screen import SettingsScreen


class SettingsPage(Page[SettingsScreen]):
    """The screen, driven by its keys."""

    kind = SettingsScreen
    key = "ctrl+s"

    async def seeks(self, words: str) -> None:
        """Type into the search."""
        await self.types(words)
        await self.until(lambda: self.screen.query_one(Input).value == words)

    async def types_value(self, text: str) -> None:
        """Change the setting under the bar by typing another value."""
        await self.pilot.press("enter")
        value = self.screen.query_one("#setting-value", Input)
        await self.until(lambda: value.has_focus)
        value.value = ""
        await self.types(text)
