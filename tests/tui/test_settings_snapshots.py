"""How the settings look, and the theme of high contrast."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests.scripted import ScriptedEngine
from tests.tui.chat_page import ChatPage
from tests.tui.compare_page import ComparePage
from tests.tui.comparisons import Script
from tests.tui.conftest import Looks, ready
from tests.tui.registry import found_by_name
from tests.tui.settings_page import SettingsPage
from tests.tui.test_compare_snapshots import COMPARED, TEXT, tokens
from tests.tui.test_snapshots import ANSWER, QUESTION
from urial_tui.settings import Settings, UiSettings
from urial_tui.tui.frame.settings_screen import SettingsScreen

HIGH_CONTRAST = Settings(ui=UiSettings(theme="urial-high-contrast"))


def test_settings(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    # The path of the file is another one in each run.
    monkeypatch.setattr(SettingsScreen, "_heading", lambda screen: "Settings")

    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        page = SettingsPage(pilot)
        await page.opens()
        await page.presses("down", "down", "down", "down")

    keys = "↑↓ setting  Enter change  F5 default  Ctrl+R reload model  Esc back"
    assert looks(prepare, keys=keys)


def test_high_contrast_chat(looks: Looks, engine: ScriptedEngine) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        chat = ChatPage(pilot, engine)
        await chat.exchanges(QUESTION, ANSWER)
        await chat.reads("75 tokens/s")

    assert looks(prepare, settings=HIGH_CONTRAST)


def test_high_contrast_compare(looks: Looks) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        page = ComparePage(pilot)
        await page.opens()
        await page.compares()
        await page.reads("shifted")

    assert looks(
        prepare,
        keys=COMPARED,
        settings=HIGH_CONTRAST,
        comparison_factory=Script(tokens(TEXT)).comparison_engine,
        find_model=found_by_name,
        list_models=lambda: ["tiny"],
    )
