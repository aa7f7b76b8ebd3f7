"""Readers of a run's texts once its answers are there: what they read, and its cache key.

The run's own model reads the items' reference answers. A turn's reference stands behind those of
the turns before, never behind what was answered: so what is said of it depends on the model, the
context and the item alone. Another model, the aligned side, reads the answers in its own context,
by the tokens that they were written with; it is loaded in the place of the first one, so that both
need not fit into the memory at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from urial_tui.compare.sides import Side
from urial_tui.compare.vocab import VocabInfo, compare_vocabularies
from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.values import (
    EngineOptions,
    ModelInfo,
    Segment,
    TextSegment,
    TokenSegment,
)
from urial_tui.errors import ModelError
from urial_tui.evaluate.items import Item
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.run_terms import ReaderTerms, reader_terms
from urial_tui.evaluate.token_reading import TextReading, read_answer
from urial_tui.prompting.context import Context
from urial_tui.prompting.conversation import Exchanged, render_conversation
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.loading import load
from urial_tui.sanitize import sanitize_line

ReadRole = Literal["reference", "aligned"]
"""What is read, reference answers or answers by the aligned side; an exchange's fields of that."""


class ContextReader(msgspec.Struct, frozen=True, kw_only=True):
    """A model that reads texts in a context. `name`: what people call the two."""

    name: str
    model: Model
    info: ModelInfo
    context: Context
    templates: TemplateRenderer
    terms: ReaderTerms

    def read(
        self, said: Sequence[tuple[str, str]], answer: Segment, *, key: str
    ) -> EventSteps[TextReading]:
        """Read the last answer of a conversation: the engine's events.

        Args:
            said: Questions and their answers.
            answer: The last one as it is read, its text or its tokens.
            key: What the reading depends on.

        Raises:
            EngineError: It does not fit into the context, or the worker was told to end.
            EngineDied: The worker ended.
            ModelError: It can't be rendered for this model.
        """
        *before, (question, text) = said
        exchanges = [
            Exchanged(asked, said, (TextSegment(text=said),) if said else ())
            for asked, said in before
        ]
        exchanges.append(Exchanged(question))
        shown = render_conversation(self.context, exchanges, self.info, self.templates)
        return (yield from read_answer(self.model, shown, answer, text, key=key, by=self.name))


def context_reader(
    name: str, model: Model, info: ModelInfo, context: Context, templates: TemplateRenderer
) -> ContextReader:
    """A loaded model as one that reads.

    Args:
        name: What people call it.
        model: Loaded, for whatever purpose.
        info: What was loaded, with the chat template that counts.
        context: What it is shown.
        templates: Renders that.

    Raises:
        ModelError: The context can't be rendered for this model.
        UsageError: It is none that a model can answer in.
    """
    return ContextReader(
        name=sanitize_line(f"{name}, {context.name}"),
        model=model,
        info=info,
        context=context,
        templates=templates,
        terms=reader_terms(info, context, templates),
    )


class Reader(Protocol):
    """Reads one text for each turn of an item, where there is one."""

    @property
    def role(self) -> ReadRole:
        """The role of the texts that it reads."""
        ...

    def has(self, item: Item, exchanges: Sequence[AnsweredTurn], turn: int) -> bool:
        """Whether there is a text to read."""
        ...

    def open(self) -> EventSteps[None]:
        """Prepare to read: the engine's events."""
        ...

    def key(self, item: Item, exchanges: Sequence[AnsweredTurn], turn: int) -> str:
        """What is said of a text depends on, as a hash; once it is open."""
        ...

    def read(
        self, item: Item, exchanges: Sequence[AnsweredTurn], turn: int
    ) -> EventSteps[TextReading]:
        """Read the text of a turn: the engine's events."""
        ...


