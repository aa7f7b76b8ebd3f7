"""The plan of measuring contexts: all that it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from urial_tui.compare.provenance import RunRecord, file_records, run_record
from urial_tui.compare.sides import Side
from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.values import EngineOptions, Sampling
from urial_tui.errors import ModelError, RetrievalError, UsageError
from urial_tui.evaluate.context_measures import measures_document
from urial_tui.evaluate.generate import pool_tokens
from urial_tui.evaluate.greedy import greedy_sampling, sampling_document
from urial_tui.evaluate.items import ItemSet
from urial_tui.evaluate.measure_store import MeasureStore
from urial_tui.evaluate.measuring import Measuring
from urial_tui.evaluate.own_texts import find_references, own_questions
from urial_tui.evaluate.planned import Planned
from urial_tui.evaluate.readers import AlignedSide
from urial_tui.models.header import inspect_header
from urial_tui.models.memory_need import cache_bytes
from urial_tui.models.registry import ResolvedModel, resolve
from urial_tui.prompting.context import Context, find_context
from urial_tui.prompting.preamble import Example
from urial_tui.prompting.preamble_file import list_preambles
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.host import Unpacking
from urial_tui.runtime.retriever import Prepared, with_examples
from urial_tui.runtime.together import Together, load_together
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings, engine_options

_FIRST = "zero-shot"
"""What all preambles are compared with, where none is named."""


class MeasureChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What was chosen to be measured; None for what was not.

    `names`: contexts, by default all preambles. `answers`: a file of questions with reference
    answers. `limit`: only the first of these, and of the questions. `aligned`: a model that reads
    the answers. `parallel`: answers at once, by default what the memory holds. `sampling`: how the
    tokens of answers are chosen, by default as the settings say, at temperature 0.
    """

    names: tuple[str, ...] = ()
    model: str | None = None
    answers: str | None = None
    aligned: str | None = None
    limit: int | None = None
    max_tokens: int | None = None
    parallel: int | None = None
    sampling: Sampling | None = None


