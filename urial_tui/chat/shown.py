"""Reuse of a stored conversation's token ids when it is shown to a model again.

Token ids are used where they belong to the model and the format in use; elsewhere the text stands
in, to be tokenised. `prompting.conversation` puts both into a context.
"""

from __future__ import annotations

import hashlib

from urial_tui.chat.tree import Exchange
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.wire.values import ModelInfo, TextSegment, TokenSegment, Turn
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


def in_format(exchange: Exchange, preamble: Preamble, key: str) -> Exchanged:
    """A question and its answer, if it has one, to be shown in the format of a preamble."""
    question, answer = exchange.question, exchange.answer
    known = question.ids is not None and question.ids_key == key
    opened: Turn = (TokenSegment(ids=question.ids or ()),) if known else ()
    if answer is None:
        return Exchanged(question.text, opened=opened)
    if answer.ids is None or answer.ids_key != key:
        text = (TextSegment(text=answer.text),)
        return Exchanged(question.text, answer.text, text, opened=opened)
    tail = (TextSegment(text=answer.tail),) if answer.tail else ()
    written = (TokenSegment(ids=answer.ids), *tail)
    return Exchanged(question.text, answer.text, written, closed=True, opened=opened)


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
