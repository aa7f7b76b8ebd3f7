"""Turns written in a preamble's format.

The text of a conversation is the preamble, then for each turn `open_turn(query)`, the
answer and `close_text`. That is, to the character, the text that the same turns would
give as examples of the preamble, so the model can't tell the conversation from them.

Substitution is literal: braces, backslashes and headings in a query stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from urial_tui.engine.wire.values import TextSegment, Turn
from urial_tui.prompting.preamble import Example, Preamble, PromptFormat


def fill(template: str, placeholder: str, text: str) -> str:
    """`template` with its one `placeholder` replaced by `text`, as it is."""
    head, _, tail = template.partition(placeholder)
    return head + text + tail


def query_template(example: Example, form: PromptFormat) -> str:
    """What an example's query is written in: its own template, or the format's."""
    return example.query_format or form.query


def answer_template(example: Example, form: PromptFormat) -> str:
    """What an example's answer is written in: its own template, or the format's."""
    return example.answer_format or form.answer


def preamble_text(preamble: Preamble) -> str:
    """The system text and the examples: all that stands in front of the first turn.

    Empty for a preamble without both (zero-shot).
    """
    form = preamble.format
    system = fill(form.system, "{system}", preamble.system) if preamble.system else ""
    return system + examples_text(form, preamble.examples)


def examples_text(form: PromptFormat, examples: Sequence[Example]) -> str:
    """Examples as they stand in a preamble of this format."""
    return "".join(
        fill(query_template(example, form), "{query}", example.query)
        + fill(answer_template(example, form), "{answer}", example.answer)
        for example in examples
    )


def opening_text(preamble: Preamble) -> str:
    """What a turn starts with, whatever is asked."""
    return preamble.format.query.partition("{query}")[0]


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
