"""The plan of a sweep of settings: all that it takes."""

from __future__ import annotations

from typing import Any

import msgspec

from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.engine import Engine
from urial_tui.errors import UsageError
from urial_tui.evaluate.generate import pool_tokens
from urial_tui.evaluate.measure_store import MeasureStore
from urial_tui.evaluate.own_texts import own_questions
from urial_tui.evaluate.planned import Planned
from urial_tui.evaluate.sweep import sweep_document
from urial_tui.evaluate.sweeping import Grid, Sweeping
from urial_tui.models.registry import ResolvedModel, resolve
from urial_tui.prompting.context import find_context
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.host import Unpacking
from urial_tui.runtime.retriever import with_examples
from urial_tui.runtime.together import Together, load_together
from urial_tui.settings import Settings, engine_options, sampling

MOST_SETTINGS = 200
"""Each answers all questions: more take days, or are a mistake."""


class SweepChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What was chosen to be swept; None for what was not.

    `name`: the context. `grid`: the settings. `limit`: only the first of the questions. `seed`: of
    what is drawn. `parallel`: answers at once, by default what the memory holds.
    """

    grid: Grid
    name: str | None = None
    model: str | None = None
    limit: int | None = None
    max_tokens: int | None = None
    parallel: int | None = None
    seed: int = 0


class PlannedSweep(Planned[Sweeping]):
    """The plan of a sweep: its context and settings, found; its model, once it is loaded.

    Args:
        choice: What was chosen.
        settings: What counts where nothing was.
        store: Keeps what is done.

    Raises:
        PreambleError: There is no such preamble.
        UsageError: There are too many settings, or the context needs another side.
    """

    def __init__(self, choice: SweepChoice, settings: Settings, store: MeasureStore) -> None:
        self._choice = choice
        self._settings = settings
        self._store = store
        self.context = find_context(choice.name or settings.chat.preamble)
        if self.context.is_same:
            raise UsageError(
                "The context `same` needs another side to copy, and there is none.",
                "Name chat, raw or a preamble.",
            )
        self.samplings = choice.grid.settings(sampling(settings, seed=choice.seed))
        if len(self.samplings) > MOST_SETTINGS:
            raise UsageError(
                f"These are {len(self.samplings):,} settings, and {MOST_SETTINGS} can be swept.",
                "Give fewer values.",
            )
        found = own_questions()
        self.questions = msgspec.structs.replace(found, items=found.items[: choice.limit])
        self.max_tokens = choice.max_tokens or settings.chat.max_tokens
        self._model: ResolvedModel | None = None
        self._loaded: Together | None = None
        self.notes: list[str] = []
        """What is to be said of the examples that were retrieved, in sentences."""

    @property
    def answers(self) -> int:
        """How many there will be."""
        return len(self.samplings) * len(self.questions.items)

    @property
    def at_once(self) -> int:
        """How many are written together, once the model is loaded."""
        return 1 if self._loaded is None else self._loaded.parallel

    def load(
        self,
        engine: Engine,
        templates: TemplateRenderer,
        unpacking: Unpacking = lambda done, total: None,
    ) -> EventSteps[Sweeping]:
        """Load the model, as `planned.Planned` says: the events, and what sweeps.

        Raises:
            RetrievalError: The examples of the questions can't be had.
        """
        resolved = resolve(self._choice.model or self._settings.chat.model, progress=unpacking)
        options = engine_options(self._settings)
        prepared = yield from with_examples(
            self.context, [item.turns[0] for item in self.questions.items], engine, options
        )
        self.context, self.notes = prepared.context, prepared.notes
        pool = pool_tokens(
            self.questions.items, self.context, max_tokens=self.max_tokens, n_ctx=options.n_ctx
        )
        loaded = yield from load_together(engine, resolved, options, pool, self._choice.parallel)
        self._model, self._loaded = resolved, loaded
        return Sweeping(
            loaded,
            self.context,
            self.samplings,
            self.questions,
            templates,
            self._store,
            max_tokens=self.max_tokens,
        )

    def document(self, sweeping: Sweeping) -> dict[str, Any]:
        """What came of it, see docs/json.md."""
        assert self._model is not None, "nothing is loaded"
        assert self._loaded is not None, "nothing is loaded"
        return sweep_document(
            sweeping.swept,
            self.context,
            model=self._model.title,
            questions={"name": self.questions.name, "texts": len(self.questions.items)},
            max_tokens=self.max_tokens,
            parallel=self._loaded.parallel,
            seed=self._choice.seed,
            troubles=sweeping.troubles,
        )
