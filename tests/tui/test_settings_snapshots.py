"""How the settings look, and the theme of high contrast."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.scripted import ScriptedEngine, answer
from tests.tui.comparisons import Script
from tests.tui.conftest import Found, shows, status, type_text, wait_until
from tests.tui.test_compare_snapshots import TEXT, tokens
from tests.tui.test_settings_screen import open_settings
from tests.tui.test_snapshots import ANSWER
from urial_tui.settings import Settings, UiSettings
from urial_tui.tui.app import UrialApp
from urial_tui.tui.compare.compare_screen import CompareScreen
from urial_tui.tui.frame.settings_screen import SettingsScreen
from urial_tui.tui.widgets.prompt import Prompt

Looks = Callable[..., bool]

pytestmark = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])

HIGH_CONTRAST = Settings(ui=UiSettings(theme="urial-high-contrast"))


@pytest.fixture
def looks(
    snap_compare: Callable[..., bool],
    make_app: Callable[..., UrialApp],
    monkeypatch: pytest.MonkeyPatch,
) -> Looks:
    # The path of the file is another one in each run.
    monkeypatch.setattr(SettingsScreen, "_heading", lambda screen: "Settings")

    def compare(
        size: tuple[int, int], prepare: Callable[[Pilot[None]], Awaitable[None]], **changes: Any
    ) -> bool:
        async def still(pilot: Pilot[None]) -> None:
            await wait_until(pilot, lambda: "ready" in status(pilot))
            pilot.app.screen.query_one(Prompt).cursor_blink = False
            await prepare(pilot)
            for line in pilot.app.screen.query(Input):
                line.cursor_blink = False

        return snap_compare(make_app(**changes), terminal_size=size, run_before=still)

    return compare


def test_settings(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await open_settings(pilot)
        await pilot.press("down", "down", "down", "down")

    assert looks(size, prepare)


def test_a_value_that_can_not_be(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await open_settings(pilot, "penalty")
        await pilot.press("enter")
        await wait_until(pilot, lambda: shows(pilot, "Enter writes it"))
        await type_text(pilot, "99")
        await wait_until(pilot, lambda: shows(pilot, "has to lie"))

    assert looks(size, prepare)


def test_high_contrast_chat(looks: Looks, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    engine.enqueue(*answer(ANSWER))

    async def prepare(pilot: Pilot[None]) -> None:
        await type_text(pilot, "How do I read a file?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: shows(pilot, "75 tokens/s") and "ready" in status(pilot))

    assert looks(size, prepare, settings=HIGH_CONTRAST)


def test_high_contrast_compare(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await pilot.press("f2")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
        pilot.app.screen.query_one(Prompt).cursor_blink = False
        await type_text(pilot, "How?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "tokens" in status(pilot) and shows(pilot, "shifted"))

    assert looks(
        size,
        prepare,
        settings=HIGH_CONTRAST,
        comparison_factory=Script(tokens(TEXT)).comparison_engine,
        find_model=lambda name, progress: Found(name=name),
        list_models=lambda: ["tiny"],
    )
