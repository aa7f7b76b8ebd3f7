"""The one place where the terminal application drives a comparison.

A run loads both sides (or keeps those that are loaded), has the aligned one answer, or
takes a given answer, and scores it. Stopped while the answer is being written, it scores
what there is; stopped again, or anywhere else, it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from typing import Protocol, TypeVar

import msgspec
from textual.message import Message

from urial_tui.chat.shown import ids_key
from urial_tui.compare.document import aggregates
from urial_tui.compare.items import Query, ScoredItem, document
from urial_tui.compare.runner import Comparison, Rechosen, Step
from urial_tui.compare.sides import Side
from urial_tui.compare.vocab import VocabRelation
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.protocol import (
    EngineOptions,
    Event,
    Loaded,
    LoadProgress,
    ModelInfo,
    Notice,
    PrefillProgress,
    PromptReady,
    Silence,
    TextDelta,
)
from urial_tui.errors import EngineDied, UrialError
from urial_tui.mistakes import explaining
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.host import FindModel
from urial_tui.tui.comparison_messages import (
    AnswerWritten,
    Compared,
    ComparisonEnded,
    Scoring,
    SideKind,
    SideLoading,
    SideUnpacking,
    TokenRechosen,
)
from urial_tui.tui.comparison_result import Result, result_of
from urial_tui.tui.job_thread import JobThread
from urial_tui.tui.messages import EngineNotice, EngineSilent
from urial_tui.tui.side_choice import SideChoice, side_of

_T = TypeVar("_T")


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared on: the answer to a question, or a given one.

    `ids`: the tokens that wrote the given answer, as far as they are known, `ids_key` whose they
    are, and `preamble` under which it was written; they are used while the aligned side is the
    model that wrote them.
    """

    query: str
    answer: str | None = None
    ids: tuple[int, ...] = ()
    ids_key: str = ""
    preamble: Preamble | None = None

    def ids_of(self, model: ModelInfo) -> tuple[int, ...]:
        """The tokens that wrote the answer, if this model wrote it."""
        own = self.preamble is not None and self.ids_key == ids_key(model, self.preamble)
        return self.ids if own else ()


class Scorer(Protocol):
    """What a run needs of a comparison (`runner.Comparison` has it)."""

    base: Side
    aligned: Side

    @property
    def relation(self) -> VocabRelation:
        """What the two vocabularies have in common."""
        ...

    @property
    def aligned_info(self) -> ModelInfo:
        """The aligned side's model, once it is loaded."""
        ...

    def open(self) -> Iterator[Event]:
        """Load both sides."""
        ...

    def answer(self, query: Query) -> Generator[Step, None, ScoredItem]:
        """Have a question answered and scored."""
        ...

    def given(
        self, query: Query, text: str, skip: int = 0, ids: tuple[int, ...] = ()
    ) -> Generator[Step, None, ScoredItem]:
        """Score a given answer."""
        ...

    def text_of(self, token: int) -> str:
        """A token's text."""
        ...

    @property
    def special(self) -> frozenset[int]:
        """Ids that are no content."""
        ...


MakeScorer = Callable[[Engine, Side, Side, EngineOptions, int, TemplateRenderer], Scorer]
"""(engine, base, aligned, options, longest answer in tokens, what renders chat templates) to a
comparison, not open yet."""


def make_comparison(
    engine: Engine,
    base: Side,
    aligned: Side,
    options: EngineOptions,
    max_tokens: int,
    templates: TemplateRenderer,
) -> Scorer:
    """The real one."""
    return Comparison(
        engine, base, aligned, options=options, templates=templates, max_tokens=max_tokens
    )


