"""What the model is shown of a conversation: turns in the preamble's format.

Token ids are used where they are known and belong to the model and the format in use;
elsewhere the text stands in, to be tokenised.
"""

from __future__ import annotations

import hashlib

from urial_tui.chat.tree import Exchange
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.wire.protocol import ModelInfo, TextSegment, TokenSegment, Turn
from urial_tui.prompting.conversation import Exchanged
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.render import close_text, open_turn


def ids_key(info: ModelInfo | None, preamble: Preamble) -> str:
    """What token ids of a turn belong to: the model's content and the turns' format.

    Two preambles of one format share it, and so do two names of one file. Two files of one name
    do not.
    """
    model = (info.content, info.adapter_content) if info is not None else ()
    parts = (*model, open_turn(preamble, "?"), close_text(preamble))
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "replace")).hexdigest()[:16]


def turn_of(exchange: Exchange, preamble: Preamble, key: str) -> Turn:
    """A question and its answer, if it has one; without one, up to where that starts."""
    question, answer = exchange.question, exchange.answer
    asked: TextSegment | TokenSegment
    if question.ids is not None and question.ids_key == key:
        asked = TokenSegment(ids=question.ids)
    else:
        asked = TextSegment(text=open_turn(preamble, question.text))
    if answer is None:
        return (asked,)
    if answer.ids is not None and answer.ids_key == key:
        written = (TokenSegment(ids=answer.ids), TextSegment(text=answer.tail))
        return (asked, *(part for part in written if part != TextSegment(text="")))
    return (asked, TextSegment(text=answer.text + close_text(preamble)))


def continuation(answer: TurnRecord, preamble: Preamble, key: str) -> Turn:
    """An answer as it stands, as the beginning of one that goes on from there."""
    close = close_text(preamble)
    if answer.ids is None or answer.ids_key != key or not answer.tail.endswith(close):
        # Ids that reach into the closing of the format can't be told apart from the answer's.
        return (TextSegment(text=answer.text),)
    pending = answer.tail.removesuffix(close)
    ids = (TokenSegment(ids=answer.ids),)
    return (*ids, TextSegment(text=pending)) if pending else ids


def without_format(exchange: Exchange, preamble: Preamble, key: str) -> Exchanged:
    """A question and its answer, to be shown in another format."""
    question, answer = exchange.question, exchange.answer
    if answer is None:
        return Exchanged(question.text)
    return Exchanged(question.text, answer.text, continuation(answer, preamble, key))
