"""What the tests of the side-by-side screen share: engines for its sides, and how to ask."""

from __future__ import annotations

from typing import Any

from textual.pilot import Pilot

from tests.scripted import ScriptedEngine
from tests.tui.conftest import Found, type_text, wait_until
from urial_tui.runtime.host import FindModel
from urial_tui.tui.duel.duel import Duel
from urial_tui.tui.duel.side_by_side import SideBySideScreen


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
        return {
            "sides_factory": self.make_duel,
            "find_model": lambda name, progress: Found(name=name),
        }


def screen(pilot: Pilot[None]) -> SideBySideScreen:
    assert isinstance(pilot.app.screen, SideBySideScreen)
    return pilot.app.screen


async def open_sides(pilot: Pilot[None]) -> None:
    await pilot.press("f9")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, SideBySideScreen))


async def ask(pilot: Pilot[None], text: str) -> None:
    """Send a question to both sides."""
    await type_text(pilot, text)
    await pilot.press("enter")


def phase(pilot: Pilot[None]) -> str:
    return screen(pilot).phase


async def answered(pilot: Pilot[None], expected: str = "voting") -> None:
    """Wait until both sides are over."""
    await wait_until(pilot, lambda: phase(pilot) == expected)


def texts(pilot: Pilot[None]) -> list[str]:
    """The answers as they are shown, left and right."""
    return [side.text.source for side in screen(pilot).sides]
