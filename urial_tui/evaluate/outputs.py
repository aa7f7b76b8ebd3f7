"""The answers of a run: a JSON list that the official scorer reads, with more keys of ours.

A record has `id`, `instruction`, `source_id`, `dataset`, `category`, `output`, `generator` and
`datasplit`. Of an item with several turns, `instruction` and `output` are its first question and
answer, and `turns` holds all of them. `urial` is what only this program knows of the answer; a
record of another program has none.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from urial_tui.evaluate.items import Category
from urial_tui.evaluate.token_reading import TextReading
from urial_tui.prompting.preamble import Example

Ending = Literal["end", "stop", "cut", "cancelled", ""]
"""How an answer ended: by a token that ends it, at a stop string, by a limit on its length; ""
where nobody told."""


class AnsweredTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn of an item: what was asked, and the answer.

    `tokens`: of the answer, None where nobody counted. `ids`: these, of the model that wrote it;
    none where they are not known. `ending`: how it ended. `detail`: the engine's own word for that,
    and which token or string it was. `seed`: what it was drawn with, None where nothing is drawn.
    `retrieved`: the examples of a pool that stood in front of the question; none where nothing was
    retrieved, or nobody told. `reference`: what the model says of the item's reference answer in
    this place. `aligned`: what another model says of the answer. Both None where nobody has read
    it.
    """

    instruction: str
    output: str
    tokens: int | None = None
    ids: tuple[int, ...] = ()
    ending: Ending = ""
    detail: str = ""
    seed: int | None = None
    retrieved: tuple[Example, ...] = ()
    reference: TextReading | None = None
    aligned: TextReading | None = None


class ShownPreamble(msgspec.Struct, frozen=True, kw_only=True):
    """The preamble in front of answers: its `name`, and its `examples` as a hash."""

    name: str
    examples: str


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """All answers to one item.

    `key`: what they depend on, as a hash, "" from other programs. `parallel`: how many answers were
    written together. `seed`: of the run, which those of the answers follow from. `preamble`: what
    the answers were written under; None where nobody told, or where it has no examples.
    """

    id: int | str
    exchanges: tuple[AnsweredTurn, ...]
    generator: str
    category: Category = "regular"
    dataset: str = ""
    source_id: str = ""
    datasplit: str = ""
    key: str = ""
    parallel: int | None = None
    seed: int | None = None
    preamble: ShownPreamble | None = None
