"""The one place where the terminal application drives the engine.

The chat's jobs: load a model and pin the preamble, change either, answer a question, trace an
answer, load what reads answers along. `stop`, `close_second` and `close` may be called while
one runs.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator

from textual.message import Message

from urial_tui.chat.session import Conversation
from urial_tui.engine.client.call import Call, follow
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.protocol import (
    EngineOptions,
    Event,
    Finished,
    LoadProgress,
    Notice,
    PreambleReady,
    PrefillProgress,
    PromptReady,
    Sampling,
    Shifts,
    Silence,
    TextDelta,
    Trace,
    Traced,
    TracedTokens,
    Turn,
    TurnsDropped,
)
from urial_tui.errors import EngineDied, EngineError, InternalError, StoreError, UrialError
from urial_tui.mistakes import explaining
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.render import preamble_turn
from urial_tui.runtime.host import FindModel
from urial_tui.runtime.loading import LoadFile, load
from urial_tui.tui.job_thread import JobThread
from urial_tui.tui.messages import (
    AnswerEnded,
    AnswerGrew,
    AnswerStarted,
    EngineNotice,
    EngineReady,
    EngineSilent,
    EngineTrouble,
    ModelLoaded,
    ModelLoading,
    ModelUnpacking,
    PreamblePinned,
    Reading,
    RoomLeft,
    SampleEnded,
    SwitchFailed,
    TokensTraced,
    TraceEnded,
    TraceReading,
    TurnsLeft,
)
from urial_tui.tui.reading_along import ReadingAlong
from urial_tui.tui.side_choice import SideChoice
from urial_tui.tui.xray_messages import ShiftsTold


class EngineThread(JobThread[Engine]):
    """Runs jobs on an engine and posts messages about them.

    Args:
        make_engine: Called once, in the thread.
        post: Delivers a message; must be callable from any thread.
        clock: Seconds, monotonic; measures the rate while an answer grows.
        load: Loads a model that was found.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        post: Callable[[Message], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        load: LoadFile = load,
    ) -> None:
        super().__init__(make_engine, post, "engine")
        self._load_file = load
        self._clock = clock
        self._reading: PrefillProgress | None = None
        """The first report of what is read now, and when it came."""
        self._reading_since = 0.0
        self._stopped = threading.Event()
        self._answering = False
        self._reading_ahead = False
        self._unsaved: list[Conversation] = []
        self._along = ReadingAlong(self._tell, load)
        self._model: Model | None = None
        """What answers."""

    def load(self, find: FindModel, model: str, preamble: Preamble, options: EngineOptions) -> None:
        """Find and load a model and pin the preamble, so that a question meets both in place."""
        self._give(lambda engine: self._load(engine, find, model, preamble, options))

    def switch(
        self, find: FindModel, model: str, preamble: Preamble, options: EngineOptions
    ) -> None:
        """Like `load`, in place of a model that is loaded; fails with SwitchFailed."""
        self._give(
            lambda engine: self._change(lambda: self._bring(engine, find, model, preamble, options))
        )

    def pin(self, preamble: Preamble) -> None:
        """Pin another preamble for the model that is loaded; fails with SwitchFailed."""
        self._give(lambda engine: self._change(lambda: self._prepare(preamble)))

    def answer(
        self,
        conversation: Conversation,
        sampling: Sampling | None,
        max_tokens: int,
        prefix: Turn = (),
        samples: int = 1,
    ) -> None:
        """Answer the last question of a conversation, from `prefix` on; `samples` times at once.

        Several answers can't be read along.
        """
        # Each answer has its own: one that is stopped stays so when the next is given.
        stopped = self._stopped = threading.Event()

        def start() -> Generator[Event, None, None]:
            reader = self._along.reader(conversation.path[-1].id)
            if reader is not None and samples > 1:
                reader = None
                self._tell(EngineNotice("Answers that are written together have no x-ray."))
            return conversation.answer(
                self._writing_model(),
                sampling=sampling,
                max_tokens=max_tokens,
                prefix=prefix,
                reader=reader,
                samples=samples,
            )

        self._give(lambda engine: self._answer(engine, conversation, start, stopped))

    def trace(self, request: Trace, tell: Callable[[Message], object]) -> None:
        """Read an answer again; `tell` gets TraceReading, TokensTraced and, last, TraceEnded."""
        stopped = self._stopped = threading.Event()
        self._give(lambda engine: self._trace(request, tell, stopped))

    def stop(self) -> None:
        """End the newest answer or trace, be it running or still to come; what is there stays."""
        self._stopped.set()
        self._along.stop()
        engine = self._engine
        if self._answering and engine is not None:
            engine.cancel()

    def read_ahead(self, conversation: Conversation) -> None:
        """Have a conversation read to its end, so that only its next question is left to read.

        Nothing is told of it, and any other job ends it.
        """
        self._give(lambda engine: self._read_ahead(conversation))

    def interrupt(self) -> None:
        """End whatever the engine does now, loading too; it is gone if it does not obey."""
        if self._engine is not None:
            self._engine.cancel()

    def close(self) -> None:
        """End the running job and its processes; safe to call twice."""
        super().close()
        self._along.end()

    def open_second(self, find: FindModel, choice: SideChoice, options: EngineOptions) -> None:
        """Load what is to read answers along, beside the model that is loaded.

        Ends with SecondReady or SecondFailed; with neither where no model is loaded, or
        where `close_second` came before.
        """
        unwanted = self._along.want()
        self._give(
            lambda engine: self._along.open(engine, self._model, find, choice, options, unwanted)
        )

    def close_second(self) -> None:
        """Free what reads answers along, or end its loading."""
        self._along.unwant(self._engine)
        self._give(lambda engine: self._along.close())

    def keep(self, conversation: Conversation) -> None:
        """Take over a conversation that another thread wrote, if not all of it is stored."""
        if conversation.store_error is not None and conversation not in self._unsaved:
            self._unsaved.append(conversation)

    def save(self) -> None:
        """Try again to store answers that could not be stored."""
        self._give(lambda engine: self._save())

    def save_rest(self) -> None:
        """Store answers that could not be stored; to be called after `close`.

        Raises:
            StoreError: They still can't be.
        """
        while self._unsaved:
            self._unsaved[0].save_rest()
            del self._unsaved[0]

    def _give(self, job: Callable[[Engine], None]) -> None:
        super()._give(job)
        engine = self._engine
        if self._reading_ahead and engine is not None:
            engine.cancel()

    # -- in the thread --------------------------------------------------------------

    def _writing_model(self) -> Model:
        """What answers, if it is loaded.

        Raises:
            EngineError: It is not.
        """
        if self._model is None or not self._model.loaded:
            raise EngineError("No model is loaded.", "Load a model first.")
        return self._model

    def _read_ahead(self, conversation: Conversation) -> None:
        model = self._model
        if model is None or not model.loaded:
            return
        turns = conversation.finished_turns(model.info)
        if not turns:
            return
        self._reading_ahead = True
        try:
            with (
                explaining(),
                contextlib.closing(
                    model.prepare(preamble_turn(conversation.preamble), turns=turns)
                ) as call,
            ):
                for _ in call:
                    # A job may have come before the request reached the engine.
                    if self._closing or not self._jobs.empty():
                        return
        except EngineDied as error:
            self._tell(EngineTrouble(error, needs_reload=True))
        except InternalError as error:
            self._tell(EngineTrouble(error, needs_reload=False))
        except EngineError:
            # It was ended by a job, or it can't be read: the next question finds out which.
            pass
        finally:
            self._reading_ahead = False

    def _save(self) -> None:
        try:
            self.save_rest()
        except StoreError as error:
            self._tell(EngineTrouble(error, needs_reload=False))

    def _made(self, engine: Engine) -> None:
        """Hear of a worker that ends while nothing is asked of it."""
        engine.watch(lambda: self._give(self._tell_death))

    def _tell_death(self, engine: Engine) -> None:
        error = engine.take_death()
        if error is not None:
            self._tell(EngineTrouble(error, needs_reload=True))

    def _load(
        self,
        engine: Engine,
        find: FindModel,
        name: str,
        preamble: Preamble,
        options: EngineOptions,
    ) -> None:
        try:
            self._bring(engine, find, name, preamble, options)
        except UrialError as error:
            self._tell(EngineTrouble(error, needs_reload=True))

    def _change(self, change: Callable[[], None]) -> None:
        """Make a change; where it fails, tell whether the model before it is still there."""
        before = self._model
        try:
            change()
        except UrialError as error:
            self._tell(SwitchFailed(error, kept=before is not None and before.loaded))

    @explaining()
    def _bring(
        self,
        engine: Engine,
        find: FindModel,
        name: str,
        preamble: Preamble,
        options: EngineOptions,
    ) -> None:
        self._along.close()
        self._tell(ModelLoading(0.0))
        found = find(name, lambda done, total: self._tell(ModelUnpacking(done, total)))
        loading = self._load_file(
            engine, found.path, adapter=found.adapter, options=options, instead_of=self._model
        )
        self._model = follow(loading, self._pass_on)
        self._tell(ModelLoaded(found.name, self._model.info))
        self._prepare(preamble)

    @explaining()
    def _prepare(self, preamble: Preamble) -> None:
        for event in self._writing_model().prepare(preamble_turn(preamble)):
            self._pass_on(event)
        self._tell(EngineReady())

    def _answer(
        self,
        engine: Engine,
        conversation: Conversation,
        start: Callable[[], Generator[Event, None, None]],
        stopped: threading.Event,
    ) -> None:
        question = conversation.path[-1].id
        answer = None
        try:
            if stopped.is_set():
                return
            self._answering = True
            self._follow(engine, question, start(), stopped)
        except UrialError as error:
            self._tell(EngineTrouble(error, needs_reload=isinstance(error, EngineDied)))
        finally:
            self._answering = False
            if conversation.store_error is not None:
                self._unsaved.append(conversation)
            leaf = conversation.leaf
            if leaf is not None and leaf.role == "assistant":
                answer = leaf
            self._tell(AnswerEnded(question, answer))
        if answer is not None and not self._closing:
            self._read_ahead(conversation)

    @explaining()
    def _follow(
        self,
        engine: Engine,
        question: int,
        events: Generator[Event, None, None],
        stopped: threading.Event,
    ) -> None:
        first = 0.0
        written: dict[int, int] = {}
        cancelled = False
        for event in events:
            if stopped.is_set() and not cancelled:
                # `stop` may have come before the request reached the engine.
                cancelled = True
                engine.cancel()
            if isinstance(event, PromptReady):
                self._tell(AnswerStarted(question, event.used, event.reused))
            elif isinstance(event, TextDelta):
                now = self._clock()
                written[event.sample] = event.generated
                total = sum(written.values())
                if total:
                    first = first or now
                rate = (total - 1) / (now - first) if now > first > 0 else 0.0
                self._tell(AnswerGrew(question, event.text, event.generated, rate, event.sample))
            elif isinstance(event, Shifts):
                self._tell(ShiftsTold(question, event))
            elif isinstance(event, TurnsDropped):
                self._tell(TurnsLeft(question, event.turns))
            elif isinstance(event, Finished):
                self._tell(SampleEnded(question, event.sample))
                if event.sample == 0:
                    self._tell(RoomLeft(question, event.room))
            else:
                self._pass_on(event)

    def _time_left(self, event: PrefillProgress) -> float:
        """Seconds that the rest of a reading may take, by what was read since its start."""
        now, first = self._clock(), self._reading
        same = first is not None and (first.stage, first.total) == (event.stage, event.total)
        if first is None or not same or event.done <= first.done:
            self._reading, self._reading_since = event, now
            return 0.0
        return (event.total - event.done) * (now - self._reading_since) / (event.done - first.done)

    def _trace(
        self,
        request: Trace,
        tell: Callable[[Message], object],
        stopped: threading.Event,
    ) -> None:
        error: UrialError | None = None
        left_out = 0
        try:
            if stopped.is_set():
                return
            self._answering = True
            with explaining():
                left_out = self._follow_trace(request, tell, stopped)
        except EngineDied as died:
            error = died
            self._tell(EngineTrouble(died, needs_reload=True))
        except UrialError as refused:
            error = None if stopped.is_set() else refused
        finally:
            self._answering = False
            if not self._closing:
                tell(TraceEnded(error, left_out))

    def _follow_trace(
        self,
        request: Trace,
        tell: Callable[[Message], object],
        stopped: threading.Event,
    ) -> int:
        left_out = 0
        call: Call[Traced] = self._writing_model().trace(request)
        for event in call:
            if stopped.is_set():
                call.cancel()
            match event:
                case PrefillProgress():
                    tell(TraceReading(event.done, event.total))
                case TracedTokens():
                    tell(TokensTraced(event.tokens, event.pieces, event.total))
                case Silence():
                    self._tell(EngineSilent(event))
                case Traced():
                    left_out = event.left_out
        return left_out

    def _pass_on(self, event: Event) -> None:
        match event:
            case LoadProgress():
                self._tell(ModelLoading(event.fraction))
            case PrefillProgress():
                self._tell(
                    Reading(
                        event.stage == "preamble",
                        event.done,
                        event.reused,
                        event.total,
                        self._time_left(event),
                    )
                )
            case PreambleReady():
                self._tell(PreamblePinned(event.tokens, event.source))
            case Notice():
                self._tell(EngineNotice(event.message))
            case Silence():
                self._tell(EngineSilent(event))
            case _:
                pass
