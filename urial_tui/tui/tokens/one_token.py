"""The base class of widgets on one token of a traced answer."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from urial_tui.engine.wire.values import TracedToken
from urial_tui.tui.tokens.traced_answer import TracedAnswer


class OneToken(Widget):
    """Tells something about the token at `index`; nothing where that is not read yet."""

    index: reactive[int] = reactive(-1)

    def __init__(self, answer: TracedAnswer, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.answer = answer

    def render(self) -> Content:
        """What is told about the token."""
        tokens = self.answer.tokens
        return self.tell(tokens[self.index]) if 0 <= self.index < len(tokens) else Content("")

    def tell(self, token: TracedToken) -> Content:
        """What to show of a token that is read."""
        raise NotImplementedError
