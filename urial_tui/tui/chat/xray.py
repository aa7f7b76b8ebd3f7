"""The x-ray of answers: a second side ranks their tokens while they are written.

What is known of an answer is kept while the program runs, so that it can be hidden and shown.
Whatever happens to the second side, the chat goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from urial_tui.chat.turns import TurnRecord
from urial_tui.compare.shift_map import ShiftMap
from urial_tui.compare.side_choice import SideChoice, contexts_of_side
from urial_tui.engine.wire.events import (
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
from urial_tui.tui.chat.chat_view import ChatView
from urial_tui.tui.chat.model_loading import ModelLoading
from urial_tui.tui.chat.open_conversation import OpenConversation
from urial_tui.tui.chat.xray_text import XrayText
from urial_tui.tui.compare.pick_side import PickSideScreen

ListModels = Callable[[], Sequence[str]]


class Xray:
    """Loads a second side, or none, and colours answers by its ranks.

    Args:
        view: Shows what it says.
        models: What writes, and the engine in which both are.
        here: The conversation whose answers are read along.
        list_models: Names of the models on this machine.
    """

    def __init__(
        self,
        view: ChatView,
        models: ModelLoading,
        here: OpenConversation,
        list_models: ListModels,
    ) -> None:
        self._view = view
        self._models = models
        self._here = here
        self._list_models = list_models
        self.state: Literal["off", "coming", "on"] = "off"
        self.second: SideChoice | None = None
        """What reads along whenever the x-ray is on; None: the user is asked."""
        self._offer: SideChoice | None = None
        self._readings: dict[int, ShiftMap] = {}
        """Of the answers that were read along, by their ids."""
        self._growing: tuple[int, ShiftMap] | None = None
        """Of the answer that is being read along, with its question's id."""

    # -- the user -------------------------------------------------------------------

    def toggle(self) -> None:
        """Turn the x-ray off, or on; the first time, choose the second side."""
        if self.state != "off":
            self.turn_off()
        elif self.second is None:
            self.choose()
        else:
            self._turn_on()

    def choose(self) -> None:
        """Choose what the tokens are ranked on, and turn the x-ray on."""
        self._view.work_alone("xray-side", self._choose)

    async def _choose(self) -> None:
        writing = self._models.choice
        try:
            models = await asyncio.to_thread(self._list_models)
            contexts = await asyncio.to_thread(contexts_of_side, same=True)
            offer = self.second or self._offer
            if offer is None:
                offer = await asyncio.to_thread(_second_for, writing.model, writing.preamble)
        except SettingsError as error:
            self._view.complain(error)
            return
        model = sanitize_line(self._models.choice.model)
        note = f"{model} writes; this side ranks each token it writes."
        chosen = await self._view.chosen_on(
            PickSideScreen("second", offer, models, contexts, note=note)
        )
        if chosen is not None:
            self.second = self._offer = chosen
            self._turn_on()

    def _turn_on(self) -> None:
        self.come()
        self._show_readings()

    def turn_off(self) -> None:
        """Hide what was read, and free what reads."""
        self.state = "off"
        self._view.show_status(xray="")
        self._view.work("engine", self._close)
        self._show_readings()

    def _show_readings(self) -> None:
        shown = self.state != "off"
        self._view.transcript.turns.xray(self._readings if shown else {})
        if self._here.answer is not None:
            growing = self._growing
            mine = growing is not None and growing[0] == self._here.asking.question
            self._here.answer.xray(growing[1] if growing and mine and shown else None)

    # -- the second side ------------------------------------------------------------

    def come(self) -> None:
        """Load the second side, at once or when the model is there."""
        self.state = "coming"
        if self._models.ready:
            self._view.show_status(xray="loading")
            self._view.work("engine", self._open)
        else:
            self._view.show_status(xray="waits for the model")

    def come_again(self) -> None:
        """Load the second side again, beside a model that was just loaded, or is going to be."""
        if self.state != "off":
            self.come()

    async def _open(self) -> None:
        second = self.second
        assert second is not None
        try:
            reads = await self._models.engine.open_second(
                second,
                self._models.options,
                take=self._take_of_second,
                unpacking=lambda done, total: self._show_coming("unpacking", done, total),
            )
        except UrialError as error:
            if not self._view.alive:
                return
            if isinstance(error, EngineDied):
                self._models.lose(error)
            if second == self.second and self.state != "off":
                self._give_up(error)
        else:
            if reads and self._view.alive:
                self._show_there()

    async def _close(self) -> None:
        try:
            await self._models.engine.close_second()
        except UrialError as error:
            self._models.lose(error)

    def _take_of_second(self, event: Event) -> None:
        match event:
            case LoadProgress(fraction=fraction):
                self._show_coming("loading", fraction, 1.0)
            case PrefillProgress(done=done, total=total):
                self._show_coming("reading the preamble", done, total)
            case Notice() | Silence():
                self._models.take(event)
            case _:
                pass

    def _show_coming(self, doing: str, done: float, total: float) -> None:
        """Show the progress of loading the second side."""
        if self.state == "coming" and self._view.alive:
            self._view.show_status(xray=f"{doing} {done / max(1, total):.0%}")

    def _show_there(self) -> None:
        """Show that the next answers are read along."""
        if self.state != "coming":
            return
        self.state = "on"
        self._view.show_status(xray=str(self.second))
        newest = self._here.conversation.leaf
        unread = newest is not None and newest.id not in self._readings
        if unread and not self._here.asking.answering:
            self._view.tell(
                "The next answer is ranked while it is written; "
                f"{self._view.key('chat.compare_answer')} compares the one that is there."
            )

    def _give_up(self, error: UrialError) -> None:
        """Turn the x-ray off on an error; the next time, the user chooses again."""
        self.second = None
        self.state = "off"
        self._view.show_status(xray="")
        self._show_readings()
        if isinstance(error, EngineDied):
            # What ended the engine is in the banner, with the key that helps.
            self._view.tell("The engine ended, so the x-ray is off.")
        else:
            key = self._view.key("chat.xray")
            self._view.complain(error, f"The x-ray is off; {key} chooses another second side.")

    # -- answers --------------------------------------------------------------------

    def begin(self, question: int, side: str) -> None:
        """Begin the x-ray of the answer to a question; `side`: what reads it along, in words.

        It is shown as it is written, for its tokens are going to be coloured.
        """
        reading = ShiftMap(side)
        self._growing = (question, reading)
        answer = self._here.answer
        if question == self._here.asking.question and self.state != "off" and answer is not None:
            answer.xray(reading)

    def take(self, question: int, shifts: Shifts) -> None:
        """Colour the tokens that have been ranked of the answer to a question."""
        if self._growing is None or self._growing[0] != question:
            return
        self._growing[1].add(shifts)
        if question == self._here.asking.question and self._here.answer is not None:
            self._here.answer.query_one(XrayText).draw_soon()

    def end(self, question: int, answer: TurnRecord | None) -> None:
        """Keep the ranks of the answer to a question; they are shown with its end."""
        if self._growing is not None and self._growing[0] == question:
            if answer is not None:
                self._readings[answer.id] = self._growing[1]
            self._growing = None


def _second_for(model: str, preamble: Preamble) -> SideChoice:
    # It brings numpy along, which nobody should wait for who only chats.
    from urial_tui.compare.comparison_start import second_for

    return second_for(model, preamble)
