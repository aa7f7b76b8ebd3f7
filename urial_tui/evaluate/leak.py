"""Detection of leaks: whether an answer repeats its preamble's examples instead of answering.

A base model may take up a sentence of an example that fits nothing that was asked. An answer leaks
if `SPAN` words in a row are those of an example's query or answer, and do not stand in the item
itself: who asks with an example's words may be answered with them. The system text is no example:
it tells what to do, and is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from urial_tui.evaluate.words import Gram, grams, words_of
from urial_tui.prompting.preamble import Example, Preamble

SPAN: Final = 8
"""Words in a row that are no accident."""


def spans_of(preamble: Preamble | None) -> frozenset[Gram]:
    """The spans of a preamble's examples; none without a preamble."""
    return frozenset() if preamble is None else example_spans(preamble.examples)


def example_spans(examples: Iterable[Example]) -> frozenset[Gram]:
    """The spans of examples."""
    return _spans(text for example in examples for text in (example.query, example.answer))


def leaked(answer: Sequence[str], examples: frozenset[Gram], asked: Iterable[str]) -> str:
    """The first span of an answer that is an example's, as words; "" if there is none.

    Args:
        answer: Its words, as `words_of` gives them.
        examples: From `spans_of`.
        asked: The item's own texts: its turns so far, and answers to earlier ones.
    """
    if not examples:
        return ""
    own: frozenset[Gram] | None = None
    for span in grams(answer, SPAN):
        if span in examples:
            own = _spans(asked) if own is None else own
            if span not in own:
                return " ".join(span)
    return ""


def _spans(texts: Iterable[str]) -> frozenset[Gram]:
    return frozenset(span for text in texts for span in grams(words_of(text), SPAN))
