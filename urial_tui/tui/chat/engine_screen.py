"""A screen with an engine behind it: what loads, what is read, and what fails.

It holds which model and preamble are in use and whether questions can be answered. It awaits the
engine in workers of its own, and changes widgets as the events come.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from textual import work

from urial_tui.engine.wire.protocol import (
    Event,
    LoadProgress,
    Notice,
    PreambleReady,
    PrefillProgress,
    Silence,
)
from urial_tui.errors import EngineDied, ModelError, UrialError
from urial_tui.prompting.preamble import Preamble
from urial_tui.runtime.writer import Choice, Writer
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings, engine_options
from urial_tui.tui.chat.chat_engine import ChatEngine
from urial_tui.tui.chat.header_line import HeaderLine
from urial_tui.tui.chat.reading_time import ReadingTime
from urial_tui.tui.chat.status_line import StatusLine
from urial_tui.tui.frame.keys import key_name
from urial_tui.tui.frame.prompt_screen import PromptScreen
from urial_tui.wording import amount

SILENCE_HOLDS = 8.0
"""Seconds that a report of silence counts; the next one comes before they are over."""


class EngineScreen(PromptScreen):
    """Has a header, a banner and a status line, and one model that is loaded or on its way.

    Args:
        engine: Loads and answers.
        model: The model's name as the user gave it.
        preamble: What answers are written under.
        settings: Sampling, lengths and the engine's options.
        clock: Seconds, monotonic; measures how fast the model reads and writes.
    """

    def __init__(
        self,
        engine: ChatEngine,
        *,
        model: str,
        preamble: Preamble,
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        super().__init__()
        self.engine = engine
        self.engine.on_death = self.show_death
        self.model = model
        self.preamble = preamble
        self.settings = settings
        self.ready = False
        """Whether questions can be answered."""
        self.model_coming = False
        self._clock = time.monotonic
        self._reading_time = ReadingTime(clock)
        self._silent_at: float | None = None

    @property
    def choice(self) -> Choice:
        """What answers, or will once it is loaded."""
        return Choice(model=self.model, preamble=self.preamble)

    # -- loading --------------------------------------------------------------------

    def load(self) -> None:
        """Load the model and pin the preamble."""
        self.ready = False
        self.model_coming = True
        self._load(self.choice)

    @work(group="engine")
    async def _load(self, choice: Choice) -> None:
        try:
            await self.bring(choice)
        except UrialError as error:
            self.show_trouble(error, needs_reload=True)
        else:
            if self.has_widgets:
                self.get_ready()

    async def bring(self, choice: Choice) -> None:
        """Load what is to answer, and pin its preamble.

        Raises:
            UrialError: It can't be had.
        """
        self.show_status(state="loading 0%")
        writer = await self.engine.load(
            choice,
            engine_options(self.settings),
            take=self.take,
            unpacking=self.show_unpacking,
        )
        if self.has_widgets:
            self.show_model(writer)
        await self.engine.pin(choice.preamble, take=self.take)

    def show_unpacking(self, done: int, total: int) -> None:
        """The model's file is put together, once."""
        if not self.has_widgets:
            return
        self.show_status(state=f"unpacking the model {done / max(1, total):.0%}")

    def show_model(self, writer: Writer) -> None:
        """The model is there; its preamble comes next."""
        self.model = writer.choice.model
        self.query_one(HeaderLine).model = self.model
        self.show_status(
            model=self.model,
            total=writer.model.info.n_ctx,
            used=0,
            state="reading the preamble",
        )

    def take(self, event: Event) -> None:
        """Show what the engine does in front of an answer."""
        if not self.has_widgets:
            return
        match event:
            case LoadProgress(fraction=fraction):
                self.show_status(state=f"loading {fraction:.0%}")
            case PrefillProgress():
                self._show_reading(event)
            case PreambleReady():
                self.show_preamble(event)
            case Notice(message=message):
                self.notify(sanitize_line(message), markup=False)
            case Silence():
                self._silent_at = self._clock()
                self.show_status(state=event.in_words(key_name(self, "chat.stop")))
            case _:
                pass

    def _show_reading(self, event: PrefillProgress) -> None:
        what = "reading the preamble" if event.stage == "preamble" else "reading"
        # What is reused is in the context already; what is left to be read is worth telling.
        done, total = max(0, event.done - event.reused), event.total - event.reused
        seconds = self._reading_time.left(event)
        left = f", {seconds:.0f} s left" if seconds >= 1 else ""
        share = f" {done:,} of {amount(total, 'token')}" if total else ""
        self.show_status(state=f"{what}{share}{left}")

    def show_preamble(self, event: PreambleReady) -> None:
        """The preamble is in place."""
        status = self.query_one(StatusLine).status
        self.show_status(
            preamble_tokens=event.tokens,
            preamble_source=event.source,
            used=max(status.used, event.tokens),
        )

    def get_ready(self) -> None:
        """Questions can be answered."""
        self.ready, self.model_coming = True, False
        self.show_status(state="ready")
        self.when_ready()

    def when_ready(self) -> None:
        """What a screen does once questions can be answered."""

    # -- what fails -----------------------------------------------------------------

    @property
    def silent(self) -> bool:
        """Whether the engine gave no sign of life when that was looked at last."""
        return self._silent_at is not None and self._clock() - self._silent_at < SILENCE_HOLDS

    def show_death(self, error: EngineDied) -> None:
        """The engine ended while nothing was asked of it."""
        self.show_trouble(error, needs_reload=True)

    def show_trouble(self, error: UrialError, *, needs_reload: bool) -> None:
        """Something failed; what is shown and typed stays as it is.

        `needs_reload`: nothing can be answered before the model is loaded.
        """
        if not self.has_widgets:
            return
        if needs_reload:
            self.ready = self.model_coming = False
            self.show_status(state="no model", rate=0.0)
        again = f"{key_name(self, 'chat.reload')} loads the model again."
        self.complain(error, again if needs_reload else "")
        if needs_reload and isinstance(error, ModelError):
            self.when_no_model(error)

    def when_no_model(self, error: ModelError) -> None:
        """What a screen does where there is nothing to load."""

    def use_model(self, model: str) -> None:
        """Load another model: a catalogue name or a path."""
        self.model = model
        self.query_one(HeaderLine).model = model
        self.settle_trouble()
        self.show_status(model=model)
        self.load()

    def show_status(self, **changes: object) -> None:
        """Change what the status line says (the fields of `Status`)."""
        line = self.query_one(StatusLine)
        line.status = msgspec.structs.replace(line.status, **changes)
