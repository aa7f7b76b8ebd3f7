"""The loss of good answers behind examples, in bits per byte, with a persistent cache.

The example that is tried stands as the first turn of a conversation, and the question that is
answered as its second: that is, to the character, the text of a preamble that ends with this
example. So what is in front of all that are tried at a time is evaluated once, and pinned, and an
example once for all of its answers. Each reading is kept by its key before anybody is told of it,
and used again.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence

import msgspec

from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import Event, PrefillProgress
from urial_tui.engine.wire.values import TextSegment
from urial_tui.errors import EngineDied, EngineError, ModelError
from urial_tui.evaluate.example_search import ExamplePlaces, Losses, SearchStep, TextRead
from urial_tui.evaluate.items import Item
from urial_tui.evaluate.means import FEWEST
from urial_tui.evaluate.measure_store import MeasureStore
from urial_tui.evaluate.readers import ContextReader, context_reader
from urial_tui.evaluate.token_reading import TextReading
from urial_tui.prompting.context import Context
from urial_tui.prompting.conversation import Exchanged, render_conversation
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.templates.renderer import TemplateRenderer

_IMPOSSIBLE = "The model gives a good answer no probability at all."


class ReadWork(msgspec.Struct, kw_only=True):
    """Counters of what was read.

    `readings`: texts that were read now, `kept`: that were read before. `tokens`: that the model
    evaluated, of which `prefix` stood in front of the examples that were tried. `seconds`: that
    reading took.
    """

    readings: int = 0
    kept: int = 0
    tokens: int = 0
    prefix: int = 0
    seconds: float = 0.0


class ExampleLosses:
    """Has a model read texts behind examples.

    Args:
        model: Loaded as one that reads along, whose batches have many rows of logits.
        name: What people call it.
        base: The preamble that the examples are put into; it has none of its own.
        examples: The candidates.
        texts: Items, whose first turn has a reference answer, that are read behind examples.
        templates: Renders chat templates.
        store: Keeps the readings.
    """

    def __init__(
        self,
        model: Model,
        name: str,
        base: Preamble,
        examples: Sequence[Example],
        texts: Sequence[Item],
        templates: TemplateRenderer,
        store: MeasureStore,
    ) -> None:
        self._model = model
        self._name = name
        self._base = base
        self._examples = examples
        self.texts = texts
        """What is read behind examples: what can be read without one."""
        self._templates = templates
        self._store = store
        self._pinned: Preamble | None = None
        self._readers: dict[ExamplePlaces, tuple[Preamble, ContextReader]] = {}
        self.work = ReadWork()
        self.cancelled = False
        """Whether nothing is to be read any more."""
        self.unread: dict[int | str, str] = {}
        """The texts that could not be read without examples, and why: sentences."""
        self.troubles: dict[ExamplePlaces, str] = {}
        """Behind which examples a text could not be read, and why: sentences."""

    def losses(self, examples: ExamplePlaces) -> Generator[SearchStep, None, Losses | None]:
        """What each text costs behind these examples; None where one can't be read.

        Without examples, texts that can't be read are left out from then on; None where fewer than
        `FEWEST` are left.

        Raises:
            EvaluateError: A reading can't be kept.
            EngineDied: The worker ended; what was read is kept.
        """
        preamble, reader = self._reader(examples[:-1])
        last = (self._examples[place] for place in examples[-1:])
        tried = [(example.query, example.answer) for example in last]
        found: list[float] = []
        for number, text in enumerate(self.texts, start=1):
            reading = yield from self._read(preamble, reader, [*tried, _pair(text)])
            if self.cancelled:
                return None
            if isinstance(reading, TextReading) and reading.bits_per_byte is not None:
                found.append(reading.bits_per_byte)
            else:
                why = reading if isinstance(reading, str) else _IMPOSSIBLE
                if tried:
                    self.troubles[examples] = why
                    return None
                self.unread[text.id] = why
            yield TextRead(done=number, total=len(self.texts))
        # What can't be read without examples is read behind none.
        self.texts = [text for text in self.texts if text.id not in self.unread]
        return tuple(found) if len(found) >= FEWEST else None

    def held_out(
        self, preamble: Preamble, texts: Sequence[Item]
    ) -> Generator[SearchStep, None, list[float | None]]:
        """What texts cost under a preamble as it stands; None for each that can't be read.

        Raises:
            EvaluateError: A reading can't be kept.
            EngineDied: The worker ended; what was read is kept.
        """
        reader = self._reading(preamble)
        found: list[float | None] = []
        for number, text in enumerate(texts, start=1):
            reading = yield from self._read(preamble, reader, [_pair(text)])
            found.append(None if isinstance(reading, str) else reading.bits_per_byte)
            if self.cancelled:
                break
            yield TextRead(done=number, total=len(texts))
        return found

    def with_examples(self, examples: ExamplePlaces) -> Preamble:
        """The preamble with these examples in it."""
        chosen = tuple(self._examples[place] for place in examples)
        return with_examples(self._base, chosen)

    def _reader(self, examples: ExamplePlaces) -> tuple[Preamble, ContextReader]:
        if examples not in self._readers:
            preamble = self.with_examples(examples)
            self._readers = {examples: (preamble, self._reading(preamble))}
        return self._readers[examples]

    def _reading(self, preamble: Preamble) -> ContextReader:
        context = Context(name=preamble.name, preamble=preamble)
        return context_reader(self._name, self._model, self._model.info, context, self._templates)

    def _read(
        self, preamble: Preamble, reader: ContextReader, said: Sequence[tuple[str, str]]
    ) -> Generator[Event, None, TextReading | str]:
        """A reading of the last answer, from the store where it is there; a sentence says why there
        is none.
        """
        # Apart from what is read in the batches of a chat, which round otherwise.
        key = reader.terms.key("searched", said)
        found = self._store.reading(key)
        if found is not None:
            self.work.kept += 1
            return found
        if self.cancelled:
            return "It was ended."
        try:
            yield from self._pin(preamble)
            started = time.monotonic()
            counted = _Counted()
            answer = TextSegment(text=said[-1][1])
            found = yield from counted.of(reader.read(said, answer, key=key))
        except EngineDied:
            raise
        except (EngineError, ModelError) as error:
            return error.message
        self.work.seconds += time.monotonic() - started
        self.work.readings += 1
        self.work.tokens += counted.tokens + found.tokens
        self._store.keep_reading(found)
        return found

    def _pin(self, preamble: Preamble) -> EventSteps[None]:
        """Have a preamble evaluated, once."""
        if preamble == self._pinned:
            return
        context = Context(name=preamble.name, preamble=preamble)
        shown = render_conversation(context, [Exchanged("?")], self._model.info, self._templates)
        ready = yield from self._model.prepare(shown.preamble).steps()
        self._pinned = preamble
        if ready.source == "computed":
            self.work.tokens += ready.tokens
            self.work.prefix += ready.tokens


class _Counted:
    """Counts the tokens of a prompt that were evaluated, and not taken from the cache."""

    def __init__(self) -> None:
        self.tokens = 0

    def of(self, steps: EventSteps[TextReading]) -> EventSteps[TextReading]:
        """The same events."""
        while True:
            try:
                event = next(steps)
            except StopIteration as end:
                reading: TextReading = end.value
                return reading
            if isinstance(event, PrefillProgress) and event.stage == "prompt":
                self.tokens = event.done - event.reused
            yield event


def with_examples(base: Preamble, examples: Sequence[Example]) -> Preamble:
    """A preamble with examples in place of its own."""
    method = base.method
    if method in ("zero-shot", "vanilla-icl"):
        method = "vanilla-icl" if examples else "zero-shot"
    return msgspec.structs.replace(base, method=method, examples=tuple(examples))


def _pair(text: Item) -> tuple[str, str]:
    return text.turns[0], text.references[0]
