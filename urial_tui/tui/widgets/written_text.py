"""A text area for any input: long pastes are folded, what can't be drawn has placeholders.

A long text stands in it as one label, a character that can't be drawn as a picture, and both are
what they were in the end: `text` is what is shown, `full_text` what is meant.
"""

from __future__ import annotations

import unicodedata

from rich.text import Text
from textual import events
from textual.app import SuspendNotSupported
from textual.geometry import Offset
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult, Location, Selection

from urial_tui.errors import UrialError
from urial_tui.tui.drawing.folds import Folds
from urial_tui.tui.drawing.stand_ins import StandIns, places
from urial_tui.tui.frame.private_names import delete_text, replace_text
from urial_tui.tui.widgets.editor import edit_text, editor_command

FOLDED_PASTE = 2_000
"""Characters from which on a pasted text is folded: more than a few lines can show."""
FOLDED_TEXT = 20_000
"""Characters from which on any text is folded: with more, each key takes noticeably long."""


class WrittenText(TextArea):
    """A text area whose text is folded and drawn with pictures where that has to be.

    Args:
        placeholder: What stands there while it is empty.
        id: Textual's name.
    """

    def __init__(self, *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder=placeholder,
        )
        self._folds = Folds()
        self._stand_ins = StandIns()

    @property
    def full_text(self) -> str:
        """What was typed and pasted, folded or not."""
        return self._meant(self.text)

    @property
    def _folded_text(self) -> str:
        """What was typed and pasted, with its labels."""
        return self._stand_ins.take_out(self.text)

    def forget(self) -> None:
        """Clear it, and what labels and pictures stood for."""
        self._folds = Folds()
        self._stand_ins = StandIns()
        self.text = ""

    def put(self, text: str) -> None:
        """Replace the text; the cursor goes to its end."""
        text = _with_newlines(text)
        folded = len(text) > FOLDED_TEXT
        whole = self._folds.unfold(text)
        self.text = self._stand_ins.put_in(self._folds.fold(whole, "long") if folded else text)
        self.move_cursor(self.document.end)

    def action_editor(self) -> None:
        """Open the text in the user's own editor; the application waits meanwhile."""
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
            delete_text(self, *self.selection)
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
        """Take what has no key of its own here for what it is."""
        if event.character is not None and unicodedata.category(event.character) == "Cf":
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
        if result := replace_text(self, shown, *self.selection):
            self.move_cursor(result.end_location)


def _with_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