class ComparisonThread(JobThread[Engine]):
    """Runs comparisons, one at a time, and posts messages about them.

    Args:
        make_engine: Called once, in the thread.
        post: Delivers a message; must be callable from any thread.
        find_model: Looks the sides' models up; called in the thread.
        make_scorer: Makes the comparison of two sides.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        post: Callable[[Message], object],
        find_model: FindModel,
        make_scorer: MakeScorer = make_comparison,
    ) -> None:
        super().__init__(make_engine, post, "comparison")
        self._find_model = find_model
        self._make_scorer = make_scorer
        self._templates = TemplateRenderer()
        self._scorer: Scorer | None = None
        self._opened: tuple[SideChoice, SideChoice, EngineOptions, int] | None = None
        self._asked = False
        """Whether the user asked to stop, and that has led to nothing yet."""
        self._late = threading.Event()
        """Set where that found no request to cancel."""
        self._text = ""
        self._ids: tuple[int, ...] = ()
        self._ahead = 0
        """How many of the answer's tokens were scored before it was written on."""
        self._writing = False
        self._again = False
        """Whether the next text starts the answer anew."""
        self._loaded = 0

    def compare(
        self,
        base: SideChoice,
        aligned: SideChoice,
        subject: Subject,
        options: EngineOptions,
        max_tokens: int,
    ) -> None:
        """Compare two sides; ends with ComparisonEnded, after Compared if all went well."""
        self._asked = False
        self._late.clear()
        self._give(lambda engine: self._run(engine, base, aligned, subject, options, max_tokens))

    def stop(self) -> None:
        """Score what there is of the answer, or end; see the module's docstring."""
        self._asked = True
        self._templates.cancel()
        engine = self._engine
        if engine is not None and engine.busy:
            engine.cancel()
        else:
            self._late.set()

    def close(self) -> None:
        """End the running comparison and its processes; safe to call twice."""
        super().close()
        self._templates.close()

    # -- in the thread --------------------------------------------------------------

    def _run(
        self,
        engine: Engine,
        base: SideChoice,
        aligned: SideChoice,
        subject: Subject,
        options: EngineOptions,
        max_tokens: int,
    ) -> None:
        error: UrialError | None = None
        try:
            if not self._asked:
                scorer = self._open(engine, (base, aligned, options, max_tokens))
                item = self._score(engine, scorer, subject)
                self._tell(Compared(_result(item, scorer)))
        except UrialError as caught:
            if isinstance(caught, EngineDied) or not self._asked:
                error = caught
        self._tell(ComparisonEnded(error))

    @explaining()
    def _open(
        self, engine: Engine, wanted: tuple[SideChoice, SideChoice, EngineOptions, int]
    ) -> Scorer:
        if self._scorer is not None and self._opened == wanted and engine.alive:
            return self._scorer
        self._scorer = None
        self._loaded = 0
        base, aligned, options, max_tokens = wanted
        scorer = self._make_scorer(
            engine,
            self._side("base", base),
            self._side("aligned", aligned),
            options,
            max_tokens,
            self._templates,
        )
        self._follow(engine, _returning(scorer.open()))
        self._scorer, self._opened = scorer, wanted
        return scorer

    def _side(self, kind: SideKind, choice: SideChoice) -> Side:
        model = self._find_model(
            choice.model, lambda done, total: self._tell(SideUnpacking(kind, done, total))
        )
        return side_of(choice, model)

    @explaining()
    def _score(self, engine: Engine, scorer: Scorer, subject: Subject) -> ScoredItem:
        query = Query(id="1", text=subject.query)
        if subject.answer is not None:
            ids = subject.ids_of(scorer.aligned_info)
            return self._follow(engine, scorer.given(query, subject.answer, ids=ids))
        self._text, self._ids, self._ahead = "", (), 0
        self._writing, self._again = True, False
        try:
            return self._follow(engine, scorer.answer(query))
        except EngineDied:
            raise
        except UrialError:
            # A first stop while the answer is written ends the answer, not the comparison.
            if not (self._asked and self._writing and self._text):
                raise
            self._asked = False
            item = self._follow(engine, scorer.given(query, self._text, ids=self._ids))
            return msgspec.structs.replace(item, stop_reason="cancelled")

    def _follow(
        self, engine: Engine, events: Generator[Event, None, _T] | Generator[Step, None, _T]
    ) -> _T:
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                value: _T = end.value
                return value
            self._show(event)
            # These come in the middle of a request, so that there is one to cancel.
            midway = isinstance(event, LoadProgress | PrefillProgress | PromptReady | TextDelta)
            if midway and self._late.is_set():
                self._late.clear()
                engine.cancel()

    def _show(self, event: Step) -> None:
        match event:
            case LoadProgress(fraction=fraction):
                self._tell(SideLoading("base" if self._loaded else "aligned", fraction))
            case Loaded():
                self._loaded += 1
            case Rechosen(at=at, written=written, chosen=chosen, text=text, ids=ids):
                # What is written on starts with these tokens.
                self._text, self._ids, self._ahead = text, ids, len(ids)
                self._writing = self._again = True
                self._tell(TokenRechosen(at, written, chosen))
            case TextDelta(text=text, ids=ids, generated=generated):
                if self._again:
                    self._text, self._ids, self._again = "", (), False
                self._text += text
                self._ids += ids
                self._tell(AnswerWritten(self._text, self._ahead + generated))
            case PrefillProgress(stage="score", done=done, total=total):
                self._writing = False
                self._tell(Scoring(done, total))
            case Notice(message=message):
                self._tell(EngineNotice(message))
            case Silence():
                self._tell(EngineSilent(event))
            case _:
                pass


def _returning(events: Iterator[Event]) -> Generator[Event, None, None]:
    yield from events


def _result(item: ScoredItem, scorer: Scorer) -> Result:
    shown = document(item, scorer.text_of, scorer.special)
    whole = {
        "base": scorer.base.document(),
        "aligned": scorer.aligned.document(),
        "vocab": scorer.relation.document(),
    }
    found = aggregates([shown], special=scorer.special, text_of=scorer.text_of)
    return result_of(shown, whole | found)
