"""What a side is shown in front of the compared text.

A context turns questions into segments: `chat` renders the model's own template, a preamble
(zero-shot included) its text and its open turns, `raw` nothing but the questions. `same` is no
context of its own: the side gets the other side's token ids. The choice changes every
number of a comparison, so each result carries the contexts that it was made with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from urial_tui.engine.wire.values import Rules, StopRules, TextSegment, Turn
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.prompting.render import close_text
from urial_tui.prompting.stops import stop_rules
from urial_tui.prompting.templates.protocol import TEMPLATE, RenderedPiece

SAMPLE = "?"
"""A question that shows what a context looks like; nothing is retrieved for it."""


class RetrievedExamples(msgspec.Struct, frozen=True, kw_only=True):
    """The examples of questions that will be asked.

    `key`: all that decides which these are, as a digest. `by_question`: most similar last.
    """

    key: str
    by_question: Mapping[str, tuple[Example, ...]]


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """A side's context. `name` is what the user chose; `preamble` is set for preambles.

    `retrieved`: the examples of the questions that it is to be shown, for a preamble that has none
    of its own.
    """

    name: str
    preamble: Preamble | None = None
    retrieved: RetrievedExamples | None = None

    def examples_for(self, question: str) -> tuple[Example, ...] | None:
        """What was retrieved for a question; None where that was not done."""
        if self.retrieved is None:
            return None
        if question == SAMPLE:
            return self.retrieved.by_question.get(question, ())
        return self.retrieved.by_question.get(question)

    def shown_again(self, question: str, examples: tuple[Example, ...]) -> Context:
        """With examples that stood in front of a question before, whatever the index holds now."""
        told = [(one.query, one.answer) for one in examples]
        key = hashlib.sha256(msgspec.json.encode((question, told))).hexdigest()
        retrieved = RetrievedExamples(key=key, by_question={question: examples})
        return msgspec.structs.replace(self, retrieved=retrieved)

    @property
    def is_same(self) -> bool:
        """Whether the side takes the other side's token ids."""
        return self.name == "same"


def find_context(name: str) -> Context:
    """The context of a name: chat, raw, same, or a preamble's name or file.

    Raises:
        PreambleError: There is no such preamble.
    """
    if name in ("chat", "raw", "same"):
        return Context(name=name)
    preamble = find_preamble(name)
    return Context(name=preamble.name, preamble=preamble)


def answer_rules(context: Context) -> tuple[StopRules, str]:
    """What ends an answer in a context; a chat ends with its own token.

    Returns:
        The stop rules, and the text that closes an answer.
    """
    if context.preamble is None:
        return StopRules(), ""
    return stop_rules(context.preamble), close_text(context.preamble)


def rules_of(context: Context) -> Rules | None:
    """What is added to the logits while an answer is written in a context."""
    return None if context.preamble is None else context.preamble.rules


def segments(pieces: Iterable[RenderedPiece]) -> Turn:
    """A rendered chat as the engine takes it.

    What anybody typed or a model wrote is text, even where it looks like a control token; only
    what the template wrote itself is read for those. The template's spaces in front of a text,
    and its line ends behind one, go with the text: tokenisers put them together, so that a cut
    there would make other tokens of the same context.
    """
    cut: list[RenderedPiece] = []
    for piece in pieces:
        owner, text = piece
        if cut and (cut[-1].owner == TEMPLATE) != (owner == TEMPLATE):
            before = cut[-1].text
            if owner == TEMPLATE:
                stay = len(text) - len(text.lstrip())
                moved = text[: text.rfind("\n", 0, stay) + 1]
                cut[-1] = RenderedPiece(cut[-1].owner, before + moved)
                text = text[len(moved) :]
            else:
                kept = before.rstrip(" ")
                cut[-1] = RenderedPiece(TEMPLATE, kept)
                text = before[len(kept) :] + text
        cut.append(RenderedPiece(owner, text))
    return tuple(TextSegment(text=text, special=owner == TEMPLATE) for owner, text in cut if text)
