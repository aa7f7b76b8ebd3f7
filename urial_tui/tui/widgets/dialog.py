"""The title and the key line of a dialog."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from urial_tui.sanitize import sanitize_line
from urial_tui.tui.frame.keys import keyed


class DialogTitle(Static):
    """A title: what is done, and to what.

    Args:
        title: What is done.
        name: To what; foreign text.
    """

    def __init__(self, title: str, name: str = "") -> None:
        shown = Content.assemble(title, (sanitize_line(name), "not bold $foreground"))
        super().__init__(shown, classes="dialog-title", markup=False)


class DialogKeys(Static):
    """A line that says what keys do.

    Args:
        sentence: With the ids of bindings in braces, as `keyed` takes it.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(classes="dialog-keys", markup=False)
        self._sentence = sentence

    def on_mount(self) -> None:
        """Name the keys that the bindings have at present."""
        self.tell(self._sentence)

    def tell(self, sentence: str) -> None:
        """Say something else, written in the same way."""
        self._sentence = sentence
        self.update(keyed(self, sentence))
