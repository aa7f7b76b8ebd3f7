"""A form for one part of a preamble: one text field, or two."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Static

from urial_tui.prompting.part_texts import PartTexts
from urial_tui.tui.prompts.text_field import TextField

Texts = tuple[str, str]


class PartFields(Container):
    """Two texts under their titles; the second one is there only where a part has one."""

    def __init__(self, id: str | None = None) -> None:  # Textual's name
        super().__init__(id=id)
        self.part: int | None = None
        """The number of the part that is in them."""
        self._first = TextField(placeholder="What the model is told first", id="edit-first")
        self._second = TextField(placeholder="A good answer to it", id="edit-second")
        self._titles = tuple(Static(classes="edit-title", markup=False) for _ in range(2))
        self._seen = ("", "")
        """What was put there, or typed last."""

    def compose(self) -> ComposeResult:
        """A title above each text."""
        for title, field in zip(self._titles, (self._first, self._second), strict=True):
            yield title
            yield field

    def show(self, part: int, texts: PartTexts) -> None:
        """Show the texts of a part, unless one is writing in them."""
        for title, text in zip(self._titles, (texts.first_title, texts.second_title), strict=True):
            title.update(text)
        self._second.display = self._titles[1].display = bool(texts.second_title)
        if self.part != part:
            self.part = part
            self._first.show(texts.first)
            self._second.show(texts.second)
            self._seen = self._texts

    def typed(self) -> Texts | None:
        """What stands there, if that was typed since this was asked for last."""
        texts = self._texts
        # Textual tells of what is put into the fields, too, and perhaps late.
        if texts == self._seen or self.part is None:
            return None
        self._seen = texts
        return texts

    def enter(self) -> None:
        """Go into the first text."""
        self._first.focus()

    @property
    def _texts(self) -> Texts:
        return self._first.full_text, self._second.full_text
