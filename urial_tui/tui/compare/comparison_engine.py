"""The engine behind the compare screen: two sides in memory, and one comparison at a time.

The steps of a comparison are read in another thread; all else runs in the application's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Literal, TypeVar

import msgspec

from urial_tui.compare.comparison_result import ComparisonResult, result_of
from urial_tui.compare.comparison_start import ComparisonSubject
from urial_tui.compare.document import aggregates
from urial_tui.compare.items import Query, ScoredItem, document
from urial_tui.compare.runner import Comparison, comparison_of
from urial_tui.compare.side_choice import SideChoice, side_of
from urial_tui.compare.side_pair import ComparisonStep, Rechosen
from urial_tui.compare.sides import Side
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import PrefillProgress, TextDelta
from urial_tui.engine.wire.values import EngineOptions
from urial_tui.errors import EngineError
from urial_tui.mistakes import explaining
from urial_tui.prompting.context import SAMPLE
from urial_tui.prompting.templates.renderer import TemplateRenderer
from urial_tui.runtime.host import FindModel
from urial_tui.runtime.in_thread import in_loop, in_thread
from urial_tui.runtime.memory_plan import PLAN
from urial_tui.runtime.open_retriever import OpenRetriever

SideKind = Literal["base", "aligned"]

OnStep = Callable[[ComparisonStep], object]
"""Gets a step, in the event loop."""

SideUnpacking = Callable[[SideKind, int, int], object]
"""Told in the event loop how much of a side's file is put together: bytes done, bytes in all."""

_T = TypeVar("_T")

_Opened = tuple[SideChoice, SideChoice, EngineOptions, int]
"""What a comparison was opened with: base, aligned, options, the longest answer in tokens."""


class Written:
    """The aligned side's answer while it streams in."""

    def __init__(self) -> None:
        self.text = ""
        self.ids: tuple[int, ...] = ()
        self.tokens = 0
        """How many were written, those that were scored before among them."""
        self._scoring = False
        self._ahead = 0
        """How many were scored before the rest was written on."""
        self._again = False
        """Whether the next text starts the answer anew."""

    @property
    def serves(self) -> bool:
        """Whether it is being written, so that its text so far can be scored."""
        return bool(self.text) and not self._scoring

    def take(self, step: ComparisonStep) -> None:
        """Apply a step to it."""
        match step:
            case Rechosen(text=text, ids=ids):
                # What is written on starts with these tokens.
                self.text, self.ids, self._ahead = text, ids, len(ids)
                self._scoring, self._again = False, True
            case TextDelta(text=text, ids=ids, generated=generated):
                if self._again:
                    self.text, self.ids, self._again = "", (), False
                self.text += text
                self.ids += ids
                self.tokens = self._ahead + generated
            case PrefillProgress(stage="score"):
                self._scoring = True
            case _:
                pass


