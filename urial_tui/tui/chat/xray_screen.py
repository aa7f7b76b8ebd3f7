"""A chat whose answers can be x-rayed: a second side ranks the tokens while they are written.

What is known of an answer is kept while the program runs, so that it can be hidden and shown.
Whatever happens to the second side, the chat goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

from textual import work
from textual.binding import Binding, BindingType

from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.chat.unsaved import Unsaved
from urial_tui.engine.wire.protocol import (
    Event,
    LoadProgress,
    Notice,
    PrefillProgress,
    Shifts,
    Silence,
)
from urial_tui.errors import EngineDied, SettingsError, UrialError
from urial_tui.prompting.preamble import Preamble
from urial_tui.sanitize import sanitize_line
from urial_tui.settings import Settings, engine_options
from urial_tui.tui.chat.chat_engine import ChatEngine
from urial_tui.tui.chat.copying_screen import CopyingScreen
from urial_tui.tui.chat.rate import Rate
from urial_tui.tui.chat.reading import Reading
from urial_tui.tui.chat.transcript import Transcript
from urial_tui.tui.chat.xray_text import XrayText
from urial_tui.tui.compare.pick_side import PickSideScreen
from urial_tui.tui.compare.side_choice import SideChoice, contexts_of_side

ListModels = Callable[[], Sequence[str]]


class XrayScreen(CopyingScreen):
    """Has a second side, or none.

    Args:
        engine: Loads and answers.
        list_models: Names of the models on this machine.
        model: The model's name as the user gave it.
        preamble: What answers are written under.
        store: Where conversations are kept; None keeps nothing.
        settings: Sampling, lengths and the engine's options.
        unsaved: Remembers conversations of which not all could be stored.
        clock: Seconds, monotonic; measures the rate of tokens.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f8", "xray", "X-ray: a second side ranks what is written", id="chat.xray"),
        Binding("shift+f8", "xray_side", "X-ray with another second side", id="chat.xray_side"),
    ]

    def __init__(
        self,
        engine: ChatEngine,
        list_models: ListModels,
        *,
        model: str,
        preamble: Preamble,
        store: Store | None,
        settings: Settings,
        unsaved: Unsaved,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(
            engine,
            model=model,
            preamble=preamble,
            store=store,
            settings=settings,
            unsaved=unsaved,
            clock=clock,
        )
        self._list_models = list_models
        self.xray: Literal["off", "coming", "on"] = "off"
        self._second: SideChoice | None = None
        """What reads along whenever the x-ray is on; None: the user is asked."""
        self._offer: SideChoice | None = None
        self._readings: dict[int, Reading] = {}
        """Of the answers that were read along, by their ids."""
        self._growing: tuple[int, Reading] | None = None
        """Of the answer that is being read along, with its question's id."""

    # -- the user -------------------------------------------------------------------

    def action_xray(self) -> None:
        """Turn the x-ray off, or on; the first time, choose the second side."""
        if self.xray != "off":
            self._turn_off()
        elif self._second is None:
            self.action_xray_side()
        else:
            self._turn_on()

    @work(exclusive=True, group="xray-side")
    async def action_xray_side(self) -> None:
        """Choose what the tokens are ranked on, and turn the x-ray on."""
        try:
            models = await asyncio.to_thread(self._list_models)
            contexts = await asyncio.to_thread(contexts_of_side, same=True)
            offer = self._second or self._offer
            if offer is None:
                offer = await asyncio.to_thread(_second_for, self.model, self.preamble)
        except SettingsError as error:
            self.complain(error)
            return
        chosen = await self.app.push_screen_wait(
            PickSideScreen(
                "second",
                offer,
                models,
                contexts,
                note=f"{sanitize_line(self.model)} writes; this side ranks each token it writes.",
            )
        )
        if chosen is not None:
            self._second = self._offer = chosen
            self._turn_on()

    def action_stop(self) -> None:
        """End the loading of the second side where nothing else is to be stopped."""
        idle = self._asking is None and self._editing is None
        if self.xray == "coming" and idle:
            self._turn_off()
        else:
            super().action_stop()

    def _turn_on(self) -> None:
        self.xray = "coming"
        self._open()
        self._show_readings()

    def _turn_off(self) -> None:
        self.xray = "off"
        self.show_status(xray="")
        self._close_second()
        self._show_readings()

    def _show_readings(self) -> None:
        shown = self.xray != "off"
        self.query_one(Transcript).xray(self._readings if shown else {})
        if self._answer is not None:
            growing = self._growing
            mine = growing is not None and growing[0] == self._asking
            self._answer.xray(growing[1] if growing and mine and shown else None)

    # -- the second side ------------------------------------------------------------

    def _open(self) -> None:
        """Have the second side loaded, at once or when the model is there."""
        if self.ready:
            self.show_status(xray="loading")
            self._open_second()
        else:
            self.show_status(xray="waits for the model")

    @work(group="engine")
    async def _open_second(self) -> None:
        second = self._second
        assert second is not None
        try:
            reads = await self.engine.open_second(
                second,
                engine_options(self.settings),
                take=self._take_of_second,
                unpacking=lambda done, total: self._show_second("unpacking", done, total),
            )
        except UrialError as error:
            if not self.has_widgets:
                return
            if isinstance(error, EngineDied):
                self.show_trouble(error, needs_reload=True)
            if second == self._second and self.xray != "off":
                self._show_second_trouble(error)
        else:
            if reads and self.has_widgets:
                self._show_second_ready()

    @work(group="engine")
    async def _close_second(self) -> None:
        try:
            await self.engine.close_second()
        except UrialError as error:
            self.show_trouble(error, needs_reload=True)

    def when_ready(self) -> None:
        """Load the second side before a question that may have waited is answered."""
        if self.xray != "off":
            self.xray = "coming"
            self._open()
        super().when_ready()

    def _take_of_second(self, event: Event) -> None:
        match event:
            case LoadProgress(fraction=fraction):
                self._show_second("loading", fraction, 1.0)
            case PrefillProgress(done=done, total=total):
                self._show_second("reading the preamble", done, total)
            case Notice() | Silence():
                self.take(event)
            case _:
                pass

    def _show_second(self, doing: str, done: float, total: float) -> None:
        """The second side is on its way."""
        if self.xray == "coming" and self.has_widgets:
            self.show_status(xray=f"{doing} {done / max(1, total):.0%}")

    def _show_second_ready(self) -> None:
        """The next answers are read along."""
        if self.xray == "coming":
            self.xray = "on"
            self.show_status(xray=str(self._second))
            newest = self.conversation.leaf
            if newest is not None and newest.id not in self._readings and not self.answering:
                self.notify(
                    "The next answer is ranked while it is written; "
                    "F3 compares the one that is there.",
                    markup=False,
                )

    def _show_second_trouble(self, error: UrialError) -> None:
        """The chat goes on without the second side; the next time, the user chooses again."""
        self._second = None
        self.xray = "off"
        self.show_status(xray="")
        self._show_readings()
        if isinstance(error, EngineDied):
            # What ended the engine is in the banner, with the key that helps.
            self.notify("The engine ended, so the x-ray is off.", markup=False)
        else:
            self.complain(error, "The x-ray is off; F8 chooses another second side.")

    def show_trouble(self, error: UrialError, *, needs_reload: bool) -> None:
        """The second side is gone with the model, and comes back with it."""
        super().show_trouble(error, needs_reload=needs_reload)
        if needs_reload and self.xray != "off":
            self.xray = "coming"
            self.show_status(xray="waits for the model")

    # -- answers --------------------------------------------------------------------

    def start_reading(self, question: int, side: str) -> None:
        """Show the answer as it is written, for its tokens are going to be coloured."""
        reading = Reading(side)
        self._growing = (question, reading)
        shown = question == self._asking and self.xray != "off"
        if shown and self._answer is not None:
            self._answer.xray(reading)

    def take_of_answer(self, question: int, event: Event, rate: Rate) -> None:
        """Colour what has been read."""
        if not isinstance(event, Shifts):
            super().take_of_answer(question, event, rate)
            return
        if self._growing is None or self._growing[0] != question:
            return
        self._growing[1].add(event)
        if question == self._asking and self._answer is not None:
            self._answer.query_one(XrayText).draw_soon()

    async def show_end(self, question: int, answer: TurnRecord | None) -> None:
        """Keep what is known of the answer; it is shown with its end."""
        if self._growing is not None and self._growing[0] == question:
            if answer is not None:
                self._readings[answer.id] = self._growing[1]
            self._growing = None
        await super().show_end(question, answer)


def _second_for(model: str, preamble: Preamble) -> SideChoice:
    # It brings numpy along, which nobody should wait for who only chats.
    from urial_tui.tui.compare.comparison_sides import second_for

    return second_for(model, preamble)
