"""Measures contexts on a model: what it says of reference answers in them, and how it answers.

For each context its preamble is read, then the references behind it, then the questions are
answered. Another model, the aligned side, may read the answers of all contexts at the end. Whatever
is done is kept before anybody is told of it, and used again by its key.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence

import msgspec

from urial_tui.engine.wire.events import Event, PreambleReady
from urial_tui.engine.wire.values import Sampling
from urial_tui.errors import EngineDied, EngineError, ModelError
from urial_tui.evaluate.context_measures import Lead, MeasuredContext
from urial_tui.evaluate.items import Item, ItemSet
from urial_tui.evaluate.kept_answers import KeptAnswers
from urial_tui.evaluate.kept_answers import MeasureStep as MeasureStep
from urial_tui.evaluate.kept_answers import TextsRead as TextsRead
from urial_tui.evaluate.measure_store import MeasureStore
from urial_tui.evaluate.outputs import AnsweredTurn
from urial_tui.evaluate.readers import AlignedSide, Reader, ReferenceReader, context_reader
from urial_tui.evaluate.token_reading import TextReading
from urial_tui.prompting.context import Context
from urial_tui.prompting.conversation import Exchanged, render_conversation, render_plain
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.together import Together


class Measuring:
    """The measuring of contexts, as a generator of steps.

    Args:
        loaded: The model, for answers together.
        name: What people call it.
        contexts: In their order.
        references: Items with reference answers.
        questions: Items that are answered, of one turn each.
        templates: Renders chat templates.
        store: Keeps what is done.
        cache_bytes: What so many tokens take of the cache.
        sampling: How the tokens of answers are chosen, the same in all contexts.
        max_tokens: Longest answer.
        found_in: By context and question, the seconds it took to find its examples, where these
            were retrieved.
    """

    def __init__(
        self,
        loaded: Together,
        name: str,
        contexts: Sequence[Context],
        references: ItemSet,
        questions: ItemSet,
        templates: TemplateRenderer,
        store: MeasureStore,
        *,
        cache_bytes: Callable[[int], int],
        sampling: Sampling,
        max_tokens: int,
        found_in: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        self._found_in = found_in or {}
        self._loaded = loaded
        self._name = name
        self._contexts = contexts
        self._references = references.items
        self._questions = questions.items
        self._templates = templates
        self._store = store
        self._cache_bytes = cache_bytes
        self._sampling = sampling
        self._measured: list[MeasuredContext] = []
        self.cancelled = False
        """Whether it was ended before all was done."""
        self.troubles: list[str] = []
        """What could not be measured, and why: sentences."""
        self._answers = KeptAnswers(
            loaded,
            self._questions,
            templates,
            store,
            max_tokens=max_tokens,
            troubles=self.troubles,
        )

    def cancel(self) -> None:
        """Begin nothing more; what runs is ended by the engine's own `cancel`, after this."""
        self.cancelled = True
        self._answers.cancel()

    @property
    def measured(self) -> Sequence[MeasuredContext]:
        """The contexts of which all is done that can be."""
        return self._measured

    def steps(self, aligned: AlignedSide | None = None) -> Generator[MeasureStep, None, None]:
        """Measure what is left, as a generator of steps.

        Args:
            aligned: Reads all answers at the end, loaded in place of the model.

        Raises:
            EvaluateError: What was done can't be kept.
            EngineError: No preamble fits into the context. One that does not, among others that
                do, is told with what could not be measured.
            ModelError: A context can't be rendered for the model, or the aligned side not loaded.
            EngineDied: The worker ended; what was done is kept.
        """
        refused: EngineError | None = None
        for context in self._contexts:
            if self.cancelled:
                break
            try:
                yield from self._measure(context)
            except EngineDied:
                raise
            except EngineError as error:
                # Who is told to end may fail at that.
                if self.cancelled:
                    raise
                refused = error
                self.troubles.append(f"{context.name}: {error.message}")
        if refused is not None and not self._measured:
            raise refused
        if aligned is not None and not self.cancelled:
            yield from self._read_answers(aligned)

    def _measure(self, context: Context) -> Generator[MeasureStep, None, None]:
        loaded = self._loaded
        shown = render_conversation(context, [Exchanged("?")], loaded.info, self._templates)
        ready: PreambleReady = yield from loaded.model.prepare(shown.preamble).steps()
        reader = ReferenceReader(
            context_reader(self._name, loaded.model, loaded.info, context, self._templates)
        )
        texts = [
            (item, turn)
            for item in self._references
            for turn in range(len(item.turns))
            if reader.has(item, (), turn)
        ]
        readings: list[TextReading | None] = []
        for number, (item, turn) in enumerate(texts, start=1):
            found = yield from self._read(reader, item, (), turn, context)
            if self.cancelled:
                return
            readings.append(found)
            yield TextsRead(context.name, "reference answer", number, len(texts))
        answers = yield from self._answers.run(context.name, context, self._sampling)
        if self._answers.cancelled:
            self.cancelled = True
            return
        leads = yield from self._leads(context)
        self._measured.append(
            MeasuredContext(
                context=context,
                tokens=ready.tokens,
                prefill_s=ready.seconds if ready.source == "computed" else None,
                cache_bytes=self._cache_bytes(ready.tokens),
                references=tuple(readings),
                answers=tuple(answers),
                leads=leads,
            )
        )

    def _leads(self, context: Context) -> Generator[Event, None, tuple[Lead, ...]]:
        """What the retrieved examples of each question cost; nothing where none are."""
        seconds = self._found_in.get(context.name)
        if seconds is None:
            return ()
        asked = [item.turns[0] for item in self._questions]
        leads = [render_plain(context, [Exchanged(question)]).lead for question in asked]
        call = self._loaded.model.tokenize([lead for lead in leads if lead])
        counts = iter((yield from call.steps()))
        return tuple(
            Lead(tokens=sum(map(len, next(counts))) if lead else 0, seconds=seconds[question])
            for question, lead in zip(asked, leads, strict=True)
        )

    def _read(
        self,
        reader: Reader,
        item: Item,
        exchanges: Sequence[AnsweredTurn],
        turn: int,
        context: Context,
    ) -> Generator[Event, None, TextReading | None]:
        """A text as a reader reads it, from the store where it is there; None where it can't."""
        found = self._store.reading(reader.key(item, exchanges, turn))
        if found is not None or self.cancelled:
            return found
        try:
            found = yield from reader.read(item, exchanges, turn)
        except EngineDied:
            raise
        except (EngineError, ModelError) as error:
            # Who is told to end may fail at that.
            if not self.cancelled:
                self.troubles.append(f"{context.name}: {error.message}")
            return None
        self._store.keep_reading(found)
        return found

    def _read_answers(self, aligned: AlignedSide) -> Generator[MeasureStep, None, None]:
        """Have the aligned side read the answers of all contexts."""
        yield from aligned.open()
        for at, measured in enumerate(self._measured):
            answers = list(measured.answers)
            for place, (item, exchange) in enumerate(zip(self._questions, answers, strict=True)):
                if exchange is None or not aligned.has(item, (exchange,), 0):
                    continue
                found = yield from self._read(aligned, item, (exchange,), 0, measured.context)
                if self.cancelled:
                    return
                answers[place] = msgspec.structs.replace(exchange, aligned=found)
                yield TextsRead(
                    measured.context.name, "answer by the aligned side", place + 1, len(answers)
                )
            self._measured[at] = msgspec.structs.replace(measured, answers=tuple(answers))
