"""Two sides that answer one question, one after the other.

Never both at once: on a CPU, two models that compute at the same time slow each other down
far more than twice. A side that fails leaves the other alone.

All of it runs in the application's event loop, but for what brings a model into memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import msgspec

from urial_tui.chat.answering import AnswerStream
from urial_tui.chat.session import Conversation
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.client.call import EventSteps
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.events import Event, Notice, Silence
from urial_tui.engine.wire.values import EngineOptions, Sampling
from urial_tui.errors import EngineError, UrialError
from urial_tui.mistakes import explaining
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.runtime.host import FindModel, Host
from urial_tui.runtime.in_thread import in_loop, in_thread
from urial_tui.runtime.loading import LoadFile, load
from urial_tui.runtime.memory_plan import PLAN
from urial_tui.runtime.open_retriever import OpenRetriever
from urial_tui.runtime.retriever import loading_told
from urial_tui.runtime.side_engines import SideEngines
from urial_tui.runtime.writer import Writer, WriterChoice

FitsWith = Callable[[Path, EngineOptions], bool]
"""Whether a model fits into the memory that is left now."""


class SidesQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A question that is stored, and how it is to be answered. `sides`: left, right."""

    conversation: Conversation
    id: int
    sides: tuple[WriterChoice, WriterChoice]
    sampling: Sampling
    max_tokens: int
    options: EngineOptions


class ModelSought(msgspec.Struct, frozen=True):
    """A side's model is not loaded yet; of its file, `done` of `total` bytes are unpacked.

    `total` is 0 where nothing has to be.
    """

    done: int = 0
    total: int = 0


class SideEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A side is over. `answer` is None where none was started; `error`: what went wrong.

    After a `StoreError` the answer is whole, and stays where it is; the next write tries again.
    """

    answer: TurnRecord | None
    error: UrialError | None


SideEvent = ModelSought | Event | SideEnded
OnSideEvent = Callable[[int, SideEvent], object]
"""Gets a side's place (0 at the left, 1 at the right) and what happens there; in the event loop."""


