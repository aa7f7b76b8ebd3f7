"""A whole conversation in a side's context: a preamble, and turns behind it.

A turn is a question and its answer; the last one is open, and ends where its answer starts. The
turns are cut so that the oldest may leave the context and what stays is still a conversation of
the same form. What a user typed is text, even where it looks like a control token; an answer
is given as segments, so that its own tokens can stand in.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from urial_tui.compare.contexts import Context, render_template, trims_queries
from urial_tui.engine.protocol import ModelInfo, TextSegment, Turn
from urial_tui.errors import ModelError, UsageError
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.render import close_text, open_turn, preamble_text


class Exchanged(NamedTuple):
    """A question and the segments of its answer; none where that is still to be written."""

    query: str
    answer: Turn = ()


class Shown(NamedTuple):
    """What a side is shown: a preamble (without BOS) and the turns behind it."""

    preamble: Turn
    turns: tuple[Turn, ...]

    @property
    def context(self) -> Turn:
        """All of it as one: the segments that stand in front of the answer."""
        return (*self.preamble, *(segment for turn in self.turns for segment in turn))


def render_conversation(
    context: Context, exchanges: Sequence[Exchanged], model: ModelInfo
) -> Shown:
    """A conversation in a context; the last exchange is the open one.

    Raises:
        ModelError: The model has no chat template, or it can't be rendered.
        UsageError: `same` has no segments of its own.
    """
    if context.is_same:
        raise UsageError("The context `same` needs another side to copy.", "Choose another one.")
    if context.preamble is not None:
        return _in_format(context.preamble, exchanges)
    if context.name == "raw":
        return Shown((), tuple((*_text(query), *answer) for query, answer in exchanges))
    return _in_chat(exchanges, model)


def _in_format(preamble: Preamble, exchanges: Sequence[Exchanged]) -> Shown:
    *closed, last = exchanges
    close = close_text(preamble)
    turns = [
        (*_text(open_turn(preamble, query)), *answer, *_text(close)) for query, answer in closed
    ]
    return Shown(_text(preamble_text(preamble)), (*turns, _text(open_turn(preamble, last.query))))


def _in_chat(exchanges: Sequence[Exchanged], model: ModelInfo) -> Shown:
    marks = [f"turn-{secrets.token_hex(8)}" for _ in range(2 * len(exchanges) - 1)]
    parts = _between(render_template(model, marks), marks, model)
    trimmed = trims_queries(model, marks[0])
    opening = _opening(model)
    preamble, head = _split(parts[0], opening)
    turns: list[Turn] = []
    for number, (query, answer) in enumerate(exchanges):
        asked = _text(query.strip() if trimmed else query)
        turn = (*_template(head), *asked, *_template(parts[2 * number + 1]), *answer)
        if number < len(exchanges) - 1:
            closing, head = _split(parts[2 * number + 2], opening)
            turn = (*turn, *_template(closing))
        turns.append(turn)
    return Shown(_template(preamble), tuple(turns))


def _opening(model: ModelInfo) -> str:
    """What a template puts in front of each question, the first one and the others alike."""
    marks = [f"turn-{secrets.token_hex(8)}" for _ in range(3)]
    first, _, later, _ = _between(render_template(model, marks), marks, model)
    pairs = zip(reversed(first), reversed(later), strict=False)
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    return first[len(first) - same :]


def _between(rendered: str, marks: Sequence[str], model: ModelInfo) -> list[str]:
    """The template's own text before, between and behind the contents."""
    parts = []
    rest = rendered
    for mark in marks:
        part, found, rest = rest.partition(mark)
        if not found:
            raise ModelError(
                f"The chat template of {model.name} leaves a part of the conversation out.",
                "Choose another context for it: zero-shot, raw or a preamble.",
            )
        parts.append(part)
    return [*parts, rest]


def _split(text: str, opening: str) -> tuple[str, str]:
    """What stands before a question, apart from what opens it; all of it where that is missing."""
    if opening and text.endswith(opening):
        return text.removesuffix(opening), opening
    return text, ""


def _text(text: str) -> Turn:
    return (TextSegment(text=text),) if text else ()


def _template(text: str) -> Turn:
    return (TextSegment(text=text, special=True),) if text else ()
