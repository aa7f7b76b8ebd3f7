"""An answer to be looked at token by token: what the engine is asked for it.

It is read again behind what it was written behind, with its own tokens and under its own
sampling, as far as these are known; where something stands in for them, that is said.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from urial_tui.chat.session import Conversation
from urial_tui.chat.shown import ids_key, in_format
from urial_tui.chat.tree import Exchange
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.wire.commands import Trace
from urial_tui.engine.wire.values import Sampling, Segment, TextSegment, TokenSegment, Turn
from urial_tui.prompting.conversation import render_in_format
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.render import close_text
from urial_tui.prompting.rules import ruled
from urial_tui.runtime.writer import Writer


class AnswerTrace(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer was written behind, its tokens and how they were chosen.

    `own_tokens`: they are the written ones; else its text is tokenised. `own_sampling`: it is
    the stored one; else that of the present settings. `lead`: the retrieved examples in front of
    the turns. `own_examples`: they stood there when it was written; else they were retrieved since.
    """

    answer: TurnRecord
    preamble: Turn
    turns: tuple[Turn, ...]
    lead: Turn
    tokens: Turn
    sampling: Sampling
    own_tokens: bool
    own_sampling: bool
    own_examples: bool = True

    @property
    def gone_on(self) -> bool:
        """Whether its first tokens stood there before the last ones were written.

        They may have been chosen in another way. A stop string takes tokens away again, so that
        an answer may look written at once that went on for no more than these.
        """
        return self.own_tokens and len(self.answer.ids or ()) > self.answer.generated > 0

    @property
    def request(self) -> Trace:
        """The engine's command; its id and its model are set where it is sent."""
        return Trace(
            id=0,
            model=0,
            preamble=self.preamble,
            lead=self.lead,
            turns=self.turns,
            answer=self.tokens,
            sampling=self.sampling,
        )


def trace_of(
    conversation: Conversation,
    answer: TurnRecord,
    writer: Writer,
    present: Sampling,
    retrieved: Sequence[Example] | None = None,
) -> AnswerTrace:
    """How to look at an answer of a conversation, with what answers now.

    Turns that had left the context when the answer ended stay out, though its first tokens
    may have been written while they were still there.

    Args:
        conversation: The one that it is in.
        answer: Any answer of it, whether or not it is shown.
        writer: Whose model reads it, in its format.
        present: The sampling of the settings.
        retrieved: The examples that its question has now, where `wants_examples`.

    Raises:
        UsageError: There are none, and the preamble wants some.
    """
    preamble = writer.preamble
    own = stored_examples(answer, preamble)
    key = ids_key(writer.model.info, preamble)
    *past, last = conversation.tree.exchanges_to(answer.id)
    sent = [exchange for exchange in past if exchange.in_context and _has_answer(exchange)]
    sent.append(Exchange(question=last.question))
    exchanges = [in_format(one, preamble, key) for one in sent]
    shown = render_in_format(preamble, exchanges, retrieved if own is None else own)
    own_tokens = answer.ids is not None and answer.ids_key == key
    return AnswerTrace(
        answer=answer,
        preamble=shown.preamble,
        turns=shown.turns,
        lead=shown.lead,
        tokens=_written(answer, preamble) if own_tokens else (TextSegment(text=answer.text),),
        sampling=answer.sampling or ruled(present, preamble),
        own_tokens=own_tokens,
        own_sampling=answer.sampling is not None,
        own_examples=preamble.retrieval is None or own is not None,
    )


def stored_examples(answer: TurnRecord, preamble: Preamble) -> tuple[Example, ...] | None:
    """The examples that stood in front of an answer under this preamble; None if not known."""
    if preamble.retrieval is None or answer.preamble != preamble.name:
        return None
    return answer.examples


def wants_examples(answer: TurnRecord, preamble: Preamble) -> bool:
    """Whether examples have to be retrieved for an answer to be looked at under a preamble."""
    return preamble.retrieval is not None and stored_examples(answer, preamble) is None


def _written(answer: TurnRecord, preamble: Preamble) -> Turn:
    """All that the model wrote: what it wrote of the format's closing, and the end, too."""
    parts: list[Segment] = [TokenSegment(ids=answer.ids or ())]
    close = close_text(preamble)
    if answer.tail.endswith(close) and answer.tail != close:
        parts.append(TextSegment(text=answer.tail.removesuffix(close)))
    if answer.stop_reason == "eos" and answer.stopped_by:
        parts.append(TextSegment(text=answer.stopped_by, special=True))
    return tuple(parts)


def _has_answer(exchange: Exchange) -> bool:
    return exchange.answer is not None and bool(exchange.answer.text)
