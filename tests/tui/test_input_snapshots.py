"""How typing and copying look."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from tests.scripted import ScriptedEngine
from tests.tui.conftest import status, wait_until
from tests.tui.test_chat_screen import converse
from tests.tui.test_copying import CODE, to_transcript
from tests.tui.test_snapshots import looks as looks
from urial_tui.tui.screens.pick_code import PickCodeScreen

pytestmark = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])

Looks = Callable[..., bool]


def test_choosing_code(looks: Looks, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await wait_until(pilot, lambda: "ready" in status(pilot))
        await converse(pilot, engine, "How?", CODE)
        await to_transcript(pilot)
        await pilot.press("c")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickCodeScreen))

    assert looks(size, prepare)
