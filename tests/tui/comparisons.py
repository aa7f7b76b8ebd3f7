"""A comparison that plays a script, on an engine that does nothing: for looks and for faults."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from functools import partial
from typing import Any

import numpy as np

from tests.scripted import INFO, Gate
from urial_tui.compare.items import ContextText, Query, ScoredItem
from urial_tui.compare.runner import Comparison
from urial_tui.compare.side_pair import Rechosen, SidePair
from urial_tui.compare.sides import Side
from urial_tui.compare.vocab import ByteAgreement, VocabRelation
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import Event, Loaded, LoadProgress, PrefillProgress, TextDelta
from urial_tui.engine.wire.scores import PositionScores
from urial_tui.engine.wire.values import EngineOptions, ModelInfo
from urial_tui.errors import EngineError
from urial_tui.prompting.context import Context
from urial_tui.runtime.host import FindModel
from urial_tui.tui.compare.comparison_engine import ComparisonEngine

Step = Event | Rechosen | Gate | BaseException

END = 0
"""The id of the token that ends answers."""


class IdleEngine(Engine):
    """Takes what is asked of an engine while a comparison runs, and remembers it."""

    alive = True

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        self.cancelled.set()

    def close(self) -> None:
        self.closed = True
        self.cancelled.set()


class Script:
    """What the next comparisons do, and what they were asked.

    An answer is (text, base rank) of each token; those with the text "" are special.
    """

    def __init__(self, answer: list[tuple[str, int]]) -> None:
        self.engine = IdleEngine()
        self.answer = answer
        self.opening: list[Step] = [_loading(1.0)]
        self.writing: list[Step] = []
        self.scoring: list[Step] = []
        self.agreement: ByteAgreement | None = None
        self.rechosen = 0
        self.relation = VocabRelation(relation="identical", base_size=100, aligned_size=100)
        self.opened: list[tuple[Side, Side, EngineOptions, int]] = []
        self.queries: list[str] = []
        self.contexts: list[tuple[Context, Context]] = []
        self.given: list[str] = []

    def comparison_engine(self, find: FindModel) -> ComparisonEngine:
        """What an application has behind its compare screen."""
        return ComparisonEngine(lambda: self.engine, find, partial(ScriptedComparison, self))

    def play(self, steps: list[Step]) -> Iterator[Event | Rechosen]:
        self.engine.cancelled.clear()
        for step in steps:
            if isinstance(step, Gate):
                step.wait(self.engine.cancelled.is_set)
                if self.engine.cancelled.is_set():
                    raise EngineError("Stopped.")
            elif isinstance(step, BaseException):
                raise step
            else:
                yield step


class ScriptedComparison(Comparison):
    """Plays its script in place of what two loaded models would do."""

    def __init__(self, script: Script, engine: Engine, base: Side, aligned: Side, **how: Any):
        super().__init__(SidePair(engine, base, aligned, **how))
        script.opened.append((base, aligned, how["options"], how["max_tokens"]))
        self._script = script
        self._texts = ["<end_of_turn>", *dict.fromkeys(text for text, _ in script.answer if text)]

    @property
    def loaded(self) -> bool:
        return self._script.engine.alive

    @property
    def relation(self) -> VocabRelation:
        return self._script.relation

    @property
    def aligned_info(self) -> ModelInfo:
        return INFO

    @property
    def special(self) -> frozenset[int]:
        return frozenset({END})

    def open(self) -> Iterator[Event]:
        for step in self._script.play(self._script.opening):
            assert not isinstance(step, Rechosen)
            yield step

    def answer(self, query: Query) -> Generator[Event | Rechosen, None, ScoredItem]:
        self._script.queries.append(query.text)
        self._script.contexts.append((self.base.context, self.aligned.context))
        yield from self._script.play(self._script.writing)
        return (yield from self._scored(query, "eos"))

    def given(
        self, query: Query, text: str, skip: int = 0, ids: tuple[int, ...] = ()
    ) -> Generator[Event | Rechosen, None, ScoredItem]:
        self._script.queries.append(query.text)
        self._script.contexts.append((self.base.context, self.aligned.context))
        self._script.given.append(text)
        return (yield from self._scored(query, "given"))

    def text_of(self, token: int) -> str:
        return self._texts[token] if token < len(self._texts) else f" other{token}"

    def _scored(self, query: Query, reason: str) -> Generator[Event | Rechosen, None, ScoredItem]:
        yield from self._script.play(self._script.scoring)
        answer = [] if self._script.agreement else self._script.answer
        ids = [self._texts.index(text) if text else END for text, _ in answer]
        context = ContextText(text="# Query", ids=(1, 2))
        return ScoredItem(
            id=query.id,
            query=query.text,
            answer="".join(text for text, _ in self._script.answer),
            stop_reason=reason,
            base_context=context,
            aligned_context=context,
            scores=scores(ids, [rank for _, rank in answer]),
            n_bytes=10,
            bytes=self._script.agreement,
            rechosen=None if reason == "given" else self._script.rechosen,
        )


def scores(ids: list[int], ranks: list[int]) -> PositionScores:
    """Scores of tokens that the base side ranks so; the other numbers follow from the rank."""
    n, k = len(ids), 10
    made = PositionScores.empty(n, k, k)
    made.ids[:] = ids
    made.rank[:] = ranks
    rank = np.maximum(made.rank, 1).astype(np.float32)
    made.logp_base[:] = np.log(0.6 / rank)
    made.logp_aligned[:] = np.log(0.7)
    made.kl_aligned_base[:] = np.log(rank)
    made.kl_base_aligned[:] = np.log(rank) / 2
    made.js[:] = np.log(2) * (1 - 1 / np.sqrt(rank))
    made.entropy_base[:] = 2.5
    made.entropy_aligned[:] = 1.25
    made.outside_base[:] = made.outside_aligned[:] = 0
    made.argmax_aligned[:] = ids
    others = np.arange(900, 900 + k)
    p = 0.7 * 0.5 ** np.arange(k)
    for t, (token, place) in enumerate(zip(ids, ranks, strict=True)):
        made.top_aligned_ids[t] = [token, *others[1:]]
        made.top_aligned_p[t] = p
        made.top_base_ids[t] = others
        made.top_base_p[t] = p * 0.8
        if 1 <= place <= k:
            made.top_base_ids[t, place - 1] = token
        made.argmax_base[t] = made.top_base_ids[t, 0]
    return made


def _loading(fraction: float) -> LoadProgress:
    return LoadProgress(id=0, fraction=fraction)


def loading(*fractions: float) -> list[Step]:
    """The first side is loaded; the other one's progress follows."""
    return [_loading(1.0), Loaded(id=0, info=INFO, load_s=0.1), *map(_loading, fractions)]


def written(text: str) -> list[Step]:
    """An answer as it comes, a word at a time."""
    words = text.split(" ")
    return [
        TextDelta(id=0, text=word if not number else f" {word}", generated=number + 1)
        for number, word in enumerate(words)
    ]


def scoring(done: int, total: int) -> PrefillProgress:
    return PrefillProgress(id=0, stage="score", done=done, reused=0, total=total)
