"""A facade of the chat screen for its parts: typed children, status, errors, notifications.

Parts of the chat are plain objects; this is all that they know of the screen.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from urial_tui.errors import UrialError
from urial_tui.tui.chat.header_line import HeaderLine
from urial_tui.tui.chat.status_line import Status, StatusLine
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.chat.welcome import Welcome
from urial_tui.tui.frame.prompt_screen import PromptScreen
from urial_tui.tui.frame.screen_view import ScreenView
from urial_tui.tui.widgets.prompt import Prompt


class ChatView(ScreenView):
    """The chat screen as its parts may use it."""

    screen: PromptScreen

    @property
    def header(self) -> HeaderLine:
        """The first line."""
        return self.screen.query_one(HeaderLine)

    @property
    def welcome(self) -> Welcome:
        """What an empty conversation shows."""
        return self.screen.query_one(Welcome)

    @property
    def transcript(self) -> Transcript:
        """The conversation."""
        return self.screen.query_one(Transcript)

    @property
    def prompt(self) -> Prompt:
        """Where the user types."""
        return self.screen.query_one(Prompt)

    @property
    def status(self) -> Status:
        """What the last line says."""
        return self.screen.query_one(StatusLine).status

    def show_status(self, **changes: object) -> None:
        """Update the status line (the fields of `Status`)."""
        line = self.screen.query_one(StatusLine)
        line.status = msgspec.structs.replace(line.status, **changes)

    def show_transcript(self, show: bool) -> None:
        """Show the conversation, or the welcome where it is empty."""
        self.transcript.display = show
        self.welcome.display = not show

    def page(self, direction: int) -> None:
        """Scroll the conversation, or the welcome, by a page: up (-1) or down (1)."""
        scrolled = self.welcome if self.welcome.display else self.transcript
        if direction < 0:
            scrolled.scroll_page_up(animate=False)
        else:
            scrolled.scroll_page_down(animate=False)

    def complain(self, error: UrialError, key: str = "") -> None:
        """Show an error in the banner, and which key helps."""
        self.screen.complain(error, key)

    def settle_trouble(self) -> None:
        """Clear the error banner."""
        self.screen.settle_trouble()

    def tell(
        self,
        text: str,
        severity: Literal["information", "warning"] = "information",
        timeout: float | None = None,
    ) -> None:
        """Notify the user of something, for a while (seconds)."""
        self.screen.notify(text, severity=severity, timeout=timeout, markup=False)
