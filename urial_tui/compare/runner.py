"""A comparison of two sides: opens them, and makes a scored item of each task.

Two ways, the same numbers. With both models in memory, each batch of positions is evaluated
on both and reduced at once (`both_at_once`). With room for one only, the aligned side's
distributions of a few items are put aside on disk, and scored against the base side when that one
is loaded (`one_by_one`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Final, Literal, Protocol

import msgspec

from urial_tui.compare.both_at_once import BothAtOnce
from urial_tui.compare.items import Query, ScoredItem
from urial_tui.compare.noise import Measure, Noise, measure_noise
from urial_tui.compare.one_by_one import OneByOne
from urial_tui.compare.reading import whole_characters
from urial_tui.compare.side_pair import ComparisonStep, SidePair, tokens
from urial_tui.compare.sides import Side, Task
from urial_tui.compare.vocab import VocabRelation
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import Event
from urial_tui.engine.wire.limits import Purpose
from urial_tui.engine.wire.values import EngineOptions, ModelInfo, TextSegment
from urial_tui.prompting.context import SAMPLE, Context
from urial_tui.prompting.conversation import context_form
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.memory_plan import PLAN, MemoryPlan

MemoryMode = Literal["auto", "both", "one"]
"""How many models are in memory at a time."""


class Strategy(Protocol):
    """A strategy of comparing: how two models share the memory, and how items are scored so."""

    def open(self) -> Iterator[Event]:
        """Load what is needed, and read the vocabularies."""
        ...

    def run(
        self, tasks: Iterable[Task], measure: Measure
    ) -> Generator[ComparisonStep | ScoredItem, None, None]:
        """Carry out tasks: their steps, and each item when it is done, with its noise floor."""
        ...


class Comparison:
    """Two sides that are compared.

    `open` first; then `run` for a list of tasks, or `answer` and `given` for one, which are
    iterators of the engine's events whose return value is the scored item.

    Args:
        pair: The sides.
        strategy: How their models share the memory.
    """

    def __init__(
        self, pair: SidePair, strategy: Callable[[SidePair], Strategy] = BothAtOnce
    ) -> None:
        self.strategy = strategy(pair)
        """How the models share the memory."""
        self.noise_wanted = True
        """Whether `run` still has to measure the noise floor, on the first item that serves."""
        self._pair = pair

    def open(self) -> Iterator[Event]:
        """Load the sides and compare their vocabularies.

        Raises:
            EngineError: A side can't be loaded.
            UsageError: The contexts, or these models, can't be compared so.
        """
        yield from self.strategy.open()
        # A template that can't be rendered is better known before the first answer.
        for side in (self.aligned, self.base):
            if not side.context.is_same:
                self._pair.shown(side, "?")

    @property
    def loaded(self) -> bool:
        """Whether it is open, and what it has in memory is still there."""
        models = self._pair.models.values()
        return self._pair.is_read and bool(models) and all(model.loaded for model in models)

    def run(self, tasks: Iterable[Task]) -> Generator[ComparisonStep | ScoredItem, None, None]:
        """Carry out tasks: their steps, and each item when it is done."""
        return self.strategy.run(tasks, self._measure)

    def answer(self, query: Query) -> Generator[ComparisonStep, None, ScoredItem]:
        """The aligned side's greedy answer to a query, scored on both sides."""
        return self._alone(Task(query=query))

    def given(
        self, query: Query, text: str, skip: int = 0, ids: tuple[int, ...] = ()
    ) -> Generator[ComparisonStep, None, ScoredItem]:
        """A given text as the answer to a query, scored on both sides.

        Its first `skip` tokens, but never all, stand in both contexts and are not scored.
        `ids`: the tokens that wrote it or its start; left aside where they do not spell it.

        Raises:
            EngineError: The text is empty, or too long for a model.
        """
        return self._alone(Task(query=query, text=text, skip=skip, ids=ids))

    def windows(self, text: str, window: int) -> list[str]:
        """A long text in pieces of at most `window` tokens, cut between characters."""
        turn = (TextSegment(text=text),)
        ids = self._pair.models["aligned"].tokenize([turn]).result()[0][0]
        pieces: list[str] = []
        rest = b""
        for start in range(0, len(ids), window):
            data = rest + self._pair.vocabularies.spelled(ids[start : start + window])
            piece, rest = whole_characters(data)
            pieces.append(piece)
        if rest and pieces:
            pieces[-1] += rest.decode("utf-8", "replace")
        return pieces

    def change_contexts(self, base: Context, aligned: Context) -> None:
        """Go on with the same models in other contexts."""
        pair = self._pair
        pair.base = msgspec.structs.replace(pair.base, context=base)
        pair.aligned = msgspec.structs.replace(pair.aligned, context=aligned)

    def sample(self, side: Side) -> tuple[object, ...]:
        """What a side is shown of a question, and what ends its answer: all of its context."""
        return context_form(side.context, self._pair.shown(side, SAMPLE))

    def text_of(self, token: int) -> str:
        """A token's text; bytes that are no UTF-8 as \\xNN."""
        return self._pair.vocabularies.text_of(token)

    @property
    def base(self) -> Side:
        """The base side."""
        return self._pair.base

    @property
    def aligned(self) -> Side:
        """The aligned side."""
        return self._pair.aligned

    @property
    def base_info(self) -> ModelInfo:
        """The base side's model, once it was loaded."""
        return self._pair.infos["base"]

    @property
    def aligned_info(self) -> ModelInfo:
        """The aligned side's model, once it was loaded."""
        return self._pair.infos["aligned"]

    @property
    def relation(self) -> VocabRelation:
        """What the two vocabularies have in common."""
        return self._pair.relation

    @property
    def special(self) -> frozenset[int]:
        """Ids of the tokens that are no content: control tokens."""
        return self._pair.vocabularies.special

    def _alone(self, task: Task) -> Generator[ComparisonStep, None, ScoredItem]:
        found: ScoredItem | None = None
        with contextlib.closing(self.strategy.run([task], _unmeasured)) as steps:
            for step in steps:
                if isinstance(step, ScoredItem):
                    found = step
                else:
                    yield step
        assert found is not None
        return found

    def _measure(
        self, context: tuple[int, ...], ids: Iterable[int]
    ) -> Generator[Event, None, Noise | None]:
        """The noise floor on an answer behind a context of the aligned side, if still wanted."""
        if not self.noise_wanted:
            return None
        # BOS is added again.
        head = context[1:] if self.aligned_info.adds_bos else context
        model = self._pair.models["aligned"]
        read = tuple(ids)
        noise = yield from measure_noise(model, tokens(head), read, len(context) + len(read))
        self.noise_wanted = noise is None
        return noise


