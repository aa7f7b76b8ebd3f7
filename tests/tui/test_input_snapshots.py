"""How typing and copying look."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.events import Paste
from textual.pilot import Pilot

from tests.scripted import ScriptedEngine
from tests.tui.conftest import shows, status, type_text, wait_until
from tests.tui.test_chat_screen import converse, prompt
from tests.tui.test_copying import CODE, to_transcript
from tests.tui.test_snapshots import looks as looks
from urial_tui.errors import EngineError
from urial_tui.tui.chat.pick_code import PickCodeScreen

pytestmark = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])

Looks = Callable[..., bool]


def test_a_long_paste(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await wait_until(pilot, lambda: "ready" in status(pilot))
        await type_text(pilot, "What does this do?\n")
        prompt(pilot).post_message(Paste("print('hello')\n" * 2143))
        await wait_until(pilot, lambda: shows(pilot, "2,144 lines"))
        await type_text(pilot, " Be brief.")

    assert looks(size, prepare)


def test_a_refused_question(looks: Looks, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    engine.enqueue(EngineError("The question has 32,273 tokens.", "Shorten it."))

    async def prepare(pilot: Pilot[None]) -> None:
        await wait_until(pilot, lambda: "ready" in status(pilot))
        await type_text(pilot, "How long is too long?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: shows(pilot, "Editing the question"))

    assert looks(size, prepare)


def test_choosing_code(looks: Looks, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await wait_until(pilot, lambda: "ready" in status(pilot))
        await converse(pilot, engine, "How?", CODE)
        await to_transcript(pilot)
        await pilot.press("c")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickCodeScreen))

    assert looks(size, prepare)
