"""A comparison that finds what a script says, on scripted workers: for looks and for faults."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeVar

import numpy as np
from textual.message import Message

from tests import scripted
from tests.scripted import INFO, ScriptedEngine
from urial_tui.compare.items import ContextText, Query, ScoredItem
from urial_tui.compare.runner import Rechosen
from urial_tui.compare.sides import Side
from urial_tui.compare.vocab import ByteAgreement, VocabRelation
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.protocol import (
    EngineOptions,
    Event,
    Loaded,
    LoadProgress,
    PrefillProgress,
    ScoreSide,
    TextDelta,
    TokenSegment,
)
from urial_tui.engine.wire.scores import PositionScores
from urial_tui.errors import EngineError, ModelError
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.tui.comparison_thread import ComparisonThread
from urial_tui.tui.model_file import FindModel

Step = scripted.Step | Rechosen | ModelError
PartT = TypeVar("PartT")

END = 0
"""The id of the token that ends answers."""


class Script:
    """What the next comparisons do, and what they were asked.

    An answer is (text, base rank) of each token; those with the text "" are special.
    """

    def __init__(self, answer: list[tuple[str, int]]) -> None:
        self.engine = ScriptedEngine()
        self.answer = answer
        self.opening: list[Step] = [_loading(1.0)]
        self.writing: list[Step] = []
        self.scoring: list[Step] = []
        self.agreement: ByteAgreement | None = None
        self.rechosen = 0
        self.relation = VocabRelation(relation="identical", base_size=100, aligned_size=100)
        self.opened: list[tuple[Side, Side, EngineOptions, int]] = []
        self.queries: list[str] = []
        self.given: list[str] = []

    def thread(self, post: Callable[[Message], object], find: FindModel) -> ComparisonThread:
        def make(
            engine: Engine,
            base: Side,
            aligned: Side,
            options: EngineOptions,
            max_tokens: int,
            templates: TemplateRenderer,
        ) -> ScriptedComparison:
            self.opened.append((base, aligned, options, max_tokens))
            return ScriptedComparison(self, base, aligned)

        return ComparisonThread(lambda: self.engine, post, find, make)


class ScriptedComparison:
    """Has the form of `compare.runner.Comparison`."""

    def __init__(self, script: Script, base: Side, aligned: Side) -> None:
        self.base = base
        self.aligned = aligned
        self.relation = script.relation
        self.aligned_info = INFO
        self.special = frozenset({END})
        self._script = script
        self._engine = script.engine
        self._model: Model | None = None
        self._texts = ["<end_of_turn>", *dict.fromkeys(text for text, _ in script.answer if text)]

    def open(self) -> Iterator[Event]:
        for steps, _ in _parts(self._script.opening, Loaded):
            self._engine.enqueue_load(*steps)
            self._model = yield from self._engine.load(self.aligned.path).steps()

    def answer(self, query: Query) -> Generator[Event | Rechosen, None, ScoredItem]:
        self._script.queries.append(query.text)
        for steps, rechosen in _parts(self._script.writing, Rechosen):
            self._engine.enqueue(*steps)
            done = yield from self._loaded.generate(preamble=(), turns=((),)).steps()
            if done.stop_reason == "cancelled":
                raise EngineError("Stopped.")
            if rechosen is not None:
                yield rechosen
        return (yield from self._scored(query, "eos"))

    def given(
        self, query: Query, text: str, skip: int = 0, ids: tuple[int, ...] = ()
    ) -> Generator[Event | Rechosen, None, ScoredItem]:
        self._script.queries.append(query.text)
        self._script.given.append(text)
        return (yield from self._scored(query, "given"))

    @property
    def _loaded(self) -> Model:
        assert self._model is not None, "the comparison is not open"
        return self._model

    def text_of(self, token: int) -> str:
        return self._texts[token] if token < len(self._texts) else f" other{token}"

    def _scored(self, query: Query, reason: str) -> Generator[Event | Rechosen, None, ScoredItem]:
        ((steps, _),) = _parts(self._script.scoring, Rechosen)
        self._engine.enqueue_score(*steps)
        request = ScoreSide(id=0, model=0, context=(), answer=TokenSegment(ids=()))
        yield from self._loaded.score(request).steps()
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


def _parts(
    steps: Sequence[Step], kind: type[PartT]
) -> Iterator[tuple[list[scripted.Step], PartT | None]]:
    """Steps in parts, and what ends each of them; nothing ends the last one.

    Raises:
        ModelError: It is among them: a file that is refused is seen by no worker.
    """
    part: list[scripted.Step] = []
    for step in steps:
        if isinstance(step, kind):
            yield part, step
            part = []
        elif isinstance(step, ModelError):
            raise step
        else:
            assert not isinstance(step, Rechosen)
            part.append(step)
    yield part, None


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
