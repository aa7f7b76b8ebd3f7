"""A preamble: its texts, its examples, its format and its rules, as a value.

What is read from a file is sound (`soundness` has what that means).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from urial_tui.engine.wire.values import Rules
from urial_tui.wording import amount

Method = Literal["urial", "zero-shot", "vanilla-icl", "rules", "retrieval"]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a preamble file."""


class PromptFormat(_Table, frozen=True, kw_only=True):
    """How turns are written and where an answer ends.

    `system`, `query` and `answer` are templates around `{system}`, `{query}` and
    `{answer}`. An answer ends before any string of `stop`, and at a line that holds only
    `fence` (see `engine.wire.values.StopRules`); one of the two is given.
    """

    query: str
    answer: str
    system: str = ""
    stop: tuple[str, ...] = ()
    fence: str = ""


class Example(_Table, frozen=True, kw_only=True):
    """A query and the answer that shows the style.

    `follows`: it goes on with the example before it, as a second turn does. `query_format`,
    `answer_format`: the templates that it is written in, where these are not the format's.
    """

    query: str
    answer: str
    follows: bool = False
    query_format: str = ""
    answer_format: str = ""


class Retrieval(_Table, frozen=True, kw_only=True):
    """Where the examples of each question come from.

    `index`: the name of an index (`retrieval_index`). `k`: how many are shown. `most_words`:
    longest answer of one; a longer one is cut behind a sentence. `embedding`: the model that made
    the index; "" where it is one of words (BM25).
    """

    index: str
    k: int = 3
    most_words: int = 300
    embedding: str = ""


class Preamble(_Table, frozen=True, kw_only=True):
    """A checked preamble. Texts carry no white space at their ends; templates are verbatim.

    `rules`: what is added to the logits while an answer is written under it. `retrieval`: its
    examples are those of a pool that are most like the question.
    """

    name: str
    title: str
    description: str
    method: Method
    format: PromptFormat
    system: str = ""
    examples: tuple[Example, ...] = ()
    rules: Rules | None = None
    retrieval: Retrieval | None = None

    def trimmed(self) -> Preamble:
        """Without white space at the ends of its texts.

        Multi-line strings end with a newline that belongs to the file and not to the text.
        """
        return msgspec.structs.replace(
            self,
            system=self.system.strip(),
            examples=tuple(
                msgspec.structs.replace(
                    example, query=example.query.strip(), answer=example.answer.strip()
                )
                for example in self.examples
            ),
        )


def examples_in_words(preamble: Preamble) -> str:
    """How many examples stand in front of a question: 3 examples; up to 3 examples by question."""
    if preamble.retrieval is None:
        return amount(len(preamble.examples), "example")
    return f"up to {amount(preamble.retrieval.k, 'example')} by question"


def examples_in_short(preamble: Preamble) -> str:
    """The same for a column of numbers: 3; ≤3 where each question has its own."""
    if preamble.retrieval is None:
        return str(len(preamble.examples))
    return f"≤{preamble.retrieval.k}"
