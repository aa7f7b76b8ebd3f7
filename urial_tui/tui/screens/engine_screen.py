"""A screen with an engine behind it: what loads, what is read, and what fails.

It holds which model and preamble are in use and whether questions can be answered. It
changes widgets as the messages of the engine's thread come in, and never waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
from textual import on
from textual.screen import Screen

from urial_tui.errors import ModelError
from urial_tui.prompting.preamble import Preamble
from urial_tui.runtime.host import FindModel
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings, engine_options
from urial_tui.tui.engine_thread import EngineThread
from urial_tui.tui.keys import key_name
from urial_tui.tui.messages import (
    EngineBug,
    EngineNotice,
    EngineReady,
    EngineSilent,
    EngineTrouble,
    ModelLoaded,
    ModelLoading,
    ModelUnpacking,
    PreamblePinned,
    Reading,
)
from urial_tui.tui.screens.prompt_screen import PromptScreen
from urial_tui.tui.widgets.header_line import HeaderLine
from urial_tui.tui.widgets.status_line import StatusLine
from urial_tui.wording import amount

MakeEngineThread = Callable[[Screen[None]], EngineThread]


SILENCE_HOLDS = 8.0
"""Seconds that a report of silence counts; the next one comes before they are over."""


class EngineScreen(PromptScreen):
    """Has a header, a banner and a status line, and one model that is loaded or on its way.

    Args:
        make_engine_thread: Makes the thread that posts to this screen.
        find_model: Looks the model up; called in the engine's thread, at each load.
        model: The model's name as the user gave it.
        preamble: What answers are written under.
        settings: Sampling, lengths and the engine's options.
    """

    def __init__(
        self,
        make_engine_thread: MakeEngineThread,
        find_model: FindModel,
        *,
        model: str,
        preamble: Preamble,
        settings: Settings,
    ) -> None:
        super().__init__()
        self.engine = make_engine_thread(self)
        self.model = model
        self.preamble = preamble
        self.settings = settings
        self.ready = False
        """Whether questions can be answered."""
        self.model_coming = False
        self._find_model = find_model
        self._clock = time.monotonic
        self._silent_at: float | None = None

    def load(self) -> None:
        """Load the model and pin the preamble."""
        self.ready = False
        self.model_coming = True
        self.engine.load(self._find_model, self.model, self.preamble, engine_options(self.settings))

    @on(ModelUnpacking)
    def show_unpacking(self, event: ModelUnpacking) -> None:
        """The model's file is put together, once."""
        self.show_status(state=f"unpacking the model {event.done / max(1, event.total):.0%}")

    @on(ModelLoading)
    def show_loading(self, event: ModelLoading) -> None:
        """The model is on its way."""
        self.show_status(state=f"loading {event.fraction:.0%}")

    @on(ModelLoaded)
    def show_model(self, event: ModelLoaded) -> None:
        """The model is there."""
        self.model = event.name
        self.query_one(HeaderLine).model = event.name
        self.show_status(
            model=event.name, total=event.info.n_ctx, used=0, state="reading the preamble"
        )

    @on(Reading)
    def show_reading(self, event: Reading) -> None:
        """The model reads."""
        what = "reading the preamble" if event.of_preamble else "reading"
        # What is reused is in the context already; what is left to be read is worth telling.
        done, total = max(0, event.done - event.reused), event.total - event.reused
        left = f", {event.left:.0f} s left" if event.left >= 1 else ""
        share = f" {done:,} of {amount(total, 'token')}" if total else ""
        self.show_status(state=f"{what}{share}{left}")

    @on(PreamblePinned)
    def show_preamble(self, event: PreamblePinned) -> None:
        """The preamble is in place."""
        status = self.query_one(StatusLine).status
        self.show_status(
            preamble_tokens=event.tokens,
            preamble_source=event.source,
            used=max(status.used, event.tokens),
        )

    @on(EngineReady)
    def get_ready(self) -> None:
        """Questions can be answered."""
        self.ready, self.model_coming = True, False
        self.show_status(state="ready")
        self.when_ready()

    def when_ready(self) -> None:
        """What a screen does once questions can be answered."""

    @on(EngineNotice)
    def show_notice(self, event: EngineNotice) -> None:
        """The engine has something to say."""
        self.notify(sanitize_line(event.text), markup=False)

    @on(EngineSilent)
    def show_silence(self, event: EngineSilent) -> None:
        """The engine may hang: say so, and which key ends it."""
        self._silent_at = self._clock()
        self.show_status(state=event.silence.in_words(key_name(self, "chat.stop")))

    @property
    def silent(self) -> bool:
        """Whether the engine gave no sign of life when that was looked at last."""
        return self._silent_at is not None and self._clock() - self._silent_at < SILENCE_HOLDS

    @on(EngineTrouble)
    def show_trouble(self, event: EngineTrouble) -> None:
        """Something failed; what is shown and typed stays as it is."""
        if event.needs_reload:
            self.ready = self.model_coming = False
            self.show_status(state="no model", rate=0.0)
        again = f"{key_name(self, 'chat.reload')} loads the model again."
        self.complain(event.error, again if event.needs_reload else "")
        if event.needs_reload and isinstance(event.error, ModelError):
            self.when_no_model(event.error)

    def when_no_model(self, error: ModelError) -> None:
        """What a screen does where there is nothing to load."""

    def use_model(self, model: str) -> None:
        """Load another model: a catalogue name or a path."""
        self.model = model
        self.query_one(HeaderLine).model = model
        self.settle_trouble()
        self.show_status(model=model)
        self.load()

    @on(EngineBug)
    def crash(self, event: EngineBug) -> None:
        """A mistake in this program: end with a trace; what was stored is stored."""
        raise event.error

    def show_status(self, **changes: object) -> None:
        """Change what the status line says (the fields of `Status`)."""
        line = self.query_one(StatusLine)
        line.status = msgspec.structs.replace(line.status, **changes)
