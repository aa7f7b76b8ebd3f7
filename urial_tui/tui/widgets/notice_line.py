"""A notice above the keys of a screen: what came of something, or why it can't be done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from textual.content import Content
from textual.widgets import Static

from urial_tui.errors import UrialError
from urial_tui.mistakes import explaining
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.frame.stoppable import Ended

T = TypeVar("T")


class NoticeLine(Static):
    """A line of text that takes no room while it is empty."""

    def __init__(self, *, id: str | None = None) -> None:  # Textual's name
        super().__init__(id=id, markup=False)
        self.display = False
        self.told = ""
        """What stands there, as plain text."""

    def say(self, notice: Content | str) -> None:
        """Tell something; an empty notice takes away what was told."""
        told = Content(sanitize_line(notice)) if isinstance(notice, str) else notice
        self.update(told)
        self.told = told.plain
        self.display = bool(told.plain)

    async def in_thread(self, do: Callable[[], T]) -> T | None:
        """Call a function in a thread, and tell its error here.

        Returns:
            What the function returns; None where it failed or was stopped (see `Stoppable`), or
            the screen ended meanwhile.
        """
        screen = self.screen
        try:
            with explaining():
                found = await asyncio.to_thread(_unless_ended, do)
        except UrialError as error:
            if has_widgets(screen):
                message, hint = sanitize_line(error.message), sanitize_line(error.hint)
                self.say(Content.assemble((f"✖ {message}", "$error"), f" {hint}" if hint else ""))
            return None
        return found if has_widgets(screen) else None


def _unless_ended(do: Callable[[], T]) -> T | None:
    try:
        return do()
    except Ended:
        return None
