"""The log-probabilities of a text that a model reads in the place of an answer.

The text stands behind all that the model is shown of a question, and is read by the scoring command
that reads an answer again: what stands in front of it is taken from the cache, and one text is read
after another, for a pool of several sequences gives logits of the last token of each alone. Only
the text itself counts, in bits and in bytes: the way that a context has to end an answer is no part
of it, so that contexts that end answers in different ways can be compared.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.commands import Trace
from urial_tui.engine.wire.events import Traced, TracedTokens
from urial_tui.engine.wire.shift_class import shift_class
from urial_tui.engine.wire.values import Piece, Segment, TokenSegment, TracedToken
from urial_tui.errors import EngineError
from urial_tui.prompting.conversation import Shown

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""What is counted, as a file may have it."""
Bits = Annotated[float, msgspec.Meta(ge=-1e9, le=1e15)]
"""Bits of a text, as a file may have them: rounding may take a certain text below 0."""


class TextReading(msgspec.Struct, frozen=True, kw_only=True):
    """What a model says of a text, all in all.

    key                   what this depends on, as a hash
    by                    who read it, as people call it
    tokens                of the text, as it was read
    bytes                 of the text, as UTF-8
    bits                  -log2 of its probability; None where the model gives it none
    unshifted, marginal, shifted
                          how many of the tokens are the model's first choice, its second or third,
                          and none of these (Lin et al., ICLR 2024, section 2.2)
    """

    key: str
    by: str
    tokens: Count
    bytes: Count
    bits: Bits | None
    unshifted: Count
    marginal: Count
    shifted: Count

    @property
    def bits_per_byte(self) -> float | None:
        """None of an empty text, and of one that the model gives no probability."""
        return self.bits / self.bytes if self.bits is not None and self.bytes else None

    def share(self, kind: Literal["unshifted", "marginal", "shifted"]) -> float | None:
        """The share of the tokens that are of a class; None of no tokens."""
        count: int = getattr(self, kind)
        return count / self.tokens if self.tokens else None


def read_answer(
    model: Model, shown: Shown, answer: Segment, text: str, *, key: str, by: str
) -> EventSteps[TextReading]:
    """Have a model read a text as the answer to a question: the engine's events.

    Args:
        model: Reads it.
        shown: What stands in front of it.
        answer: The text, or the tokens that wrote it. What of these is behind the text (a closing
            that was written and cut off again) and what is no text at all does not count.
        text: The text that is meant.
        key: What the reading depends on.
        by: Who reads it.

    Raises:
        EngineError: It does not fit into the context, is empty, or the worker was told to end.
        EngineDied: The worker ended.
    """
    # One of the likeliest tokens is the fewest that can be asked for.
    request = Trace(
        id=0, model=0, preamble=shown.preamble, turns=shown.behind, answer=(answer,), top_k=1
    )
    call = model.trace(request)
    tokens: list[TracedToken] = []
    pieces: dict[int, Piece] = {}
    with contextlib.closing(call):
        for event in call:
            match event:
                case TracedTokens():
                    tokens += event.tokens
                    pieces |= event.pieces
                case Traced(left_out=left_out) if left_out:
                    raise EngineError(
                        "The text does not fit into the context with all that stands before it.",
                        "Raise the setting engine.context.",
                    )
                case Traced():
                    pass
                case _:
                    yield event
    size = len(text.encode("utf-8", "replace"))
    if isinstance(answer, TokenSegment):
        tokens = _within(tokens, pieces, size)
    return _summed(tokens, size, key=key, by=by)


def _within(
    tokens: Sequence[TracedToken], pieces: dict[int, Piece], size: int
) -> list[TracedToken]:
    """The tokens of a text's first `size` bytes; control tokens are no text."""
    found: list[TracedToken] = []
    end = 0
    for token in tokens:
        piece = pieces[token.id]
        if piece.control:
            continue
        end += len(piece.data)
        if end > size:
            break
        found.append(token)
    return found


def _summed(tokens: Sequence[TracedToken], size: int, *, key: str, by: str) -> TextReading:
    classes = Counter(shift_class(token.rank) for token in tokens)
    bits = -math.fsum(token.logp for token in tokens) / math.log(2.0)
    return TextReading(
        key=key,
        by=by,
        tokens=len(tokens),
        bytes=size,
        bits=max(0.0, bits) if math.isfinite(bits) else None,
        unshifted=classes["unshifted"],
        marginal=classes["marginal"],
        shifted=classes["shifted"],
    )
