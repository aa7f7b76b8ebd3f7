"""A whole conversation in a side's context: a preamble, and turns behind it.

A turn is a question and its answer; the last one is open, and ends where its answer starts. The
turns are cut so that the oldest may leave the context and what stays is still a conversation of
the same form. What a user typed is text, even where it looks like a control token; an answer
is given as segments, so that its own tokens can stand in where it stands unchanged.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from urial_tui.engine.wire.values import ModelInfo, Segment, TextSegment, Turn
from urial_tui.errors import UsageError
from urial_tui.prompting.context import Context, answer_rules, segments
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.render import (
    close_text,
    examples_text,
    open_turn,
    opening_text,
    preamble_turn,
)
from urial_tui.prompting.templates.protocol import TEMPLATE, RenderedPiece
from urial_tui.prompting.templates.renderer import TemplateRenderer, refused


class Exchanged(NamedTuple):
    """A question and its answer, as text and as segments; none where it is still to be written.

    The last one's answer is what it starts with, if anything. `closed`: the segments have what a
    preamble's format puts behind an answer, too. `opened`: the question in the format of that
    preamble, up to where its answer starts, where its tokens are known.
    """

    query: str
    text: str = ""
    answer: Turn = ()
    closed: bool = False
    opened: Turn = ()


class Shown(NamedTuple):
    """What a side is shown: a preamble (without BOS) and the turns behind it.

    `lead`: the examples that were retrieved for the open question, in front of the turns.
    `opening`: what the first turn starts with, whatever is asked.
    """

    preamble: Turn
    turns: tuple[Turn, ...]
    lead: Turn = ()
    opening: Turn = ()

    @property
    def behind(self) -> tuple[Turn, ...]:
        """All that stands behind the preamble, where no turn has to leave."""
        return (self.lead, *self.turns) if self.lead else self.turns

    @property
    def context(self) -> Turn:
        """All of it as one: the segments that stand in front of the answer."""
        return (*self.preamble, *(segment for turn in self.behind for segment in turn))


def render_conversation(
    context: Context, exchanges: Sequence[Exchanged], model: ModelInfo, templates: TemplateRenderer
) -> Shown:
    """A conversation in a context; the last exchange is the open one.

    Raises:
        ModelError: The model has no chat template, or it can't be rendered.
        UsageError: `same` has no segments of its own.
    """
    if context.name == "chat" and context.preamble is None:
        return _in_chat(exchanges, model, templates)
    return render_plain(context, exchanges)


def render_plain(context: Context, exchanges: Sequence[Exchanged]) -> Shown:
    """A conversation in a context that no model's chat template is needed for.

    Raises:
        UsageError: It is another one.
    """
    if context.is_same:
        raise UsageError("The context `same` needs another side to copy.", "Choose another one.")
    if context.preamble is not None:
        examples = context.examples_for(exchanges[-1].query)
        return render_in_format(context.preamble, exchanges, examples)
    if context.name == "chat":
        raise UsageError(
            "The context `chat` needs a model's own chat template.", "Choose another one."
        )
    turns = tuple((*_text(exchange.query), *exchange.answer) for exchange in exchanges)
    return Shown((), turns)


def render_in_format(
    preamble: Preamble,
    exchanges: Sequence[Exchanged],
    examples: Sequence[Example] | None = None,
) -> Shown:
    """A conversation in a preamble's format; the last exchange is the open one.

    Args:
        preamble: What stands in front of it.
        exchanges: The conversation.
        examples: Those that were retrieved for the open question; None: none were.

    Raises:
        UsageError: The preamble needs some.
    """
    if preamble.retrieval is not None and examples is None:
        raise UsageError(
            f"The examples of the preamble {preamble.name} are retrieved for each question, and "
            "here there is none that they could be retrieved for.",
            "Choose another preamble, or use this one in the chat, `urial ask`, `urial compare` or "
            "`urial eval run`.",
        )
    *closed, last = exchanges
    turns = [closed_turn(preamble, exchange) for exchange in closed]
    return Shown(
        preamble_turn(preamble),
        (*turns, _opened(preamble, last)),
        lead=_text(examples_text(preamble.format, examples or ())),
        opening=_text(opening_text(preamble)),
    )


def context_form(context: Context, shown: Shown) -> tuple[object, ...]:
    """What stands for a context in a key: what it shows of one question, and ends its answer by.

    Of examples that are retrieved it is all that decides which ones these are.
    """
    # The form of results that were kept before there was a lead.
    form = ((shown.preamble, shown.turns), *answer_rules(context))
    return form if context.retrieved is None else (*form, context.retrieved.key)


def closed_turn(preamble: Preamble, exchange: Exchanged) -> Turn:
    """An answered question in a preamble's format, up to where the next turn starts.

    What closes the answer goes with the text before it, as in the preamble's own examples.
    """
    answer, close = exchange.answer, "" if exchange.closed else close_text(preamble)
    match answer:
        case (*tokens, TextSegment(text=text, special=False)):
            answer = (*tokens, *_text(text + close))
        case _:
            answer = (*answer, *_text(close))
    return (*_opened(preamble, exchange), *answer)


def _opened(preamble: Preamble, exchange: Exchanged) -> Turn:
    return exchange.opened or _text(open_turn(preamble, exchange.query))


def _in_chat(
    exchanges: Sequence[Exchanged], model: ModelInfo, templates: TemplateRenderer
) -> Shown:
    contents = [content for query, text, *_ in exchanges for content in (query, text)][:-1]
    pieces = templates.render(model, contents)
    if not any(content.strip() for content in contents):
        # Nothing shows where the question is, so nothing of it can be cut.
        return Shown((), (segments(pieces),))
    preamble, *turns = _cut(pieces, _starts(pieces, contents, model), _opening(model, templates))
    written = {2 * number + 1: (one.text, one.answer) for number, one in enumerate(exchanges[:-1])}
    shown = [_with_tokens(turn, written) for turn in turns]
    shown[-1] = (*shown[-1], *exchanges[-1].answer)
    opening = tuple(
        segment for segment in shown[0][:1] if isinstance(segment, TextSegment) and segment.special
    )
    return Shown(segments(preamble), tuple(shown), opening=opening)


def _starts(
    pieces: Sequence[RenderedPiece], contents: Sequence[str], model: ModelInfo
) -> list[int]:
    """Where the questions start among the pieces."""
    order = [piece.owner for piece in pieces]
    there = set(order)
    for owner, content in enumerate(contents):
        if owner not in there and (content.strip() or owner % 2 == 0):
            raise refused(model, "leaves a part of the conversation out")
    starts = [order.index(owner) for owner in range(0, len(contents), 2)]
    turns = [owner // 2 for owner in order if owner != TEMPLATE]
    if turns != sorted(turns):
        raise refused(model, "puts the conversation into another order")
    return starts


def _cut(
    pieces: Sequence[RenderedPiece], starts: Sequence[int], opening: str
) -> list[list[RenderedPiece]]:
    """The pieces of a preamble and of each turn, which starts with what opens a question."""
    parts: list[list[RenderedPiece]] = []
    head: list[RenderedPiece] = []
    for start, end in itertools.pairwise((0, *starts, len(pieces))):
        part = [*head, *pieces[start:end]]
        head = []
        if end < len(pieces) and opening and part and part[-1].owner == TEMPLATE:
            text = part[-1].text
            if text.endswith(opening):
                part[-1] = RenderedPiece(TEMPLATE, text.removesuffix(opening))
                head = [RenderedPiece(TEMPLATE, opening)]
        parts.append(part)
    return parts


def _opening(model: ModelInfo, templates: TemplateRenderer) -> str:
    """What a template puts in front of each question, the first one and the others alike."""
    contents = ("1", "2", "3")
    pieces = templates.render(model, contents)
    first, later = (
        pieces[start - 1].text if start and pieces[start - 1].owner == TEMPLATE else ""
        for start in _starts(pieces, contents, model)
    )
    pairs = zip(reversed(first), reversed(later), strict=False)
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    return first[len(first) - same :]


def _with_tokens(pieces: Sequence[RenderedPiece], written: Mapping[int, tuple[str, Turn]]) -> Turn:
    """A turn in which an answer that stands unchanged is what it was written as."""
    turn: list[Segment] = []
    for is_answer, group in itertools.groupby(pieces, lambda piece: piece.owner in written):
        if not is_answer:
            turn += segments(group)
            continue
        for piece in group:
            text, answer = written[piece.owner]
            turn += answer if piece.text == text else segments([piece])
    return tuple(turn)


def _text(text: str) -> Turn:
    return (TextSegment(text=text),) if text else ()
