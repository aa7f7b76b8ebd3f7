"""A widget for a column of answers: a title, and below it answers and words on them, to scroll."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from urial_tui.sanitize import sanitize
from urial_tui.tui.drawing.answer_text import AnswerText
from urial_tui.wording import amount

LONGEST = 40_000
"""Characters of an answer that are drawn: a model that does not stop writes any number."""

ColumnPart = str | Content
"""An answer, as it is in its file; or words about one."""


class AnswerColumn(Vertical):
    """Shows parts below each other; keys are those of the screen."""

    def compose(self) -> ComposeResult:
        """From the top."""
        yield Static(classes="column-title", markup=False)
        yield VerticalScroll(classes="column-body", can_focus=False)

    @property
    def texts(self) -> list[str]:
        """The answers that are shown."""
        return [text.source for text in self.query(AnswerText)]

    async def show(self, title: Content, parts: Sequence[ColumnPart]) -> None:
        """Show other parts, from their start."""
        self.query_one(".column-title", Static).update(title)
        body = self._body
        with self.app.batch_update():
            await body.remove_children()
            await body.mount_all([widget for part in parts for widget in _widgets(part)])
            body.scroll_home(animate=False)

    def scroll_lines(self, lines: int) -> None:
        """Scroll the answers."""
        self._body.scroll_relative(y=lines, animate=False)

    def scroll_pages(self, pages: int) -> None:
        """Move by what is in view."""
        self.scroll_lines(pages * max(1, self._body.scrollable_content_region.height - 1))

    @property
    def _body(self) -> VerticalScroll:
        return self.query_one(".column-body", VerticalScroll)


def _widgets(part: ColumnPart) -> list[Widget]:
    if isinstance(part, Content):
        return [Static(part, markup=False)]
    if not part.strip():
        return [Static(Content.styled("(an empty answer)", "$quiet"), markup=False)]
    drawn: list[Widget] = [AnswerText(sanitize(part[:LONGEST]))]
    if len(part) > LONGEST:
        more = f"… and {amount(len(part) - LONGEST, 'character')} more, which are not drawn"
        drawn.append(Static(Content.styled(more, "$warning"), markup=False))
    return drawn
