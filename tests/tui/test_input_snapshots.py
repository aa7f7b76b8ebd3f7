"""How the dialog that copies code looks."""

from __future__ import annotations

from textual.pilot import Pilot

from tests.scripted import ScriptedEngine
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Looks, ready
from tests.tui.test_copying import CODE
from urial_tui.tui.chat.pick_code import PickCodeScreen


def test_choosing_code(looks: Looks, engine: ScriptedEngine) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        chat = ChatPage(pilot, engine)
        await chat.exchanges("How?", CODE)
        await chat.goes_to_transcript()
        await chat.presses("c")
        await chat.is_on(PickCodeScreen)

    assert looks(prepare, keys="Enter copies, Esc goes back")
