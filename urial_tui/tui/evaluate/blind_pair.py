"""The view of a pair that is judged blind: a question with two answers, or a page of words."""

from __future__ import annotations

from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from urial_tui.evaluate.blind_pairs import ShownPair
from urial_tui.tui.evaluate.answer_column import AnswerColumn
from urial_tui.tui.evaluate.blind_words import answers, asked

_VIEWS = ("", "-stacked", "-only-left", "-only-right")


class BlindPairView:
    """The middle of the screen; CSS classes of the screen say which part of it is in view.

    Args:
        screen: Has these classes.
    """

    def __init__(self, screen: Screen[None]) -> None:
        self._screen = screen
        self._asked = Static(markup=False)
        self._told = Static(markup=False)
        self.columns = (
            AnswerColumn(id="blind-left"),
            AnswerColumn(id="blind-right", classes="-beside"),
        )
        """Left and right."""
        self._question = VerticalScroll(self._asked, id="blind-question", can_focus=False)
        self._page = VerticalScroll(self._told, id="blind-page", can_focus=False)
        self.widgets = (
            self._question,
            Container(*self.columns, id="blind-answers"),
            self._page,
        )
        """From the top."""

    async def show(self, pair: ShownPair) -> None:
        """Show a pair, from its start."""
        self._asked.update(asked(pair.left))
        self._question.scroll_home(animate=False)
        for column, letter, output in zip(self.columns, "AB", (pair.left, pair.right), strict=True):
            await column.show(Content.styled(letter, "bold $primary"), answers(output))
        self._screen.add_class("-pair")

    def show_page(self, told: Content) -> None:
        """Show words in place of a pair."""
        self._told.update(told)
        self._page.scroll_home(animate=False)
        self._screen.remove_class("-pair")

    def turn(self) -> None:
        """Lay the answers out in another way."""
        narrow = self._screen.has_class("-narrow")
        views = tuple(view for view in _VIEWS if view != "-stacked") if narrow else _VIEWS
        shown = (at for at, view in enumerate(views) if view and self._screen.has_class(view))
        view = views[(next(shown, 0) + 1) % len(views)]
        self._screen.remove_class(*_VIEWS[1:])
        if view:
            self._screen.add_class(view)

    def scroll_lines(self, lines: int) -> None:
        """Move through both answers, or the page."""
        if self._screen.has_class("-pair"):
            for column in self.columns:
                column.scroll_lines(lines)
        else:
            self._page.scroll_relative(y=lines, animate=False)

    def scroll_pages(self, pages: int) -> None:
        """Move through both answers, or the page, by what is in view."""
        if self._screen.has_class("-pair"):
            for column in self.columns:
                column.scroll_pages(pages)
        else:
            lines = pages * max(1, self._page.scrollable_content_region.height - 1)
            self._page.scroll_relative(y=lines, animate=False)

    def scroll_question(self, lines: int) -> None:
        """Move through the question."""
        self._question.scroll_relative(y=lines, animate=False)
