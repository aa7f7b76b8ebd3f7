"""The thread that has two sides answer one question, one after the other.

Never both at once: on a CPU, two models that compute at the same time slow each other down
far more than twice. A side that fails leaves the other alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from textual.message import Message

from urial_tui.chat.session import Conversation
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.client.call import follow
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.protocol import (
    EngineOptions,
    Event,
    LoadProgress,
    Notice,
    PrefillProgress,
    PromptReady,
    Sampling,
    Silence,
    TextDelta,
)
from urial_tui.errors import StoreError, UrialError
from urial_tui.mistakes import explaining
from urial_tui.models.fit import fit_together
from urial_tui.runtime.host import FindModel
from urial_tui.runtime.loading import LoadFile, load
from urial_tui.tui.choice import Choice
from urial_tui.tui.job_thread import JobThread
from urial_tui.tui.messages import EngineTrouble
from urial_tui.tui.side_engines import SideEngines
from urial_tui.tui.side_messages import SideEnded, SideGrew, SideNotice, SidesEnded, SideWaits
from urial_tui.wording import amount

FitsWith = Callable[[Path, EngineOptions], bool]
"""Whether a model fits into the memory that is left now."""


class SidesQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A question that is stored, and how it is to be answered. `sides`: left, right."""

    conversation: Conversation
    id: int
    sides: tuple[Choice, Choice]
    sampling: Sampling
    max_tokens: int
    options: EngineOptions


def fits_now(path: Path, options: EngineOptions) -> bool:
    """Whether the machine has room for one more model."""
    return fit_together([(path, "chat")], options)


class SidesThread(JobThread[SideEngines]):
    """Answers questions on both sides and posts messages about them.

    Args:
        make_engine: Makes an engine, in the thread.
        post: Delivers a message; must be callable from any thread.
        find_model: Looks a model up.
        clock: Seconds, monotonic; measures the rate while an answer grows.
        load: Loads a model that was found.
        fits: Whether a second model may be loaded beside the first.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        post: Callable[[Message], object],
        find_model: FindModel,
        *,
        clock: Callable[[], float] = time.monotonic,
        load: LoadFile = load,
        fits: FitsWith = fits_now,
    ) -> None:
        super().__init__(lambda: SideEngines(make_engine), post, "sides")
        self._find_model = find_model
        self._clock = clock
        self._load_file = load
        self._fits = fits
        self._stopped = threading.Event()
        self._writing = False
        self._silent = False
        """Whether the engine in use gives no sign of life."""

    def answer(self, question: SidesQuestion) -> None:
        """Answer a question on both sides; both answers become siblings."""
        stopped = self._stopped = threading.Event()
        self._give(lambda engines: self._answer(engines, question, stopped))

    def stop(self) -> None:
        """End both answers, be they written or still to come; their text stays.

        A model that is being loaded goes on, unless it gives no sign of life.
        """
        self._stopped.set()
        engines = self._engine
        if (self._writing or self._silent) and engines is not None:
            engines.cancel()

    # -- in the thread --------------------------------------------------------------

    def _answer(
        self, engines: SideEngines, question: SidesQuestion, stopped: threading.Event
    ) -> None:
        conversation = question.conversation
        before = conversation.model_name, conversation.preamble
        try:
            for place in range(2):
                self._answer_side(engines, question, place, stopped)
        finally:
            conversation.model_name, conversation.preamble = before
        self._tell(SidesEnded(question.id))

    def _answer_side(
        self,
        engines: SideEngines,
        question: SidesQuestion,
        place: int,
        stopped: threading.Event,
    ) -> None:
        failure: UrialError | None = None
        conversation = question.conversation
        conversation.tree.stand_at(question.id)
        try:
            if not stopped.is_set():
                model = self._bring(engines, question, place)
                if not stopped.is_set():
                    self._write(engines, model, question, place, stopped)
        except StoreError as error:
            # The answer is whole, and stays where it is; the next write tries again.
            self._tell(EngineTrouble(error, needs_reload=False))
        except UrialError as error:
            failure = error
        self._tell(SideEnded(question.id, place, _answer_of(conversation, question.id), failure))

    @explaining()
    def _bring(self, engines: SideEngines, question: SidesQuestion, place: int) -> Model:
        """The side's model, which is loaded if need be."""
        name = question.sides[place].model
        loaded = engines.model(name)
        if loaded is not None:
            return loaded

        def unpacking(done: int, total: int) -> None:
            state = f"unpacking the model {done / max(1, total):.0%}"
            self._tell(SideWaits(question.id, place, state))

        self._tell(SideWaits(question.id, place, "loading"))
        found = self._find_model(name, unpacking)
        engine = engines.place_for(
            name,
            found.path,
            {side.model for side in question.sides},
            lambda path: self._fits(path, question.options),
        )
        before = engine.models[0] if engine.models else None
        loading = self._load_file(
            engine,
            found.path,
            adapter=found.adapter,
            options=question.options,
            instead_of=before,
        )
        return follow(loading, lambda event: self._pass_on(question.id, place, event))

    @explaining()
    def _write(
        self,
        engines: SideEngines,
        model: Model,
        question: SidesQuestion,
        place: int,
        stopped: threading.Event,
    ) -> None:
        conversation, side = question.conversation, question.sides[place]
        conversation.model_name, conversation.preamble = side.model, side.preamble
        first = 0.0
        cancelled = False
        self._writing = True
        try:
            for event in conversation.answer(
                model, sampling=question.sampling, max_tokens=question.max_tokens
            ):
                if stopped.is_set() and not cancelled:
                    # `stop` may have come before the request reached the engine.
                    cancelled = True
                    engines.cancel()
                if isinstance(event, TextDelta):
                    now = self._clock()
                    if event.generated:
                        first = first or now
                    rate = (event.generated - 1) / (now - first) if now > first > 0 else 0.0
                    self._tell(SideGrew(question.id, place, event.text, event.generated, rate))
                else:
                    self._pass_on(question.id, place, event)
        finally:
            self._writing = False

    def _pass_on(self, question_id: int, place: int, event: Event) -> None:
        self._silent = isinstance(event, Silence)
        match event:
            case LoadProgress():
                self._tell(SideWaits(question_id, place, f"loading {event.fraction:.0%}"))
            case PrefillProgress():
                what = "reading the preamble" if event.stage == "preamble" else "reading"
                state = f"{what} {event.done:,} of {amount(event.total, 'token')}"
                self._tell(SideWaits(question_id, place, state))
            case PromptReady():
                self._tell(SideWaits(question_id, place, "writing"))
            case Notice():
                self._tell(SideNotice(question_id, place, event.message))
            case Silence():
                self._tell(SideWaits(question_id, place, event.in_words("Esc")))
            case _:
                pass


def _answer_of(conversation: Conversation, question_id: int) -> TurnRecord | None:
    """The answer that was just written; None where none was started."""
    leaf = conversation.leaf
    return leaf if leaf is not None and leaf.parent_id == question_id else None