class PlannedMeasuring(Planned[Measuring]):
    """The plan of measuring contexts: its texts and contexts, found; its model, once it is loaded.

    Args:
        choice: What was chosen.
        settings: What counts where nothing was.
        store: Keeps what is done.

    Raises:
        EvaluateError: The reference answers can't be read, or there are none.
        PreambleError: There is no such preamble.
        UsageError: A context is named twice, or needs another side.
    """

    def __init__(self, choice: MeasureChoice, settings: Settings, store: MeasureStore) -> None:
        self._choice = choice
        self._settings = settings
        self._store = store
        self.contexts = _contexts(choice.names)
        self.references = _limited(find_references(choice.answers), choice.limit)
        self.questions = _limited(own_questions(), choice.limit)
        self.max_tokens = choice.max_tokens or settings.chat.max_tokens
        self.sampling = choice.sampling or greedy_sampling(settings)
        self._model: ResolvedModel | None = None
        self._aligned: ResolvedModel | None = None
        self._loaded: Together | None = None
        self._side: AlignedSide | None = None
        self.notes: list[str] = []
        """What is to be said of the examples that were retrieved, in sentences."""

    def load(
        self,
        engine: Engine,
        templates: TemplateRenderer,
        unpacking: Unpacking = lambda done, total: None,
    ) -> EventSteps[Measuring]:
        """Load the model, as `planned.Planned` says: the events, and what measures.

        Examples that are retrieved are found before. Of preambles that nobody named, those whose
        examples can't be had are left out, and told with what could not be measured.

        Raises:
            RetrievalError: The index of a preamble that was named can't be used.
        """
        resolved = resolve(self._choice.model or self._settings.chat.model, progress=unpacking)
        if self._choice.aligned is not None:
            # Told before anything is computed.
            self._aligned = resolve(self._choice.aligned, progress=unpacking)
        options = engine_options(self._settings)
        found_in, left_out = yield from self._retrieve(engine, options)
        asked = [item.turns[0] for item in self.questions.items]
        largest = max(self.contexts, key=lambda context: _size(context, asked))
        loaded = yield from load_together(
            engine,
            resolved,
            options,
            pool_tokens(
                self.questions.items, largest, max_tokens=self.max_tokens, n_ctx=options.n_ctx
            ),
            self._choice.parallel,
        )
        self._model, self._loaded = resolved, loaded
        header = inspect_header(resolved.path)
        measuring = Measuring(
            loaded,
            resolved.title,
            self.contexts,
            self.references,
            self.questions,
            templates,
            self._store,
            cache_bytes=lambda tokens: cache_bytes(header, loaded.info.kv_type, tokens),
            sampling=self.sampling,
            max_tokens=self.max_tokens,
            found_in=found_in,
        )
        measuring.troubles += left_out
        return measuring

    def _retrieve(
        self, engine: Engine, options: EngineOptions
    ) -> EventSteps[tuple[dict[str, Mapping[str, float]], list[str]]]:
        """Find the examples of all questions, for the contexts that get them from a pool.

        Returns:
            By context and question, the seconds it took; and what is to be said of contexts that
            are left out.
        """
        asked = [item.turns[0] for item in self.questions.items]
        asked += [turn for item in self.references.items for turn in item.turns]
        found_in: dict[str, Mapping[str, float]] = {}
        left_out: list[str] = []
        contexts: list[Context] = []
        for context in self.contexts:
            try:
                prepared: Prepared = yield from with_examples(context, asked, engine, options)
            except (RetrievalError, ModelError) as error:
                if self._choice.names:
                    raise
                left_out.append(f"{context.name}: {error.message}")
                continue
            contexts.append(prepared.context)
            self.notes += prepared.notes
            if prepared.context.retrieved is not None:
                found_in[context.name] = prepared.seconds
        self.contexts = tuple(contexts)
        return found_in, left_out

    def aligned_side(self, engine: Engine, templates: TemplateRenderer) -> AlignedSide | None:
        """The side that reads the answers in place of the model that was loaded, if one does."""
        if self._aligned is None or self._loaded is None:
            return None
        side = Side.of(self._aligned.title, self._aligned, Context(name="chat"))
        self._side = AlignedSide(
            engine,
            side,
            engine_options(self._settings),
            templates,
            instead_of=self._loaded.model,
        )
        return self._side

    def document(self, measuring: Measuring, command: Sequence[str]) -> dict[str, Any]:
        """What came of it, see docs/json.md.

        Args:
            measuring: What measured.
            command: The command line, without what a shell took from it.
        """
        assert self._model is not None, "nothing is loaded"
        assert self._loaded is not None, "nothing is loaded"
        return measures_document(
            measuring.measured,
            [item.turns[0] for item in self.questions.items],
            model=self._model.title,
            aligned=None if self._aligned is None else self._aligned.title,
            references={
                "name": self.references.name,
                "texts": sum(len(item.references) for item in self.references.items),
            },
            questions={"name": self.questions.name, "texts": len(self.questions.items)},
            sampling=sampling_document(self.sampling),
            max_tokens=self.max_tokens,
            parallel=self._loaded.parallel,
            troubles=measuring.troubles,
            run=msgspec.to_builtins(self._run(self._model, self._loaded, command)),
        )

    def _run(self, model: ResolvedModel, loaded: Together, command: Sequence[str]) -> RunRecord:
        """How it was measured."""
        limits = {
            "max_tokens": self.max_tokens,
            "parallel": loaded.parallel,
            "n_ctx": loaded.info.n_ctx,
        }
        files = {"model": file_records(model.path, model.adapter, loaded.info)}
        info = None if self._side is None else self._side.info
        if self._aligned is not None and info is not None:
            files |= {"aligned": file_records(self._aligned.path, self._aligned.adapter, info)}
        return run_record(loaded.info, files, limits=limits, command=command)


def _contexts(names: tuple[str, ...]) -> tuple[Context, ...]:
    """The contexts of names; all preambles where none is given, the plain one first."""
    if not names:
        usable = [entry.name for entry in list_preambles() if entry.preamble is not None]
        names = tuple(sorted(usable, key=lambda name: (name != _FIRST, name)))
    contexts = tuple(find_context(name) for name in names)
    if any(context.is_same for context in contexts):
        raise UsageError(
            "The context `same` needs another side to copy, and there is none.",
            "Name chat, raw or preambles.",
        )
    found = [context.name for context in contexts]
    twice = next((name for name in found if found.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"Two contexts are called {sanitize_line(twice)}.", "Give each a name of its own."
        )
    return contexts


def _limited(found: ItemSet, limit: int | None) -> ItemSet:
    return msgspec.structs.replace(found, items=found.items[:limit])


def _size(context: Context, questions: Sequence[str]) -> int:
    """Characters of a context's examples and system text, for room to be planned."""
    if context.preamble is None:
        return 0
    retrieved = (_length(context.examples_for(question) or ()) for question in questions)
    fixed = len(context.preamble.system) + _length(context.preamble.examples)
    return fixed + max(retrieved, default=0)


def _length(examples: Iterable[Example]) -> int:
    return sum(len(one.query) + len(one.answer) for one in examples)