class ComparisonEngine:
    """Loads two sides, has the aligned one answer, and scores; `stop` at any time.

    Args:
        make_engine: Called once, in another thread, when it is needed.
        find: Looks the sides' models up, in another thread.
        make_comparison: Makes the comparison of two sides; in another thread.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        find: FindModel,
        make_comparison: Callable[..., Comparison] = comparison_of,
    ) -> None:
        self.written = Written()
        """The newest answer."""
        self._make_engine = make_engine
        self._find = find
        self._make_comparison = make_comparison
        self._engine: Engine | None = None
        self._retriever = OpenRetriever(make_engine)
        self._templates = TemplateRenderer()
        self._comparison: Comparison | None = None
        self._opened: _Opened | None = None
        self._comparing: asyncio.Task[ComparisonResult] | None = None
        self._answering: asyncio.Task[ComparisonResult] | None = None
        """The part of it that a first `stop` ends."""
        self._closed = False

    async def compare(
        self,
        base: SideChoice,
        aligned: SideChoice,
        subject: ComparisonSubject,
        options: EngineOptions,
        max_tokens: int,
        *,
        take: OnStep,
        unpacking: SideUnpacking,
    ) -> ComparisonResult | None:
        """Compare two sides on an answer; those that are loaded already are kept.

        Args:
            base: The base side.
            aligned: The aligned side, which answers where no answer is given.
            subject: The question, and the answer if there is one.
            options: How the sides are loaded.
            max_tokens: The longest answer.
            take: Told what happens.
            unpacking: Told where a model's file has to be made first.

        Returns:
            None where `stop` ended it.

        Raises:
            UrialError: There is no result.
        """
        opened = (base, aligned, options, max_tokens)
        self._comparing = asyncio.ensure_future(self._compare(opened, subject, take, unpacking))
        try:
            return await self._comparing
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            return None
        finally:
            self._comparing = None
            if self._closed:
                # What was under way may have started a process behind that.
                await asyncio.to_thread(self.close)

    def stop(self) -> None:
        """Stop an answer that is being written, and score what there is; cancel all else."""
        if self._answering is not None and self.written.serves:
            self._answering.cancel()
            self._answering = None
        elif self._comparing is not None:
            self._comparing.cancel()

    def close(self) -> None:
        """End what runs and its processes; any thread, safe to call twice."""
        self._closed = True
        self._templates.close()
        self._retriever.close()
        if self._engine is not None:
            self._engine.close()

    async def _compare(
        self, opened: _Opened, subject: ComparisonSubject, take: OnStep, unpacking: SideUnpacking
    ) -> ComparisonResult:
        comparison = await self._read(self._open(opened, _until_cancelled(unpacking)), take)
        await self._read(self._retrieve(comparison, subject, opened[2]), take)
        query = Query(id="1", text=subject.query)
        if subject.answer is not None:
            ids = subject.ids_of(comparison.aligned_info)
            given = comparison.given(query, subject.answer, ids=ids)
            return await self._read(_scored(comparison, given), take)
        self.written = written = Written()

        def take_written(step: ComparisonStep) -> None:
            written.take(step)
            take(step)

        self._answering = asyncio.ensure_future(
            self._read(_scored(comparison, comparison.answer(query)), take_written)
        )
        try:
            return await self._answering
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
        finally:
            self._answering = None
        short = comparison.given(query, written.text, ids=written.ids)
        return await self._read(_scored(comparison, short, stop_reason="cancelled"), take)

    async def _read(self, steps: Generator[ComparisonStep, None, _T], take: OnStep) -> _T:
        return await in_thread(steps, take, self._cancel)

    def _cancel(self) -> None:
        self._templates.cancel()
        self._retriever.cancel()
        if self._engine is not None:
            self._engine.cancel()

    # -- in another thread ----------------------------------------------------------

    def _open(
        self, opened: _Opened, unpacking: SideUnpacking
    ) -> Generator[ComparisonStep, None, Comparison]:
        if self._engine is None:
            self._engine = self._make_engine()
            PLAN.may_give_way(self._engine, lambda: self._comparing is None)
        if self._comparison is not None and self._opened == opened and self._comparison.loaded:
            return self._comparison
        self._comparison = None
        base, aligned, options, max_tokens = opened
        with explaining():
            comparison = self._make_comparison(
                self._engine,
                self._side("base", base, unpacking),
                self._side("aligned", aligned, unpacking),
                options=options,
                templates=self._templates,
                max_tokens=max_tokens,
            )
            yield from comparison.open()
        self._comparison, self._opened = comparison, opened
        return comparison

    def _retrieve(
        self, comparison: Comparison, subject: ComparisonSubject, options: EngineOptions
    ) -> Generator[ComparisonStep, None, None]:
        """Give the sides the examples of a question, where these are retrieved."""
        with explaining():
            base = yield from self._with_examples(comparison.base, subject, options)
            aligned = yield from self._with_examples(comparison.aligned, subject, options)
        comparison.change_contexts(base.context, aligned.context)

    def _with_examples(
        self, side: Side, subject: ComparisonSubject, options: EngineOptions
    ) -> Generator[ComparisonStep, None, Side]:
        preamble = side.context.preamble
        if preamble is None or preamble.retrieval is None:
            return side
        examples = subject.examples_of(preamble)
        if examples is None:
            found = yield from self._retriever.retrieve(preamble, subject.query, options)
            assert found is not None, "the preamble has its own examples"
            examples = found.examples
        context = side.context.shown_again(subject.query, examples)
        return msgspec.structs.replace(side, context=context)

    def _side(self, kind: SideKind, choice: SideChoice, unpacking: SideUnpacking) -> Side:
        model = self._find(choice.model, lambda done, total: unpacking(kind, done, total))
        side = side_of(choice, model)
        preamble = side.context.preamble
        if preamble is None or preamble.retrieval is None:
            return side
        # What its examples are is known with the question.
        return msgspec.structs.replace(side, context=side.context.shown_again(SAMPLE, ()))


def _scored(
    comparison: Comparison,
    steps: Generator[ComparisonStep, None, ScoredItem],
    stop_reason: str = "",
) -> Generator[ComparisonStep, None, ComparisonResult]:
    """The steps up to a scored answer, whose document is made behind them.

    `stop_reason`: why the answer ended, where that is not what the comparison says.
    """
    with explaining():
        item = yield from steps
    if stop_reason:
        item = msgspec.structs.replace(item, stop_reason=stop_reason)
    shown = document(item, comparison.text_of, comparison.special)
    whole = {
        "base": comparison.base.document(),
        "aligned": comparison.aligned.document(),
        "vocab": comparison.relation.document(),
    }
    found = aggregates([shown], special=comparison.special, text_of=comparison.text_of)
    return result_of(shown, whole | found)


def _is_cancelled() -> bool:
    """Whether the running task itself is cancelled, and not only what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _until_cancelled(unpacking: SideUnpacking) -> SideUnpacking:
    """A progress callback for another thread that cancels the work once this task is cancelled."""
    task, tell = asyncio.current_task(), in_loop(unpacking)

    def told(kind: SideKind, done: int, total: int) -> None:
        if task is not None and task.cancelling():
            raise EngineError("Stopped.")
        tell(kind, done, total)

    return told
