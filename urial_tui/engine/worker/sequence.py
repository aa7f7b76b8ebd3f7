"""One answer of a pool: it reads what stands in front of it, is written, and is done.

Between two evaluations it says what it wants evaluated next (`part`) and is told what came of it.
"""

from __future__ import annotations

from urial_tui.engine.native.batch import BatchPart
from urial_tui.engine.wire.scores import Floats
from urial_tui.engine.worker.prefixes import Prefix
from urial_tui.engine.worker.writing import Writing


class Sequence:
    """An answer in progress.

    Args:
        number: Its sequence in the memory, forked from the prefix.
        prefix: What it stands behind.
        tokens: What it has to read: the prefix, and at least one token.
        writing: The answer.
        cells: What was reserved for what it reads and writes.
        limit: Most tokens that it may hold.
    """

    def __init__(
        self,
        number: int,
        prefix: Prefix,
        tokens: list[int],
        writing: Writing,
        *,
        cells: int,
        limit: int,
    ) -> None:
        self.number = number
        self.prefix = prefix
        self.writing = writing
        self.cells = cells
        self.held = len(prefix.tokens)
        """How many of the tokens are evaluated."""
        self.length = len(tokens)
        """Of what it reads."""
        self._tokens = tokens
        self._limit = limit

    @property
    def unread(self) -> int:
        """Tokens that stand in front of what it writes and are not evaluated; then it writes."""
        return max(0, self.length - self.held)

    @property
    def done(self) -> bool:
        """Whether nothing follows."""
        return self.writing.reason is not None

    def part(self, most: int) -> BatchPart:
        """What is to be evaluated next, at most so many tokens; its last part gives a row."""
        tokens = self._tokens[self.held : self.held + most]
        rows = 1 if self.held + len(tokens) == len(self._tokens) else 0
        return BatchPart(tokens, self.held, self.number, rows)

    def evaluated(self, part: BatchPart) -> None:
        """Its part is in the memory."""
        self.held += len(part.tokens)
        if self.held == self.length:
            own = self.length - len(self.prefix.tokens)
            self.writing.prompt_read(evaluated=own, used=self.held)
        elif self.held > self.length:
            self.writing.used = self.held

    def take(self, logits: Floats) -> None:
        """Choose the next token from its row: float32 (n_vocab).

        Raises:
            NotFinite: The row holds NaN or infinities.
        """
        token = self.writing.take(logits)
        if self.done:
            return
        assert token is not None
        if self.held == self._limit:
            self.writing.reason = "length"
            return
        self._tokens.append(token)
