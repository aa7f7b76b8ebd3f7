"""The conversation so far; it follows what is written only while its end is in view."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from urial_tui.chat.session import Exchange
from urial_tui.tui.widgets.turn import AnswerView, QuestionView


class Transcript(VerticalScroll):
    """Questions and answers, oldest first.

    They stand in a container that is never lower than the view: an anchored scroll view
    would otherwise push what is shorter than itself to its lower edge.
    """

    BINDING_GROUP_TITLE = "Transcript"

    def compose(self) -> ComposeResult:
        """The container of the turns."""
        yield Vertical(id="turns")

    @property
    def turns(self) -> Vertical:
        """What holds the questions and answers."""
        return self.query_one("#turns", Vertical)

    async def show(self, exchanges: Iterable[Exchange]) -> None:
        """Replace what is shown."""
        views: list[Widget] = []
        left = False
        for exchange in exchanges:
            if left and exchange.in_context:
                views.append(context_mark())
            left = not exchange.in_context
            views.append(QuestionView(exchange.question.text))
            if exchange.answer is not None:
                views.append(AnswerView(exchange.answer.model, exchange.answer))
            else:
                views.append(AnswerView(exchange.question.model))
        await self.turns.remove_children()
        if views:
            await self.turns.mount_all(views)
        for view, exchange in zip(self.query(AnswerView), exchanges, strict=False):
            if exchange.answer is None:
                await view.finish(None)
        self.anchor()

    async def ask(self, question: str, author: str) -> AnswerView:
        """Add a question and the place for its answer, and go there."""
        answer = AnswerView(author)
        await self.turns.mount_all([QuestionView(question), answer])
        self.anchor()
        return answer

    async def mark_left(self, turns: int) -> None:
        """Mark the place up to which the oldest turns are no longer shown to the model."""
        await self.query(".left-context").remove()
        questions = list(self.query(QuestionView))
        if 0 < turns < len(questions):
            await self.turns.mount(context_mark(), before=questions[turns])


def context_mark() -> Static:
    """The line under the turns that left the context."""
    text = "▲ no longer in the model's context"
    return Static(Content.styled(text, "$warning"), classes="left-context", markup=False)
