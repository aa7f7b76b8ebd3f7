"""The side-by-side screen as its user has it: two answers to a question, and a vote."""

from __future__ import annotations

from typing import Any

from tests.scripted import ScriptedEngine
from tests.tui.page import PromptPage
from tests.tui.registry import found_by_name
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.runtime.host import FindModel
from urial_tui.runtime.writer import WriterChoice
from urial_tui.tui.duel.ballot import Ballot
from urial_tui.tui.duel.duel import Duel
from urial_tui.tui.duel.side_by_side import SideBySideScreen


class DuelPage(PromptPage[SideBySideScreen]):
    """The screen, driven by its keys."""

    kind = SideBySideScreen
    key = "f9"

    @property
    def phase(self) -> str:
        return self.screen.phase

    @property
    def answers(self) -> list[str]:
        """As they are shown, left and right."""
        return [side.text.source for side in self.screen.sides]

    @property
    def ballot(self) -> Ballot:
        return self.screen.query_one(Ballot)

    def faces(self, model: str) -> None:
        """Put another model at the right, under the preamble of the left."""
        self.screen.choices[1] = WriterChoice(model=model, preamble=find_preamble("urial-k1"))
        self.screen.view.show_phase("empty")

    def shuffles(self, *, swapped: bool) -> None:
        """Have the sides of a blind vote stand so."""
        self.screen._swap = lambda: swapped

    async def is_answered(self) -> None:
        """Wait until both sides are over and a vote is wanted."""
        await self.until(lambda: self.phase == "voting")

    async def is_over(self) -> None:
        """Wait until the question is done with."""
        await self.until(lambda: self.phase == "over")

    async def hears(self, question: str) -> None:
        """Ask, and wait for both answers."""
        await self.asks(question)
        await self.is_answered()

    async def votes(self, key: str) -> None:
        """Say which is better, and wait until that is taken."""
        await self.pilot.press(key)
        await self.is_over()


class Sides:
    """The engines that the sides get, in the order in which they are made."""

    def __init__(self) -> None:
        self.engines = [ScriptedEngine(), ScriptedEngine()]
        self.fits = True
        self.made = 0

    def make_engine(self) -> ScriptedEngine:
        self.made += 1
        return self.engines[self.made - 1]

    def make_duel(self, find: FindModel) -> Duel:
        return Duel(self.make_engine, find, fits=lambda path, options: self.fits)

    def changes(self) -> dict[str, Any]:
        """What makes an application use them."""
        return {"sides_factory": self.make_duel, "find_model": found_by_name}
