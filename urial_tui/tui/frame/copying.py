"""Copying texts to the clipboard in the background, and telling how that was done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from textual.app import App
from textual.worker import Worker

from urial_tui.errors import UrialError
from urial_tui.runtime.in_thread import in_loop
from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.private_names import remember_copy


class Copying:
    """The clipboard of the whole application: all that is copied goes through here.

    Args:
        app: Notifies the user.
        terminal: Asks the terminal to copy; called in the event loop.
    """

    def __init__(self, app: App[Any], terminal: Callable[[str], None]) -> None:
        self._app = app
        self._terminal = terminal

    def copy(self, text: str, what: str = "") -> None:
        """Copy a text and say how; `what` names it, its length unless given."""
        remember_copy(self._app, text)
        work: Callable[[], Coroutine[Any, Any, None]] = partial(self._copy, text, what)
        _: Worker[None] = self._app.run_worker(work, group="copy")

    async def _copy(self, text: str, what: str) -> None:
        from urial_tui.tui.frame.clipboard import copy

        try:
            told = await asyncio.to_thread(copy, text, in_loop(self._terminal), what)
        except UrialError as error:
            self._app.notify(str(error), severity="error", markup=False)
        else:
            self._app.notify(sanitize_line(told), markup=False)