class ReferenceReader:
    """Reads the reference answers of items.

    Args:
        reader: The model that answers the items, in the context of its answers.
    """

    role: ReadRole = "reference"

    def __init__(self, reader: ContextReader) -> None:
        self._reader = reader

    def has(self, item: Item, exchanges: Sequence[AnsweredTurn], turn: int) -> bool:
        """Whether the turn has a reference, and each one before it."""
        there = item.references[: turn + 1]
        return len(there) == turn + 1 and all(there)

    def open(self) -> EventSteps[None]:
        """A no-op: the model is loaded already."""
        yield from ()

    def key(self, item: Item, exchanges: Sequence[AnsweredTurn], turn: int) -> str:
        """It follows from the item alone; what was answered does not count."""
        end = turn + 1
        return self._reader.terms.key(self.role, item.turns[:end], item.references[:end])

    def read(
        self, item: Item, exchanges: Sequence[AnsweredTurn], turn: int
    ) -> EventSteps[TextReading]:
        """Read a reference; raises as `ContextReader.read`."""
        said = list(zip(item.turns, item.references, strict=False))[: turn + 1]
        answer = TextSegment(text=said[-1][1])
        key = self.key(item, exchanges, turn)
        return (yield from self._reader.read(said, answer, key=key))


class AlignedSide:
    """Reads the answers of a run by another model, which is loaded in place of the first.

    Args:
        engine: Where that one is loaded.
        side: The other model, and what it is shown.
        options: How it is loaded.
        templates: Renders what it is shown.
        instead_of: The model that wrote the answers.
    """

    role: ReadRole = "aligned"

    def __init__(
        self,
        engine: Engine,
        side: Side,
        options: EngineOptions,
        templates: TemplateRenderer,
        *,
        instead_of: Model,
    ) -> None:
        self._engine = engine
        self._side = side
        self._options = options
        self._templates = templates
        self._writer = instead_of
        self._reader: ContextReader | None = None

    @property
    def info(self) -> ModelInfo | None:
        """What was loaded; None before it is open."""
        return None if self._reader is None else self._reader.info

    def has(self, item: Item, exchanges: Sequence[AnsweredTurn], turn: int) -> bool:
        """Whether something was answered."""
        return bool(exchanges[turn].output)

    def open(self) -> EventSteps[None]:
        """Load the other model: the engine's events.

        Raises:
            ModelError: It is none, has other tokens or no chat template, or does not fit.
            EngineError: The worker refused it.
            EngineDied: The worker ended.
        """
        side = self._side
        first = self._writer.vocabulary().result()
        model = yield from load(
            self._engine,
            side.path,
            adapter=side.adapter,
            options=self._options,
            purpose="watched",
            instead_of=self._writer,
        )
        second = model.vocabulary().result()
        ranked = VocabInfo.of(second.pieces, second.types)
        if not compare_vocabularies(ranked, VocabInfo.of(first.pieces, first.types)).by_id:
            raise ModelError(
                f"{sanitize_line(side.name)} has other tokens than the model that wrote the "
                "answers, so it can't rank them.",
                "Name a model of the same family with --aligned.",
            )
        self._reader = context_reader(
            side.name, model, side.told(model.info), side.context, self._templates
        )

    def key(self, item: Item, exchanges: Sequence[AnsweredTurn], turn: int) -> str:
        """It follows from the answers and their tokens."""
        said = [(exchange.instruction, exchange.output) for exchange in exchanges[: turn + 1]]
        return self._opened.terms.key(self.role, said, exchanges[turn].ids)

    def read(
        self, item: Item, exchanges: Sequence[AnsweredTurn], turn: int
    ) -> EventSteps[TextReading]:
        """Read an answer; raises as `ContextReader.read`."""
        said = [(exchange.instruction, exchange.output) for exchange in exchanges[: turn + 1]]
        last = exchanges[turn]
        answer: Segment = TextSegment(text=last.output)
        if last.ids:
            answer = TokenSegment(ids=last.ids)
        key = self.key(item, exchanges, turn)
        return (yield from self._opened.read(said, answer, key=key))

    @property
    def _opened(self) -> ContextReader:
        assert self._reader is not None, "the aligned side is not loaded"
        return self._reader
