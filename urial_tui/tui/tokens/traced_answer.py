"""An answer's tokens as the token screen shows them, growing while they are read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from urial_tui.chat.answer_trace import AnswerTrace
from urial_tui.engine.wire.values import Alternative, Piece, TracedToken
from urial_tui.tui.drawing.token_text import quoted

LISTED = 10
"""Alternatives of a token; as many as there are digits."""


class TracedAnswer:
    """The tokens read so far; ids, texts and what else could have been written.

    Args:
        trace: What is read.
        n_vocab: How many tokens the model has.
    """

    def __init__(self, trace: AnswerTrace, n_vocab: int) -> None:
        self.trace = trace
        self.n_vocab = n_vocab
        self.total = 0
        """How many tokens there will be; 0 while that is not known."""
        self.tokens: list[TracedToken] = []
        self._pieces: dict[int, Piece] = {}

    def add(self, tokens: Sequence[TracedToken], pieces: Mapping[int, Piece], total: int) -> None:
        """Append tokens that were read, with the pieces of ids that are new."""
        self._pieces.update(pieces)
        self.tokens += tokens
        self.total = total

    @property
    def perplexity(self) -> float | None:
        """Of the tokens read so far; None for none, infinite where one was impossible."""
        if not self.tokens:
            return None
        surprise = -sum(token.logp for token in self.tokens) / len(self.tokens)
        return math.exp(surprise) if surprise < 700 else math.inf

    def text(self, token: int) -> str:
        """A token's text; bytes that are no UTF-8 as \\xNN, a control token by its name."""
        return self._pieces[token].data.decode("utf-8", "backslashreplace")

    def quoted(self, token: int) -> str:
        """A token alone, safe to show."""
        return quoted(self.text(token), token)

    def ends(self, token: int) -> bool:
        """Whether a token ends an answer."""
        return self._pieces[token].ends

    def alternatives(self, at: int) -> list[Alternative]:
        """The most probable tokens of a place, at most `LISTED`; the written one is among them."""
        token = self.tokens[at]
        top = list(token.top[:LISTED])
        if all(other.id != token.id for other in top):
            chance = token.stages[-1].p
            own = Alternative(
                id=token.id, p=math.exp(token.logp), passed=token.passed, chance=chance
            )
            top = [*top[: LISTED - 1], own]
        return top

    def prefix(self, at: int, token: int) -> tuple[int, ...]:
        """The answer up to a place, and this token there."""
        return (*(before.id for before in self.tokens[:at]), token)
