"""A panel with the current downloads below the list of models."""

from __future__ import annotations

from collections.abc import Sequence

from textual.widgets import Static

from urial_tui.tui.models.downloads import DownloadState
from urial_tui.tui.models.model_words import download_lines

_HIGH = 18
"""Lines of a screen, as "-roomy", in which there is room for more of them."""


class DownloadPanel(Static):
    """Takes no room while nothing is downloaded."""

    def show(self, states: Sequence[DownloadState]) -> None:
        """Show their progress."""
        self.display = any(state.is_open for state in states)
        if self.display:
            width, height = self.screen.size
            self.update(download_lines(states, max(20, width - 2), 3 if height >= _HIGH else 1))
