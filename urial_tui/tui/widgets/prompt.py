"""The prompt: a text area that sends what is typed, with a history of earlier questions.

Which of the Enters sends is a matter of keys. What is sent is `full_text`: as it was typed and
pasted (`written_text`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.message import Message

from urial_tui.chat.turns import Role
from urial_tui.tui.frame.keys import key_name, keys_of
from urial_tui.tui.widgets.recall import Recall
from urial_tui.tui.widgets.written_text import WrittenText

MAX_LINES = 6


class Prompt(WrittenText):
    """A few lines of plain text that grow with what is typed."""

    BINDING_GROUP_TITLE = "Prompt"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Send", id="prompt.submit"),
        Binding("ctrl+j,shift+enter,alt+enter", "newline", "New line", id="prompt.newline"),
        Binding("up", "earlier", "Up, then earlier questions", id="prompt.earlier"),
        Binding("down", "later", "Down, then later questions", id="prompt.later"),
        Binding("ctrl+g", "editor", "Write in your editor", id="prompt.editor"),
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
        super().__init__(placeholder=placeholder, id=id)
        self._recall = Recall()
        self._draft = ""

    @property
    def earlier(self) -> Sequence[str]:
        """The history: earlier questions, newest first."""
        return self._recall.earlier

    @earlier.setter
    def earlier(self, questions: Sequence[str]) -> None:
        self._recall.earlier = questions

    def clear_text(self) -> None:
        """Empty the prompt after its text was taken."""
        self._recall.forget()
        self.forget()

    def take(self, text: str) -> None:
        """Remove what was sent; what was typed behind it, or instead of it, stays."""
        typed = self.full_text
        if typed.startswith(text):
            self.clear_text()
            self.put(typed[len(text) :])

    def start_edit(self, text: str, title: str) -> None:
        """Let the user change a text; what was typed comes back with `end_edit`."""
        if not self.has_class("-editing"):
            self._draft = self._folded_text
        self.add_class("-editing")
        self.border_title = title
        self.put(text)
        self.focus()

    def end_edit(self) -> None:
        """Restore what was typed before."""
        self.remove_class("-editing")
        self.border_title = None
        self.put(self._draft)
        self._draft = ""
        self._recall.forget()

    def action_submit(self) -> None:
        """Send, if there is something to send."""
        if self.text.strip():
            self.post_message(self.Submitted(self.full_text))

    def action_newline(self) -> None:
        """Go on in a new line."""
        self.insert("\n")

    def action_earlier(self) -> None:
        """Move up; from the first line, to an earlier question."""
        if self._row > 0 or not self._show_step(1):
            self.action_cursor_up()

    def action_later(self) -> None:
        """Move down; from the last line, to the question after, and to what was typed last."""
        if self._row < self.wrapped_document.height - 1 or not self._show_step(-1):
            self.action_cursor_down()

    @property
    def _row(self) -> int:
        """The line on the screen in which the cursor is, from 0."""
        return self.wrapped_document.location_to_offset(self.cursor_location).y

    def _show_step(self, distance: int) -> bool:
        text = self._recall.step(distance, self._folded_text)
        if text is not None:
            self.put(text)
        return text is not None

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
        else:
            return
        event.stop()
        event.prevent_default()

    def on_text_area_changed(self) -> None:
        """Grow and shrink with the text."""
        self._fit()

    def on_resize(self) -> None:
        """Another width wraps the text in other places."""
        self._fit()

    def _fit(self) -> None:
        lines = min(MAX_LINES, max(1, self.wrapped_document.height))
        self.styles.height = lines + self.gutter.height


def edit_title(screen: DOMNode, role: Role) -> str:
    """What stands over a question or an answer that is edited: the keys that end that."""
    send, leave = key_name(screen, "prompt.submit"), key_name(screen, "chat.stop")
    if role == "user":
        return f"Editing the question: {send} asks it, {leave} leaves it"
    on = key_name(screen, "chat.go_on")
    return f"Editing the answer: {send} keeps it, {on} goes on from it, {leave} leaves it"
