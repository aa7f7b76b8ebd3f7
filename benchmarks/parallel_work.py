"""What the contenders of `benchmarks.parallel` are given, and what their answers add up to."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from benchmarks.contenders import Measured

STEP = 256
"""The library rounds a context up to a multiple of this."""

_ROOM = 32
"""Tokens of a context beyond what is needed."""


class Prompt(msgspec.Struct, frozen=True):
    """A question in the preamble's format, up to where its answer starts; the most tokens of that.

    `ids`: the text's tokens.
    """

    text: str
    ids: tuple[int, ...]
    limit: int

    @property
    def cells(self) -> int:
        """Tokens of the context that it takes behind the preamble."""
        return len(self.ids) + self.limit


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """The same for all. `warm_up`: a question that is asked before the clock starts.

    `opening`: what each question's text starts with. `stops`: texts that end a server's answer.
    `rest`: seconds between the two.
    """

    model: str
    threads: int
    preamble: str
    preamble_ids: tuple[int, ...]
    prompts: tuple[Prompt, ...]
    warm_up: Prompt
    opening: str = ""
    stops: tuple[str, ...] = ()
    rest: float = 0.0

    @property
    def n_ctx(self) -> int:
        """Tokens of a context that any one answer fits into."""
        return rounded(len(self.preamble_ids) + self._longest + _ROOM)

    def pool(self, sequences: int) -> int:
        """Tokens of a context that so many answers fit into, behind one preamble for all."""
        return rounded(len(self.preamble_ids) + sequences * self._longest + _ROOM)

    @property
    def _longest(self) -> int:
        return max(prompt.cells for prompt in (*self.prompts, self.warm_up))

    @property
    def tokens(self) -> int:
        """The most tokens of all answers."""
        return sum(prompt.limit for prompt in self.prompts)


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """An answer.

    `tokens`: how many were written, without one that ends a text. `first_token`: seconds from
    sending the question to its first token's arrival. `read`: tokens in front of the answer that
    were evaluated for it.
    """

    tokens: int
    first_token: float
    read: int


def rounded(tokens: int) -> int:
    """At least so many tokens, as the library has them."""
    return -(-tokens // STEP) * STEP


def measured(answers: Sequence[Written], seconds: float) -> Measured:
    """What a contender's answers come to; `seconds` for all of them, questions included."""
    tokens = sum(answer.tokens for answer in answers)
    return Measured(
        figures={
            "tokens_per_s": tokens / seconds,
            "items_per_s": len(answers) / seconds,
            "first_token": statistics.median(answer.first_token for answer in answers),
            "tokens": tokens,
            "read": sum(answer.read for answer in answers),
        },
        generated={"tokens_per_s": tokens},
    )
