"""Turns written in a preamble's format.

The text of a conversation is the preamble, then for each turn `open_turn(query)`, the
answer and `close_text`. That is, to the character, the text that the same turns would
give as examples of the preamble, so the model can't tell the conversation from them.

Substitution is literal: braces, backslashes and headings in a query stay what they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from urial_tui.engine.wire.protocol import TextSegment, Turn

if TYPE_CHECKING:
    from urial_tui.prompting.preamble import Preamble


def fill(template: str, placeholder: str, text: str) -> str:
    """`template` with its one `placeholder` replaced by `text`, as it is."""
    head, _, tail = template.partition(placeholder)
    return head + text + tail


def preamble_text(preamble: Preamble) -> str:
    """The system text and the examples: all that stands in front of the first turn.

    Empty for a preamble without both (zero-shot).
    """
    form = preamble.format
    system = fill(form.system, "{system}", preamble.system) if preamble.system else ""
    return system + "".join(
        fill(form.query, "{query}", example.query) + fill(form.answer, "{answer}", example.answer)
        for example in preamble.examples
    )


def open_turn(preamble: Preamble, query: str) -> str:
    """A turn with `query`, up to the place where its answer starts."""
    form = preamble.format
    return fill(form.query, "{query}", query) + form.answer.partition("{answer}")[0]


def close_text(preamble: Preamble) -> str:
    """What follows an answer, up to the place where the next turn starts."""
    return preamble.format.answer.partition("{answer}")[2]


def preamble_turn(preamble: Preamble) -> Turn:
    """The preamble as the engine takes it; a preamble without text is no segment at all."""
    text = preamble_text(preamble)
    return (TextSegment(text=text),) if text else ()
