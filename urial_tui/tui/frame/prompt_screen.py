"""A base class of screens with a prompt: what is typed gets there, wherever the focus is.

A window that is too small to be of use says so over everything else, which stays as it is.
"""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.events import Key, Paste, Resize
from textual.screen import Screen
from textual.widgets import Static, TextArea

from urial_tui.chat.drafts import DraftPlace, Drafts
from urial_tui.errors import UrialError
from urial_tui.tui.frame.ending import has_widgets
from urial_tui.tui.widgets.banner import Banner
from urial_tui.tui.widgets.prompt import Prompt

MIN_WIDTH, MIN_HEIGHT = 40, 10
"""Columns and rows below which nothing useful fits."""


class PromptScreen(Screen[None]):
    """Has a prompt and an error banner; what is typed is saved as a draft until it is sent."""

    drafts = Drafts(None)
    """The drafts of this run."""

    def compose(self) -> ComposeResult:
        """The notice that the window is too small; what lies below it comes from subclasses."""
        yield Static(id="too-small", markup=False)

    @property
    def has_widgets(self) -> bool:
        """Whether the screen still has its widgets; see `ending`."""
        return has_widgets(self)

    def lead_to_prompt(self, event: Key | Paste) -> None:
        """Give the prompt the focus before it gets a key that is text, or what is pasted.

        A character that is the key of something else here stays that.
        """
        if isinstance(self.focused, Prompt) or event.is_forwarded:
            return
        if isinstance(event, Key) and (not event.is_printable or event.key in self.active_bindings):
            return
        self.set_focus(self.query_one(Prompt))

    def draft(self) -> tuple[DraftPlace, str]:
        """The draft in the prompt: to be given by subclasses.

        Returns:
            Where it belongs, and its text.
        """
        raise NotImplementedError

    @on(TextArea.Changed)
    def keep_draft(self) -> None:
        """Save what is typed as a draft."""
        self.drafts.note(*self.draft())

    def complain(self, error: UrialError, key: str = "") -> None:
        """Show an error in the banner, and which key helps."""
        banner = self.query_one(Banner)
        banner.key = key
        banner.trouble = error

    def settle_trouble(self) -> bool:
        """Clear the banner; whether there was an error in it."""
        banner = self.query_one(Banner)
        told = banner.trouble is not None
        banner.trouble = None
        return told

    def on_resize(self, event: Resize) -> None:
        """Say so where the window is too small to be of use."""
        width, height = event.size
        self.set_class(width < MIN_WIDTH or height < MIN_HEIGHT, "-too-small")
        self.query_one("#too-small", Static).update(
            f"This window is {width} by {height}; urial needs {MIN_WIDTH} by {MIN_HEIGHT}."
        )
