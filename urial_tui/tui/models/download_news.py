"""Notifications of downloads while one does something else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.app import App
from textual.timer import Timer

from urial_tui.sanitize import sanitize_line
from urial_tui.tui.chat.chat_view import ChatView
from urial_tui.tui.models.downloads import Downloads, in_short, told

SHOWN_EVERY = 0.5
"""Seconds."""


class DownloadNews:
    """Shows progress in the chat's status line, and notifies of ends wherever one is.

    Args:
        app: Tells.
        chat: Has the status line.
        downloads: What is told of.
    """

    def __init__(self, app: App[Any], chat: ChatView, downloads: Downloads) -> None:
        self._app = app
        self._chat = chat
        self._downloads = downloads
        self._timer: Timer | None = None

    def pull(self, names: Sequence[str]) -> None:
        """Download these, and tell of them until nothing is downloaded any more."""
        for name in names:
            self._downloads.add(name)
        if self._timer is None:
            self._timer = self._app.set_interval(SHOWN_EVERY, self._show)
        self._show()
        self._timer.resume()

    def _show(self) -> None:
        # Where it is open it has been imported.
        from urial_tui.tui.models.models_screen import ModelsScreen

        for state in self._downloads.news():
            screen = self._app.screen
            if isinstance(screen, ModelsScreen):
                # It shows downloads, and has a place for what came of them.
                screen.tell_ended(state)
                continue
            sentence = sanitize_line(told(state))
            if state.stage == "failed":
                self._app.notify(sentence, severity="error", timeout=15, markup=False)
            else:
                self._app.notify(sentence, markup=False)
        if self._chat.alive:
            self._chat.show_status(download=in_short(self._downloads))
        if not self._downloads.busy and self._timer is not None:
            self._timer.pause()
