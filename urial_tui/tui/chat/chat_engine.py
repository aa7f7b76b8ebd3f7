"""The engine behind the chat, with a queue: what answers, what reads along, one at a time.

All of it runs in the application's event loop. What is asked is done in its order: an answer waits
for the model that is being loaded, and is read along by the second side that was opened before it.
Events are the engine's own; errors are raised where something was asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from urial_tui.chat.answer_start import AnswerStart
from urial_tui.chat.answering import AnswerStream
from urial_tui.chat.session import Conversation
from urial_tui.compare.side_choice import SideChoice
from urial_tui.engine.wire.commands import Trace
from urial_tui.engine.wire.events import Event, Notice, PreambleReady, PromptReady
from urial_tui.engine.wire.values import Device, EngineOptions, Turn, Watch
from urial_tui.errors import EngineDied, EngineError, UrialError
from urial_tui.mistakes import explaining
from urial_tui.prompting.preamble import Example, Preamble
from urial_tui.prompting.render import preamble_turn
from urial_tui.runtime.host import FindModel, Host, Unpacking
from urial_tui.runtime.in_thread import in_loop, in_thread
from urial_tui.runtime.loading import LoadFile, load
from urial_tui.runtime.memory_plan import PLAN
from urial_tui.runtime.open_retriever import OpenRetriever
from urial_tui.runtime.retriever import Retrieved, examples_told, loading_told
from urial_tui.runtime.writer import Writer, WriterChoice
from urial_tui.tui.chat.reading_along import ReadingAlong

if TYPE_CHECKING:
    from urial_tui.engine.client.call import Call
    from urial_tui.engine.client.engine import Engine
    from urial_tui.engine.client.model import Model

T = TypeVar("T")

OnEvent = Callable[[Event], object]
"""Gets an event, in the event loop."""


class ChatEngine:
    """Loads, answers, traces; `stop` and `interrupt` at any time.

    Args:
        make_engine: Called once, in another thread, when it is needed.
        find: Looks models up, in another thread.
        load_file: Loads a model that was found.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        find: FindModel,
        load_file: LoadFile = load,
    ) -> None:
        self.on_death: Callable[[EngineDied], object] = lambda error: None
        """Told of a worker that ends while nothing is asked of it."""
        self._make_engine = make_engine
        self._find = find
        self._load_file = load_file
        self._engine: Engine | None = None
        self._writer: Writer | None = None
        """What was loaded last to answer."""
        self._retriever = OpenRetriever(make_engine, load_file)
        self.loaded_with = EngineOptions()
        """The options of what was loaded last."""
        self._along = ReadingAlong(find, load_file)
        self._order = asyncio.Lock()
        self._stops: list[Callable[[], object]] = []
        """Ends the newest answer or trace."""
        self._answering: AnswerStream | None = None
        self._wanted: object | None = None
        """Stands for the newest second side that is wanted."""
        self._ahead: Call[PreambleReady] | None = None
        """What is read ahead of the next question."""
        self._closed = False

    # -- what answers ---------------------------------------------------------------

    @property
    def writer(self) -> Writer | None:
        """What answers; None where nothing is loaded."""
        writer = self._writer
        return writer if writer is not None and writer.model.loaded else None

    @property
    def devices(self) -> tuple[Device, ...] | None:
        """The devices it computes on; None while no model is loaded, for then nobody knows."""
        engine = self._engine
        return None if engine is None or self.writer is None else engine.devices()

    async def load(
        self, choice: WriterChoice, options: EngineOptions, *, take: OnEvent, unpacking: Unpacking
    ) -> Writer:
        """Load a model that is to answer, in place of the one that does; `pin` comes next.

        Where it fails before that has given way, it answers still: `writer` tells.

        Raises:
            UrialError: It can't be had.
        """
        async with self._turn() as engine:
            await self._along.close()
            steps = Host(engine, self._find, self._load_file).load(
                choice,
                options,
                unpacking=in_loop(unpacking),
                instead_of=self.writer.model if self.writer is not None else None,
            )
            with explaining():
                self._writer = writer = await in_thread(
                    steps, take, engine.cancel, discard=lambda late: late.model.unload()
                )
            self.loaded_with = options
            return writer

    async def pin(self, preamble: Preamble, *, take: OnEvent) -> None:
        """Pin a preamble: it is evaluated now, so that only a question is left to read.

        Raises:
            UrialError: It can't be had.
        """
        async with self._turn():
            writer = self._under(preamble)
            with explaining():
                async for event in writer.model.prepare(preamble_turn(preamble)):
                    take(event)
            self._writer = writer

    def _loaded(self) -> Writer:
        """What answers.

        Raises:
            EngineError: Nothing is loaded.
        """
        writer = self.writer
        if writer is None:
            raise EngineError("No model is loaded.", "Load a model first.")
        return writer

    def _under(self, preamble: Preamble) -> Writer:
        """The loaded model with this preamble; raises as `_loaded`."""
        writer = self._loaded()
        choice = WriterChoice(model=writer.choice.model, preamble=preamble)
        return Writer(choice=choice, model=writer.model)

    # -- answers --------------------------------------------------------------------

    async def answer(
        self,
        conversation: Conversation,
        preamble: Preamble,
        start: AnswerStart,
        max_tokens: int,
        *,
        watched: Callable[[str], object],
        told: Callable[[str], object],
    ) -> AsyncGenerator[Event, None]:
        """Stream the answer to the last question of a conversation, as events.

        Several answers can't be read along. Where it was stopped before it began, there are none.

        Args:
            conversation: Its path ends with the question.
            preamble: What the answer is written under.
            start: How it starts.
            max_tokens: Its longest.
            watched: Told what reads it along, in words.
            told: Told why nothing does, where something should.

        Raises:
            UrialError: It failed, or is not stored; what was written is in the conversation.
        """
        with self._stoppable() as stop:
            async with self._turn():
                if stop.is_set():
                    return
                with explaining():
                    writer = self._under(preamble)
                    watch = await self._watch(conversation, writer, start, told, stop)
                    if stop.is_set():
                        return
                    stored = start.examples(preamble)
                    wants = stored is None
                    if wants and (embedding := self._retriever.loads(preamble, self.loaded_with)):
                        yield Notice(id=0, message=loading_told(embedding))
                    question = conversation.open_question.text
                    retrieved = await self._retrieve(question, preamble, stop) if wants else None
                    if stop.is_set():
                        return
                    if watch is not None:
                        watched(self._along.name)
                    answering = conversation.answer(
                        writer,
                        sampling=start.sampling,
                        max_tokens=max_tokens,
                        prefix=start.prefix,
                        watch=watch,
                        samples=start.samples,
                        examples=stored if retrieved is None else retrieved.examples,
                    )
                    self._answering = answering
                    self._stops.append(answering.cancel)
                    try:
                        async with contextlib.aclosing(aiter(answering)) as events:
                            async for event in events:
                                yield event
                                if retrieved is not None and isinstance(event, PromptReady):
                                    yield Notice(id=0, message=examples_told(retrieved, event.lead))
                    finally:
                        self._answering = None

    async def examples(self, question: str, preamble: Preamble) -> tuple[Example, ...] | None:
        """The examples that a question has now; None where the preamble has its own, or it was
        stopped.

        Raises:
            UrialError: They can't be had.
        """
        with self._stoppable() as stop:
            async with self._turn():
                if stop.is_set():
                    return None
                with explaining():
                    found = await self._retrieve(question, preamble, stop)
        return None if found is None else found.examples

    async def _retrieve(
        self, question: str, preamble: Preamble, stop: asyncio.Event
    ) -> Retrieved | None:
        """The examples of a question; None where the preamble has its own, or at a stop."""
        if preamble.retrieval is None:
            return None
        self._stops.append(self._retriever.cancel)
        steps = self._retriever.retrieve(preamble, question, self.loaded_with)
        try:
            return await in_thread(steps, lambda event: None, self._retriever.cancel)
        except EngineError:
            if stop.is_set():
                return None
            raise

    async def _watch(
        self,
        conversation: Conversation,
        writer: Writer,
        start: AnswerStart,
        told: Callable[[str], object],
        stop: asyncio.Event,
    ) -> Watch | None:
        """What the second side is shown, if one reads along."""
        if not self._along.ready:
            return None
        if start.samples > 1:
            told("Answers that are written together have no x-ray.")
            return None
        try:
            preamble, examples = self._along.retrieving, None
            if preamble is not None:
                found = await self._retrieve(conversation.open_question.text, preamble, stop)
                examples = None if found is None else found.examples
            return await self._along.watch(conversation.exchanged(writer), examples)
        except UrialError as error:
            told(f"This answer has no x-ray. {error}")
            return None

    async def trace(self, request: Trace) -> AsyncGenerator[Event, None]:
        """Trace an answer: read it again, token by token; no events where it was stopped before.

        Raises:
            UrialError: It can't be read; also where it was stopped.
        """
        with self._stoppable() as stop:
            async with self._turn():
                if stop.is_set():
                    return
                reader = self._loaded().model
                with explaining(), contextlib.closing(reader.trace(request)) as call:
                    self._stops.append(call.cancel)
                    async for event in call:
                        yield event

    async def ask(self, ask: Callable[[Model], T]) -> T:
        """Call a blocking function with the loaded model, in another thread; its result.

        Raises:
            UrialError: Nothing is loaded, or the engine failed at it.
        """
        async with self._turn():
            model = self._loaded().model
            with explaining():
                return await asyncio.to_thread(ask, model)

    async def read_ahead(self, conversation: Conversation, preamble: Preamble) -> None:
        """Prefill a conversation to its end, so that only its next question is left to read.

        Whatever else is asked ends it. What can't be read is left to the next question.

        Raises:
            EngineDied: The worker ended.
        """
        async with self._turn():
            # What is retrieved for the next question will stand in front of all of it.
            if self.writer is None or self._closed or preamble.retrieval is not None:
                return
            writer = self._under(preamble)
            turns: tuple[Turn, ...] = conversation.finished_turns(writer)
            if not turns:
                return
            self._ahead = writer.model.prepare(preamble_turn(preamble), turns=turns)
            try:
                with explaining(), contextlib.closing(self._ahead):
                    await self._ahead
            except EngineDied:
                raise
            except EngineError:
                # It was ended by what came next, or it can't be read.
                pass
            finally:
                self._ahead = None

    def stop(self) -> None:
        """Cancel the newest answer or trace, running or queued; its text stays.

        A worker of which it was told that it does not stop is ended where this is asked for again.
        """
        self._along.stop()
        for end in self._stops:
            end()
        if self._engine is not None:
            self._engine.insist()

    def interrupt(self) -> None:
        """Cancel whatever the engine does now, loading too; kill the worker if it does not obey."""
        self._retriever.cancel()
        if self._engine is not None:
            self._engine.cancel()

    # -- what reads along -----------------------------------------------------------

    async def open_second(
        self, choice: SideChoice, options: EngineOptions, *, take: OnEvent, unpacking: Unpacking
    ) -> bool:
        """Load what is to read answers along, beside the model that is loaded.

        Returns:
            Whether it reads along now: not where no model is loaded, or where `close_second` came
            before.

        Raises:
            UrialError: It can't be had; answers are written without it.
        """
        self._wanted = wanted = object()
        async with self._turn() as engine:
            writer = self.writer
            if writer is None or self._wanted is not wanted:
                return False
            writing = writer.model
            try:
                await self._along.open(engine, writing, choice, options, take, in_loop(unpacking))
            except asyncio.CancelledError:
                if self._wanted is wanted:
                    raise
                return False
            return self._wanted is wanted

    async def close_second(self) -> None:
        """Free what reads answers along, or end its loading.

        Raises:
            EngineDied: The worker ended.
        """
        self._wanted = None
        self._along.cancel()
        async with self._turn():
            await self._along.close()

    # -- the end --------------------------------------------------------------------

    def close(self) -> None:
        """End what runs and its processes; any thread, safe to call twice."""
        self._closed = True
        self._along.end()
        self._retriever.close()
        if self._engine is not None:
            self._engine.close()

    def rescue(self) -> None:
        """Save the text of an answer where the event loop no longer does it; any thread."""
        if self._answering is not None:
            self._answering.keep()

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[Engine]:
        """A lock in the order of asking: wait for what was asked before; reading ahead ends."""
        if self._ahead is not None:
            self._ahead.cancel()
        async with self._order:
            if self._engine is None:
                self._engine = await asyncio.to_thread(self._make_engine)
                PLAN.may_give_way(self._engine, lambda: not self._order.locked())
                self._engine.watch(in_loop(self._hear_death))
            try:
                yield self._engine
            finally:
                if self._closed:
                    # What was under way may have started its worker again.
                    await asyncio.to_thread(self._engine.close)

    @contextlib.contextmanager
    def _stoppable(self) -> Iterator[asyncio.Event]:
        stopped = asyncio.Event()
        self._stops = [stopped.set]
        yield stopped

    def _hear_death(self) -> None:
        error = self._engine.take_death() if self._engine is not None else None
        if error is not None and not self._closed:
            self.on_death(error)
