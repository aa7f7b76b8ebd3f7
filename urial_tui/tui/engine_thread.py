"""The one place where the terminal application drives the engine.

A thread of its own takes one job at a time, in the order in which they were given, and
posts what happens as messages; it touches no widget. `stop` and `close` may be called
while a job runs.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Protocol

from textual.message import Message

from urial_tui.chat.session import Answerer, Conversation, preamble_turn
from urial_tui.engine.protocol import (
    EngineOptions,
    Event,
    Finished,
    Loaded,
    LoadProgress,
    Notice,
    PreambleReady,
    PrefillProgress,
    PromptReady,
    Sampling,
    TextDelta,
    Turn,
    TurnsDropped,
)
from urial_tui.errors import EngineDied, UrialError
from urial_tui.models.loading import Loader, load
from urial_tui.prompting.preamble import Preamble
from urial_tui.tui.messages import (
    AnswerEnded,
    AnswerGrew,
    AnswerStarted,
    EngineBug,
    EngineNotice,
    EngineReady,
    EngineTrouble,
    ModelLoaded,
    ModelLoading,
    ModelUnpacking,
    PreamblePinned,
    Reading,
    TurnsLeft,
)

JOIN_TIMEOUT = 2.0
"""Seconds that the running job gets to store what it has when the application ends."""


class ChatEngine(Answerer, Loader, Protocol):
    """What the application needs of an engine (`engine.client.Engine` has it)."""

    def prepare(self, preamble: Turn) -> Generator[Event, None, None]:
        """Pin a preamble."""
        ...

    def cancel(self) -> None:
        """Stop the running request; any thread."""
        ...

    def close(self) -> None:
        """End the worker; any thread."""
        ...


class ModelFile(Protocol):
    """A model that was found on the disk (`models.registry.ResolvedModel`)."""

    @property
    def name(self) -> str:
        """What the user calls it."""
        ...

    @property
    def path(self) -> Path:
        """The GGUF file."""
        ...

    @property
    def adapter(self) -> Path | None:
        """A LoRA to put on it."""
        ...


FindModel = Callable[[str, Callable[[int, int], None]], ModelFile]
"""Looks a model up by its name; reports `done` of `total` bytes where it has to copy."""


class EngineThread:
    """Runs jobs on an engine and posts messages about them.

    Args:
        make_engine: Called once, in the thread.
        post: Delivers a message; must be callable from any thread.
        clock: Seconds, monotonic; measures the rate while an answer grows.
    """

    def __init__(
        self,
        make_engine: Callable[[], ChatEngine],
        post: Callable[[Message], object],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_engine = make_engine
        self._post = post
        self._clock = clock
        self._engine: ChatEngine | None = None
        self._jobs: queue.SimpleQueue[Callable[[ChatEngine], None] | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._answering = False
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread; jobs given before are done first."""
        self._thread.start()

    def load(self, find: FindModel, model: str, preamble: Preamble, options: EngineOptions) -> None:
        """Find and load a model and pin the preamble, so that a question meets both in place."""
        self._jobs.put(lambda engine: self._load(engine, find, model, preamble, options))

    def answer(
        self, conversation: Conversation, sampling: Sampling | None, max_tokens: int
    ) -> None:
        """Answer the last question of a conversation."""
        # Each answer has its own: one that is stopped stays so when the next is given.
        stopped = self._stopped = threading.Event()
        self._jobs.put(
            lambda engine: self._answer(engine, conversation, sampling, max_tokens, stopped)
        )

    def stop(self) -> None:
        """End the newest answer, be it written or still to come; its text stays."""
        self._stopped.set()
        engine = self._engine
        if self._answering and engine is not None:
            engine.cancel()

    def close(self) -> None:
        """End the running job and the worker process; safe to call twice."""
        self._closing = True
        self.stop()
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join(JOIN_TIMEOUT)
        if self._engine is not None:
            self._engine.close()
        if self._thread.is_alive():
            self._thread.join(JOIN_TIMEOUT)

    # -- in the thread --------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._engine = self._make_engine()
            while (job := self._jobs.get()) is not None and not self._closing:
                job(self._engine)
        except Exception as error:  # noqa: BLE001  # the edge of the thread: the screen raises it
            self._tell(EngineBug(error))

    def _tell(self, message: Message) -> None:
        if not self._closing:
            self._post(message)

    def _load(
        self,
        engine: ChatEngine,
        find: FindModel,
        name: str,
        preamble: Preamble,
        options: EngineOptions,
    ) -> None:
        try:
            self._tell(ModelLoading(0.0))
            model = find(name, lambda done, total: self._tell(ModelUnpacking(done, total)))
            for event in load(engine, model.path, adapter=model.adapter, options=options):
                if isinstance(event, Loaded):
                    self._tell(ModelLoaded(model.name, event.info))
                else:
                    self._pass_on(event)
                if self._closing:
                    return
            for event in engine.prepare(preamble_turn(preamble)):
                self._pass_on(event)
                if self._closing:
                    return
        except UrialError as error:
            self._tell(EngineTrouble(error, needs_reload=True))
        else:
            self._tell(EngineReady())

    def _answer(
        self,
        engine: ChatEngine,
        conversation: Conversation,
        sampling: Sampling | None,
        max_tokens: int,
        stopped: threading.Event,
    ) -> None:
        question = conversation.path[-1].id
        answer = None
        try:
            if stopped.is_set():
                return
            self._answering = True
            events = conversation.answer(engine, sampling=sampling, max_tokens=max_tokens)
            self._follow(engine, question, events, stopped)
        except UrialError as error:
            self._tell(EngineTrouble(error, needs_reload=isinstance(error, EngineDied)))
        finally:
            self._answering = False
            leaf = conversation.leaf
            if leaf is not None and leaf.role == "assistant":
                answer = leaf
            self._tell(AnswerEnded(question, answer))

    def _follow(
        self,
        engine: ChatEngine,
        question: int,
        events: Generator[Event, None, None],
        stopped: threading.Event,
    ) -> None:
        first = 0.0
        cancelled = False
        for event in events:
            if stopped.is_set() and not cancelled:
                # `stop` may have come before the request reached the engine.
                cancelled = True
                engine.cancel()
            if isinstance(event, PromptReady):
                self._tell(AnswerStarted(question, event.used))
            elif isinstance(event, TextDelta):
                now = self._clock()
                first = first or now
                rate = (event.generated - 1) / (now - first) if now > first else 0.0
                self._tell(AnswerGrew(question, event.text, event.generated, rate))
            elif isinstance(event, TurnsDropped):
                self._tell(TurnsLeft(question, event.turns))
            else:
                self._pass_on(event)

    def _pass_on(self, event: Event) -> None:
        match event:
            case LoadProgress():
                self._tell(ModelLoading(event.fraction))
            case PrefillProgress():
                of_preamble = event.stage == "preamble"
                self._tell(Reading(of_preamble, event.done, event.reused, event.total))
            case PreambleReady():
                self._tell(PreamblePinned(event.tokens, event.source))
            case Notice():
                self._tell(EngineNotice(event.message))
            case Finished() | _:
                pass