class Duel:
    """Has questions answered on both sides; `stop` at any time.

    Args:
        make_engine: Makes an engine, in another thread.
        find: Looks models up, in another thread.
        load_file: Loads a model that was found.
        fits: Whether a second model may be loaded beside the first; the plan says so where that is
            not given.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        find: FindModel,
        load_file: LoadFile = load,
        *,
        fits: FitsWith | None = None,
    ) -> None:
        self._make_engine = make_engine
        self._engines = SideEngines(self._new_engine)
        self._retriever = OpenRetriever(make_engine, load_file)
        self._find = find
        self._load_file = load_file
        self._fits = fits or self._has_room
        self._order = asyncio.Lock()
        self._stopped = threading.Event()
        """Set where the newest question is not to be answered any more."""
        self._answering: AnswerStream | None = None
        self._silent = False
        """Whether the engine in use gives no sign of life."""
        self._closed = False

    async def answer(self, question: SidesQuestion, take: OnSideEvent) -> None:
        """Answer a question on both sides; both answers become siblings.

        `take` gets a `SideEnded` of either side, the left one's first.
        """
        stopped = self._stopped = threading.Event()
        async with self._order:
            try:
                for place in range(2):
                    await self._answer_side(question, place, take, stopped)
            finally:
                if self._closed:
                    # One may have been made, or have started its worker, meanwhile.
                    await asyncio.to_thread(self._engines.close)

    def stop(self) -> None:
        """End both answers, be they written or still to come; their text stays.

        A model that is being loaded goes on, unless it gives no sign of life.
        """
        self._stopped.set()
        self._retriever.cancel()
        answering = self._answering
        if answering is not None:
            answering.cancel()
            self._engines.insist()
        elif self._silent:
            self._engines.cancel()

    async def over(self) -> None:
        """Wait until what was asked is answered, or has ended and is stored."""
        async with self._order:
            pass

    def close(self) -> None:
        """End what runs and the workers; any thread, safe to call twice."""
        self._closed = True
        self.stop()
        self._retriever.close()
        self._engines.close()

    def rescue(self) -> None:
        """Save the text of answers where the event loop no longer does it; any thread."""
        answering = self._answering
        if answering is not None:
            answering.keep()

    # -- one side -------------------------------------------------------------------

    async def _answer_side(
        self, question: SidesQuestion, place: int, take: OnSideEvent, stopped: threading.Event
    ) -> None:
        conversation = question.conversation
        conversation.tree.stand_at(question.id)
        failure: UrialError | None = None

        def tell(event: ModelSought | Event) -> None:
            self._silent = isinstance(event, Silence)
            take(place, event)

        self._silent = False
        try:
            if not (stopped.is_set() or self._closed):
                model = await self._bring(question, place, tell)
                if not stopped.is_set():
                    writing = self._write(model, question, place)
                    async with contextlib.aclosing(writing) as events:
                        async for event in events:
                            tell(event)
        except UrialError as error:
            failure = error
        take(place, SideEnded(answer=_answer_of(conversation, question.id), error=failure))

    async def _bring(
        self, question: SidesQuestion, place: int, tell: Callable[[ModelSought | Event], object]
    ) -> Model:
        """The side's model, which is loaded if need be."""
        side, options = question.sides[place], question.options
        loaded = self._engines.model(side.model)
        if loaded is not None:
            return loaded
        wanted = True

        def tell_unpacking(done: int, total: int) -> None:
            if wanted:
                tell(ModelSought(done, total))

        unpacking = in_loop(tell_unpacking)

        def cancel() -> None:
            nonlocal wanted
            wanted = False
            self._engines.cancel()

        def bringing() -> EventSteps[Writer]:
            found = self._find(side.model, unpacking)
            engine = self._engines.place_for(
                side.model,
                found.path,
                {each.model for each in question.sides},
                lambda path: self._fits(path, options),
            )
            host = Host(engine, lambda name, unpacking: found, self._load_file, owner=self)
            before = engine.models[0] if engine.models else None
            return (yield from host.load(side, options, instead_of=before))

        tell(ModelSought())
        with explaining():
            return (await in_thread(bringing(), tell, cancel)).model

    def _new_engine(self) -> Engine:
        engine = self._make_engine()
        PLAN.may_give_way(engine, lambda: not self._order.locked())
        return engine

    def _has_room(self, path: Path, options: EngineOptions) -> bool:
        return PLAN.fits([(path, "chat")], options, owner=self)

    async def _examples(
        self, question: SidesQuestion, preamble: Preamble
    ) -> tuple[Example, ...] | None:
        """What stands in front of the question; None where the preamble has its own examples."""
        if preamble.retrieval is None:
            return None
        asked = question.conversation.open_question.text
        steps = self._retriever.retrieve(preamble, asked, question.options)
        try:
            retrieved = await in_thread(steps, lambda event: None, self._retriever.cancel)
        except EngineError:
            if self._stopped.is_set():
                return None
            raise
        return None if retrieved is None else retrieved.examples

    async def _write(
        self, model: Model, question: SidesQuestion, place: int
    ) -> AsyncGenerator[Event, None]:
        # Named as the user chose it: votes go by these names.
        writer = Writer(choice=question.sides[place], model=model)
        with explaining():
            if embedding := self._retriever.loads(writer.preamble, question.options):
                yield Notice(id=0, message=loading_told(embedding))
            examples = await self._examples(question, writer.preamble)
            if self._stopped.is_set():
                return
            self._answering = question.conversation.answer(
                writer,
                sampling=question.sampling,
                max_tokens=question.max_tokens,
                examples=examples,
            )
            try:
                async with contextlib.aclosing(aiter(self._answering)) as events:
                    async for event in events:
                        yield event
            finally:
                self._answering = None


def _answer_of(conversation: Conversation, question_id: int) -> TurnRecord | None:
    """The answer that was just written to a question; None where none was started."""
    leaf = conversation.leaf
    return leaf if leaf is not None and leaf.parent_id == question_id else None
