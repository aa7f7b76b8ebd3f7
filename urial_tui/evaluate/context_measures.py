"""The JSON document of measured contexts, beside each other; tables and pages are views of it.

No judge is asked. Texts are the unit: intervals are 95 % over them, and a context is compared with
the first one on the same texts. What was not measured is null, and counted. docs/json.md has the
keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from urial_tui.evaluate.leak import example_spans, leaked
from urial_tui.evaluate.means import mean_of, paired_difference, share_of
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.token_reading import TextReading
from urial_tui.evaluate.words import Gram, common_in_order, words_of
from urial_tui.prompting.context import Context, answer_rules
from urial_tui.prompting.preamble import Example, Preamble

OPENING: Final = 5
"""Words at the start of an answer that are its opening."""
ALIKE: Final = 4
"""Of these, in their order, as many make an opening that of an example: a small model that copies
"I can't help with stealing" has the word of its question in there, or leaves one out.
"""

End = Literal["ended", "ran_on", "cut"]
"""How an answer ended: by its end or the way that the format has to end it; because the model went
on with a turn of its own; at a limit."""


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """The examples that were retrieved for a question: their tokens, and the seconds it took to
    find them.
    """

    tokens: int
    seconds: float


class MeasuredContext(msgspec.Struct, frozen=True, kw_only=True):
    """A context with what was seen of it.

    `tokens`: of what stands in front of a question. `prefill_s`: the seconds that reading them
    took, None where they were not read. `cache_bytes`: what they take of the cache. `references`:
    what the model says of each reference answer. `answers`: to each question. Both have None for
    what could not be had. `leads`: what is retrieved for each question; empty where nothing is.
    """

    context: Context
    tokens: int
    prefill_s: float | None
    cache_bytes: int
    references: tuple[TextReading | None, ...]
    answers: tuple[AnsweredTurn | None, ...]
    leads: tuple[Lead, ...] = ()


def end_of(exchange: AnsweredTurn, context: Context) -> End | None:
    """How an answer ended; None where nobody told."""
    if exchange.ending in ("end", "cut"):
        return "ended" if exchange.ending == "end" else "cut"
    if exchange.ending != "stop":
        return None
    by = exchange.detail.removeprefix("stop").strip()
    _, close = answer_rules(context)
    return "ended" if by and close.strip().startswith(by) else "ran_on"


def copies_opening(text: str, context: Context, question: str = "") -> bool | None:
    """Whether a text starts as an example's answer does; None where there is no example.

    Of the first `OPENING` words `ALIKE` have to be those of the example, in their order. Where one
    of the two has fewer words, the other one starts with all of them; one alone is no opening.
    `question`: what it answers, for examples that are retrieved.
    """
    examples = _examples_of(context, question)
    if not examples:
        return None
    start = words_of(text)[:OPENING]
    return any(_alike(start, words_of(example.answer)[:OPENING]) for example in examples)


def _alike(first: Sequence[str], second: Sequence[str]) -> bool:
    shorter = min(len(first), len(second))
    if shorter < OPENING:
        return shorter > 1 and first[:shorter] == second[:shorter]
    return common_in_order(first, second) >= ALIKE


def measures_document(
    measured: Sequence[MeasuredContext], asked: Sequence[str], **head: Any
) -> dict[str, Any]:
    """The document, see docs/json.md.

    Args:
        measured: The contexts; all others are compared with the first.
        asked: The questions, in the order of the answers.
        head: What else it says of all of them.
    """
    seen = [_Seen(each, asked) for each in measured]
    return {**head, "contexts": [_context(each, seen[0]) for each in seen]}


class _Seen:
    """A context's values, one a text; None for what is not known."""

    def __init__(self, measured: MeasuredContext, questions: Sequence[str]) -> None:
        self.measured = measured
        context = measured.context
        spans = [_spans_of(context, question) for question in questions]
        self.bits = [None if one is None else one.bits_per_byte for one in measured.references]
        self.ends = [None if one is None else end_of(one, context) for one in measured.answers]
        self.opening = [
            None if one is None else copies_opening(one.output, context, question)
            for one, question in zip(measured.answers, questions, strict=True)
        ]
        self.leaked = [
            bool(leaked(words_of(one.output), there, (question,))) if one and there else None
            for one, question, there in zip(measured.answers, questions, spans, strict=True)
        ]
        self.shift = [
            one.aligned.share("shifted") if one and one.aligned else None
            for one in measured.answers
        ]

    def ended(self, end: End) -> list[bool | None]:
        """Whether each answer ended so."""
        return [None if each is None else each == end for each in self.ends]


def _examples_of(context: Context, question: str) -> tuple[Example, ...]:
    """The examples in front of a question, the retrieved ones as far as they are known."""
    if context.preamble is None:
        return ()
    return (*context.preamble.examples, *(context.examples_for(question) or ()))


def _spans_of(context: Context, question: str) -> frozenset[Gram]:
    return example_spans(_examples_of(context, question))


def _context(seen: _Seen, first: _Seen) -> dict[str, Any]:
    measured = seen.measured
    preamble = measured.context.preamble
    answers = [one for one in measured.answers if one is not None]
    found: dict[str, Any] = {
        "name": measured.context.name,
        "method": None if preamble is None else preamble.method,
        "examples": None if preamble is None else _most_examples(preamble),
        "tokens": measured.tokens,
        "prefill_s": measured.prefill_s,
        "retrieved": _retrieved(measured),
        "cache_bytes": measured.cache_bytes,
        "bits_per_byte": mean_of(seen.bits),
        "ended": share_of(seen.ended("ended")),
        "ran_on": share_of(seen.ended("ran_on")),
        "cut": share_of(seen.ended("cut")),
        "copied_opening": share_of(seen.opening),
        "leaked": share_of(seen.leaked),
        "answer_tokens": mean_of([one.tokens for one in answers]),
        "shift": mean_of(seen.shift),
        "difference": None,
    }
    if seen is not first:
        found["difference"] = {
            "to": first.measured.context.name,
            "bits_per_byte": paired_difference(seen.bits, first.bits),
            "ended": paired_difference(
                seen.ended("ended"), first.ended("ended"), bounds=(0.0, 1.0)
            ),
            "leaked": paired_difference(seen.leaked, first.leaked, bounds=(0.0, 1.0)),
            "shift": paired_difference(seen.shift, first.shift),
        }
    document: dict[str, Any] = msgspec.to_builtins(found)
    return document


def _most_examples(preamble: Preamble) -> int:
    """How many examples stand in front of a question, or may."""
    return len(preamble.examples) if preamble.retrieval is None else preamble.retrieval.k


def _retrieved(measured: MeasuredContext) -> dict[str, Any] | None:
    """What stands behind the preamble that is not always the same; None where nothing does."""
    preamble = measured.context.preamble
    if preamble is None or preamble.retrieval is None:
        return None
    return {
        "k": preamble.retrieval.k,
        "tokens": mean_of([lead.tokens for lead in measured.leads]),
        "seconds": mean_of([lead.seconds for lead in measured.leads]),
    }
