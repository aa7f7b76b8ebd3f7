"""Where the user types: Enter sends, other Enters make a new line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from urial_tui.sanitize import sanitize
from urial_tui.tui.keys import keys_of

MAX_LINES = 6


class Prompt(TextArea):
    """A few lines of plain text that grow with what is typed."""

    BINDING_GROUP_TITLE = "Prompt"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Send", id="prompt.submit"),
        Binding("ctrl+j,shift+enter,alt+enter", "newline", "New line", id="prompt.newline"),
        Binding("up", "earlier", "Earlier questions, if empty", id="prompt.earlier"),
        Binding("down", "later", "Later questions", id="prompt.later"),
        Binding(
            "pageup", "screen.page_transcript(-1)", "Scroll the transcript up", id="prompt.page_up"
        ),
        Binding(
            "pagedown",
            "screen.page_transcript(1)",
            "Scroll the transcript down",
            id="prompt.page_down",
        ),
    ]

    class Submitted(Message):
        """The user sends `text`; the prompt keeps it until it is cleared."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, *, placeholder: str = "Ask something", id: str | None = None) -> None:
        super().__init__(
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder=placeholder,
        )
        self.earlier: Sequence[str] = ()
        """Earlier questions, newest first."""
        self._recalled = -1
        self._draft = ""

    def clear_text(self) -> None:
        """Empty the prompt after its text was taken."""
        self._recalled = -1
        self.text = ""

    def put(self, text: str) -> None:
        """Replace the text; the cursor goes to its end."""
        self.text = sanitize(text)
        self.move_cursor(self.document.end)

    def start_edit(self, text: str, title: str) -> None:
        """Let the user change a text; what was typed comes back with `end_edit`."""
        if not self.has_class("-editing"):
            self._draft = self.text
        self.add_class("-editing")
        self.border_title = title
        self.put(text)
        self.focus()

    def end_edit(self) -> None:
        """Back to what was typed before."""
        self.remove_class("-editing")
        self.border_title = None
        self.put(self._draft)
        self._draft = ""

    def action_submit(self) -> None:
        """Send, if there is something to send."""
        if self.text.strip():
            self.post_message(self.Submitted(self.text))

    def action_newline(self) -> None:
        """Go on in a new line."""
        self.insert("\n")

    def action_earlier(self) -> None:
        """Recall an earlier question, where the prompt is empty or shows one; else move up."""
        if self._at_recalled() and self._recalled + 1 < len(self.earlier):
            self._recalled += 1
            self.put(self.earlier[self._recalled])
        else:
            self.action_cursor_up()

    def action_later(self) -> None:
        """The way back from `action_earlier`; else move down."""
        if self._recalled >= 0 and self._at_recalled():
            self._recalled -= 1
            self.put(self.earlier[self._recalled] if self._recalled >= 0 else "")
        else:
            self.action_cursor_down()

    def _at_recalled(self) -> bool:
        if self._recalled < 0 or self._recalled >= len(self.earlier):
            self._recalled = -1
            return not self.text
        if self.text == sanitize(self.earlier[self._recalled]):
            return True
        self._recalled = -1
        return not self.text

    async def _on_key(self, event: events.Key) -> None:
        """Enter is not for new lines here; the cursor keys move where no other use is left.

        Not done with priority bindings: those overtake characters that were typed before.
        """
        if event.key in keys_of(self, "prompt.submit"):
            self.action_submit()
        elif event.key in keys_of(self, "prompt.newline"):
            self.action_newline()
        elif event.key == "up" and event.key not in keys_of(self, "prompt.earlier"):
            self.action_cursor_up()
        elif event.key == "down" and event.key not in keys_of(self, "prompt.later"):
            self.action_cursor_down()
        elif event.key.startswith(("alt+", "ctrl+")):
            # A terminal sends Alt+Y as ESC and "y", which the text area would take for text.
            event.prevent_default()
            return
        else:
            return
        event.stop()
        event.prevent_default()

    async def _on_paste(self, event: events.Paste) -> None:
        """Control characters in what is pasted become visible before they are drawn."""
        event.prevent_default()
        event.stop()
        text = event.text.replace("\r\n", "\n").replace("\r", "\n")
        if result := self._replace_via_keyboard(sanitize(text), *self.selection):
            self.move_cursor(result.end_location)

    def on_text_area_changed(self) -> None:
        """Grow and shrink with the text."""
        self._fit()

    def on_resize(self) -> None:
        """Another width wraps the text in other places."""
        self._fit()

    def _fit(self) -> None:
        lines = min(MAX_LINES, max(1, self.wrapped_document.height))
        self.styles.height = lines + self.gutter.height
