"""Loading the model and the preamble, their status, and what to do when that fails.

Questions can be answered while it is `ready`. What the engine tells in front of an answer is
shown in the status line.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from urial_tui.chat.session import Conversation
from urial_tui.engine.wire.events import (
    Event,
    LoadProgress,
    Notice,
    PreambleReady,
    PrefillProgress,
    Silence,
)
from urial_tui.engine.wire.values import EngineOptions, ModelInfo
from urial_tui.errors import EngineDied, ModelError, UrialError
from urial_tui.prompting.preamble import Preamble
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.writer import Writer, WriterChoice
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings, engine_options
from urial_tui.tui.chat.chat_engine import ChatEngine
from urial_tui.tui.chat.chat_view import ChatView
from urial_tui.tui.chat.reading_time import ReadingTime
from urial_tui.wording import amount

SILENCE_HOLDS = 8.0
"""Seconds that a report of silence counts; the next one comes before they are over."""


class ModelLoading:
    """Loads the model in the background, and shows the progress.

    Args:
        view: Shows it.
        engine: Loads and answers.
        choice: What is to answer.
        settings: Gives those that hold now.
        clock: Seconds, monotonic; measures how fast the model reads.
    """

    def __init__(
        self,
        view: ChatView,
        engine: ChatEngine,
        choice: WriterChoice,
        settings: Callable[[], Settings],
        clock: Callable[[], float],
    ) -> None:
        self._view = view
        self.engine = engine
        self.engine.on_death = self.lose
        self.choice = choice
        """What answers, or will once it is loaded."""
        self.settings = settings
        self.ready = False
        """Whether questions can be answered."""
        self.coming = False
        self.info: ModelInfo | None = None
        """Of the model that was loaded last."""
        self.measured: dict[tuple[str, str], int] = {}
        """Tokens of the preambles that were evaluated, by model and preamble."""
        self.when_ready: Callable[[], object] = lambda: None
        self.when_lost: Callable[[], object] = lambda: None
        self.when_missing: Callable[[ModelError], object] = lambda error: None
        """Told that there is nothing to load."""
        self._reading_time = ReadingTime(clock)
        self._silent_at: float | None = None

    @property
    def preamble(self) -> Preamble:
        """What answers are written under."""
        return self.choice.preamble

    @property
    def options(self) -> EngineOptions:
        """The engine's, as the settings have them."""
        return engine_options(self.settings())

    # -- loading --------------------------------------------------------------------

    def load(self) -> None:
        """Load the model and pin the preamble."""
        self.await_engine()
        self._view.work("engine", self._load, self.choice)

    def await_engine(self) -> None:
        """Mark the model as loading: nothing can be answered until the engine has it."""
        self.ready, self.coming = False, True

    def load_again(self) -> None:
        """Load the model again, unless it is loaded or on its way."""
        if self.engine.writer is None and not self.coming:
            self._view.settle_trouble()
            self.load()

    def use_model(self, model: str) -> None:
        """Load another model: a catalogue name or a path."""
        self.choice = WriterChoice(model=model, preamble=self.preamble)
        self._view.header.model = model
        self._view.settle_trouble()
        self._view.show_status(model=model, placement="", servers="")
        self.load()

    def use_preamble(self, name: str) -> None:
        """Change the preamble; the next question brings it to the engine.

        Raises:
            PreambleError: There is none of this name.
        """
        self.choice = WriterChoice(model=self.choice.model, preamble=find_preamble(name))
        self._view.header.preamble = name
        self._view.welcome.preamble = f"{name}: {self.preamble.description}"
        self._view.show_status(preamble=name, preamble_tokens=0, preamble_source=None)

    def show(self, choice: WriterChoice) -> None:
        """Show what is in use from now on."""
        self.choice = choice
        header, welcome = self._view.header, self._view.welcome
        header.model, header.preamble = choice.model, choice.preamble.name
        welcome.model = choice.model
        welcome.preamble = f"{choice.preamble.name}: {choice.preamble.description}"
        welcome.servers = self.options.servers
        self._view.show_status(
            model=choice.model,
            preamble=choice.preamble.name,
            preamble_tokens=0,
            preamble_source=None,
            rate=0.0,
        )

    async def _load(self, choice: WriterChoice) -> None:
        try:
            await self.bring(choice)
        except UrialError as error:
            self.lose(error)
        else:
            if self._view.alive:
                self.get_ready()

    async def bring(self, choice: WriterChoice) -> None:
        """Load a model, and pin its preamble.

        Raises:
            UrialError: It can't be had.
        """
        self._view.show_status(state="loading 0%")
        writer = await self.engine.load(
            choice, self.options, take=self.take, unpacking=self._show_unpacking
        )
        if self._view.alive:
            self._show_loaded(writer)
        await self.engine.pin(choice.preamble, take=self.take)

    def get_ready(self) -> None:
        """Mark the model as ready: questions can be answered."""
        self.ready, self.coming = True, False
        self._view.show_status(state="ready")
        self.when_ready()

    def read_ahead(self, conversation: Conversation) -> None:
        """Prefill a conversation in the background, so that only its next question is left."""
        self._view.work("engine", self._read_ahead, conversation)

    async def _read_ahead(self, conversation: Conversation) -> None:
        try:
            await self.engine.read_ahead(conversation, self.preamble)
        except UrialError as error:
            self.fail(error)

    # -- what is told ---------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Show what the engine does in front of an answer."""
        if not self._view.alive:
            return
        match event:
            case LoadProgress(fraction=fraction):
                self._view.show_status(state=f"loading {fraction:.0%}")
            case PrefillProgress():
                self._show_reading(event)
            case PreambleReady():
                self._show_preamble(event)
            case Notice(message=message):
                self._view.tell(sanitize_line(message))
            case Silence():
                self._silent_at = time.monotonic()
                self._view.show_status(state=event.in_words(self._view.key("chat.stop")))
            case _:
                pass

    @property
    def silent(self) -> bool:
        """Whether the engine gave no sign of life when that was looked at last."""
        return self._silent_at is not None and time.monotonic() - self._silent_at < SILENCE_HOLDS

    def _show_unpacking(self, done: int, total: int) -> None:
        """Show the progress of unpacking: the model's file is put together, once."""
        if self._view.alive:
            self._view.show_status(state=f"unpacking the model {done / max(1, total):.0%}")

    def _show_loaded(self, writer: Writer) -> None:
        """Show the loaded model; its preamble comes next."""
        self.info, model = writer.model.info, writer.choice.model
        self.choice = WriterChoice(model=model, preamble=self.preamble)
        self._view.header.model = model
        self._view.welcome.model = f"{model} ({self.info.description})"
        self._view.welcome.servers = self.info.servers
        self._view.show_status(
            model=model,
            placement=self.info.placement_in_words,
            servers=self.info.servers_in_words,
            total=self.info.n_ctx,
            used=0,
            state="reading the preamble",
        )

    def _show_reading(self, event: PrefillProgress) -> None:
        what = "reading the preamble" if event.stage == "preamble" else "reading"
        # What is reused is in the context already; what is left to be read is worth telling.
        done, total = max(0, event.done - event.reused), event.total - event.reused
        seconds = self._reading_time.left(event)
        left = f", {seconds:.0f} s left" if seconds >= 1 else ""
        share = f" {done:,} of {amount(total, 'token')}" if total else ""
        self._view.show_status(state=f"{what}{share}{left}")

    def _show_preamble(self, event: PreambleReady) -> None:
        """Show the preamble's length: it is in place."""
        self._view.show_status(
            preamble_tokens=event.tokens,
            preamble_source=event.source,
            used=max(self._view.status.used, event.tokens),
        )
        self.measured[self.choice.model, self.preamble.name] = event.tokens

    # -- what fails -----------------------------------------------------------------

    def fail(self, error: UrialError) -> None:
        """Handle an error; where it ended the engine, the model has to be loaded again."""
        if isinstance(error, EngineDied):
            self.lose(error)
        elif self._view.alive:
            self._view.complain(error)

    def lose(self, error: UrialError) -> None:
        """Mark the model as lost: nothing is answered until it is loaded; what is shown stays."""
        if not self._view.alive:
            return
        self.ready = self.coming = False
        self._view.show_status(state="no model", rate=0.0)
        self._view.complain(error, f"{self._view.key('chat.reload')} loads the model again.")
        self.when_lost()
        if isinstance(error, ModelError):
            self.when_missing(error)
