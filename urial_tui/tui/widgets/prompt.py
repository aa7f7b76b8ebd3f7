"""Where the user types.

Which of the Enters sends is a matter of keys. A long text that is pasted stands in the prompt
as one label, a character that can't be drawn as a picture, and both are sent as they were:
`text` is what is shown, `full_text` what is meant.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.geometry import Offset
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult, Location, Selection

from urial_tui.chat.turns import Role
from urial_tui.errors import UrialError
from urial_tui.tui.editor import edit_text, editor_command
from urial_tui.tui.folds import Folds
from urial_tui.tui.keys import key_name, keys_of
from urial_tui.tui.recall import Recall
from urial_tui.tui.stand_ins import StandIns, places

MAX_LINES = 6

FOLDED_PASTE = 2_000
"""Characters from which on a pasted text is folded: more than the prompt can show."""
FOLDED_TEXT = 20_000
"""Characters from which on any text is folded: with more, each key takes noticeably long."""


class Prompt(TextArea):
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
        super().__init__(
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder=placeholder,
        )
        self._recall = Recall()
        self._folds = Folds()
        self._stand_ins = StandIns()
        self._draft = ""

    @property
    def earlier(self) -> Sequence[str]:
        """Earlier questions, newest first."""
        return self._recall.earlier

    @earlier.setter
    def earlier(self, questions: Sequence[str]) -> None:
        self._recall.earlier = questions

    @property
    def full_text(self) -> str:
        """What was typed and pasted, folded or not."""
        return self._meant(self.text)

    @property
    def _folded_text(self) -> str:
        """What was typed and pasted, with its labels."""
        return self._stand_ins.take_out(self.text)

    def clear_text(self) -> None:
        """Empty the prompt after its text was taken."""
        self._recall.forget()
        self._folds = Folds()
        self._stand_ins = StandIns()
        self.text = ""

    def take(self, text: str) -> None:
        """Take away what was sent; what was typed behind it, or instead of it, stays."""
        typed = self.full_text
        if typed.startswith(text):
            self.clear_text()
            self.put(typed[len(text) :])

    def put(self, text: str) -> None:
        """Replace the text; the cursor goes to its end."""
        text = _with_newlines(text)
        folded = len(text) > FOLDED_TEXT
        whole = self._folds.unfold(text)
        self.text = self._stand_ins.put_in(self._folds.fold(whole, "long") if folded else text)
        self.move_cursor(self.document.end)

    def start_edit(self, text: str, title: str) -> None:
        """Let the user change a text; what was typed comes back with `end_edit`."""
        if not self.has_class("-editing"):
            self._draft = self._folded_text
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

    def action_editor(self) -> None:
        """Go on in the user's own editor; the application waits meanwhile."""
        before = self.full_text
        after: str | UrialError
        try:
            command = editor_command()
            with self.app.suspend():
                # Textual takes the terminal back only after a block that ends well.
                try:
                    after = edit_text(before, command)
                except UrialError as error:
                    after = error
        except UrialError as error:
            after = error
        except SuspendNotSupported:
            after = UrialError("An editor can't be opened in this terminal.")
        if isinstance(after, UrialError):
            self.notify(str(after), severity="error", markup=False)
        elif after != before:
            self.put(after)

    def edit(self, edit: Edit) -> EditResult:
        """Change the text, but no label in part."""
        # What deletes a line goes to the start of the next one, which need not be there.
        top, bottom = min(edit.top, self.document.end), min(edit.bottom, self.document.end)
        top, bottom = self._folds.around(
            top, self.document[top[0]], bottom, self.document[bottom[0]]
        )
        edit.from_location, edit.to_location = top, bottom
        return super().edit(edit)

    def scroll_cursor_visible(self, center: bool = False, animate: bool = False) -> Offset:
        """Scroll to the cursor; in the middle of an undo it may be behind the end of the text."""
        if self.cursor_location > self.document.end:
            return Offset()
        return super().scroll_cursor_visible(center, animate)

    def get_text_range(self, start: Location, end: Location) -> str:
        """What was typed and pasted in a part of the text; of labels, what they stand for."""
        return self._meant(super().get_text_range(start, end))

    def action_cut(self) -> None:
        """Take away what is selected, or else the line, and copy it."""
        before = self.selection
        if before.is_empty:
            row = before.end[0]
            self.selection = Selection((row, 0), min((row + 1, 0), self.document.end))
        if self.selected_text:
            self.app.copy_to_clipboard(self.selected_text)
            self._delete_via_keyboard(*self.selection)
        else:
            self.selection = before

    def action_paste(self) -> None:
        """Put in what was copied last."""
        self._put_in(self.app.clipboard)

    def _meant(self, text: str) -> str:
        return self._folds.unfold(self._stand_ins.take_out(text))

    def get_line(self, line_index: int) -> Text:
        """A line with its labels and its pictures set off."""
        line = super().get_line(line_index)
        for start, end in self._folds.spans(line.plain):
            line.stylize("italic underline", start, end)
        for place in places(line.plain):
            line.stylize("reverse", place, place + 1)
        line.plain = self._stand_ins.drawn(line.plain)
        return line

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
        elif event.character is not None and unicodedata.category(event.character) == "Cf":
            # Joiners and direction marks have keys of their own on some keyboards.
            self._put_in(event.character)
        elif event.key.startswith(("alt+", "ctrl+")):
            # A terminal sends Alt+Y as ESC and "y", which the text area would take for text.
            event.prevent_default()
            return
        else:
            return
        event.stop()
        event.prevent_default()

    async def _on_paste(self, event: events.Paste) -> None:
        """Put in what the terminal pasted."""
        event.prevent_default()
        event.stop()
        self._put_in(event.text)

    def _put_in(self, text: str) -> None:
        """Put a text in place of what is selected; one that is long is folded."""
        text = _with_newlines(text)
        folded = len(text) > FOLDED_PASTE
        shown = self._stand_ins.put_in(self._folds.fold(text, "pasted") if folded else text)
        if result := self._replace_via_keyboard(shown, *self.selection):
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


def _with_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def edit_title(screen: DOMNode, role: Role) -> str:
    """What stands over a question or an answer that is edited: the keys that end that."""
    send, leave = key_name(screen, "prompt.submit"), key_name(screen, "chat.stop")
    if role == "user":
        return f"Editing the question: {send} asks it, {leave} leaves it"
    on = key_name(screen, "chat.go_on")
    return f"Editing the answer: {send} keeps it, {on} goes on from it, {leave} leaves it"