def _unmeasured(
    _context: tuple[int, ...], _ids: Iterable[int]
) -> Generator[Event, None, Noise | None]:
    """No noise floor, for an answer that is looked at alone."""
    yield from ()
    return None


_STRATEGIES: Final[dict[str, Callable[[SidePair], Strategy]]] = {
    "both": BothAtOnce,
    "one": OneByOne,
}


def comparison_of(
    engine: Engine,
    base: Side,
    aligned: Side,
    *,
    options: EngineOptions,
    templates: TemplateRenderer,
    max_tokens: int = 300,
    top_k: int = 10,
    memory: MemoryMode = "auto",
    plan: MemoryPlan = PLAN,
) -> Comparison:
    """A comparison with both models in memory, or one by one where there is no room for both.

    Args:
        engine, base, aligned, options, templates, max_tokens, top_k: As of `SidePair`.
        memory: What of these it is; "auto" looks.
        plan: What else is in memory.

    Raises:
        ModelError: A file is no model.
    """
    if memory == "auto":
        models: list[tuple[Path, Purpose]] = [(aligned.path, "aligned"), (base.path, "base")]
        fit = plan.fits(models, options, owner=engine, replacing=engine)
        memory = "both" if fit else "one"
    pair = SidePair(
        engine,
        base,
        aligned,
        options=options,
        templates=templates,
        max_tokens=max_tokens,
        top_k=top_k,
    )
    return Comparison(pair, _STRATEGIES[memory])
