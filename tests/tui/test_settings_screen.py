"""The settings screen, driven by its keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.scripted import ScriptedEngine
from tests.tui.conftest import Opened, shows, type_text, wait_until
from tests.tui.test_chat_screen import converse
from urial_tui import paths
from urial_tui.settings import load_settings
from urial_tui.tui.frame.settings_screen import SettingsScreen


async def open_settings(pilot: Pilot[None], sought: str = "") -> None:
    await pilot.press("ctrl+s")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen))
    await type_text(pilot, sought)
    await wait_until(pilot, lambda: pilot.app.screen.query_one(Input).value == sought)


async def type_value(pilot: Pilot[None], text: str) -> None:
    """Change the setting under the bar by typing another value."""
    await pilot.press("enter")
    value = pilot.app.screen.query_one("#setting-value", Input)
    await wait_until(pilot, lambda: value.has_focus)
    value.value = ""
    await type_text(pilot, text)


@pytest.fixture
def file() -> Path:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text("# mine\n[chat]\nmax_tokens = 40 # short\n")
    return path


class TestLooking:
    async def test_each_setting_is_told_with_its_default_and_range(self, opened: Opened) -> None:
        async with opened() as pilot:
            await open_settings(pilot, "top p")
            assert shows(pilot, "No setting has this in it.")
            await pilot.press("escape")
            await type_text(pilot, "top")
            await pilot.press("down")
            await wait_until(pilot, lambda: shows(pilot, "sampling.top_p · 0 to 1 · default 0.95"))
            assert shows(pilot, "that together have this probability")
            assert not shows(pilot, "temperature")

    async def test_it_says_what_the_file_sets(self, opened: Opened, file: Path) -> None:
        async with opened(size=(200, 24)) as pilot:
            await open_settings(pilot, "max_")
            await wait_until(pilot, lambda: shows(pilot, "40  set"))
            assert shows(pilot, str(file))

    async def test_escape_leaves_the_search_and_then_the_screen(self, opened: Opened) -> None:
        async with opened() as pilot:
            await open_settings(pilot, "seed")
            await pilot.press("escape")
            await wait_until(pilot, lambda: shows(pilot, "temperature"))
            await pilot.press("escape")
            await wait_until(pilot, lambda: not isinstance(pilot.app.screen, SettingsScreen))

    async def test_an_unsound_file_is_told_instead(self, opened: Opened, file: Path) -> None:
        file.write_text("[chat\n")
        async with opened() as pilot:
            await pilot.press("ctrl+s")
            await wait_until(pilot, lambda: shows(pilot, "not valid TOML"))
            assert not isinstance(pilot.app.screen, SettingsScreen)


class TestChanging:
    async def test_a_value_is_written_and_holds_with_the_next_answer(
        self, opened: Opened, engine: ScriptedEngine, file: Path
    ) -> None:
        async with opened() as pilot:
            await open_settings(pilot, "max_tokens")
            await type_value(pilot, "33")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "It holds with the next answer"))
            assert file.read_text() == "# mine\n[chat]\nmax_tokens = 33 # short\n"
            await pilot.press("escape", "escape")
            await converse(pilot, engine, "Hi", "Yes.")
            assert engine.requests[-1].max_tokens == 33

    async def test_a_wrong_value_is_told_while_it_is_typed_and_not_written(
        self, opened: Opened, file: Path
    ) -> None:
        async with opened() as pilot:
            await open_settings(pilot, "temp")
            await type_value(pilot, "hot")
            await wait_until(pilot, lambda: shows(pilot, "'hot', but has to be a number."))
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "'hot', but has to be a number."))
            await pilot.press("escape")
            await wait_until(pilot, lambda: shows(pilot, "0.0  default"))
            assert "temperature" not in file.read_text()

    async def test_choices_are_gone_through(
        self, opened: Opened, engine: ScriptedEngine, file: Path
    ) -> None:
        async with opened() as pilot:
            await open_settings(pilot, "kv_type")
            for expected in ("q8_0", "q4_0", "f16", "q8_0"):
                await pilot.press("enter")
                await wait_until(pilot, lambda expected=expected: shows(pilot, f"{expected}  set"))  # type: ignore[misc]
            assert load_settings().engine.kv_type == "q8_0"
            assert shows(pilot, "when the model is loaded again: Ctrl+R does it")
            await pilot.press("ctrl+r")
            await wait_until(pilot, lambda: len(engine.loads) == 2)

    async def test_a_setting_goes_back_to_its_default(self, opened: Opened, file: Path) -> None:
        async with opened() as pilot:
            await open_settings(pilot, "max_tokens")
            await pilot.press("f5")
            await wait_until(pilot, lambda: shows(pilot, "512  default"))
            assert load_settings().chat.max_tokens == 512

    async def test_a_setting_that_may_be_none_is_emptied(self, opened: Opened, file: Path) -> None:
        async with opened() as pilot:
            await open_settings(pilot, "seed")
            await type_value(pilot, "7")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "7  set"))
            await type_value(pilot, "")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "none  default"))
            assert load_settings().sampling.seed is None

    async def test_a_file_that_was_changed_meanwhile_is_read_again(
        self, opened: Opened, file: Path
    ) -> None:
        async with opened() as pilot:
            await open_settings(pilot, "max_tokens")
            file.write_text("[chat]\nmax_tokens = 77\n")
            await type_value(pilot, "5")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "by another program"))
            assert shows(pilot, "77  set")
            assert file.read_text() == "[chat]\nmax_tokens = 77\n"

    async def test_the_theme_is_chosen_by_looking(self, opened: Opened, file: Path) -> None:
        async with opened() as pilot:
            await open_settings(pilot, "theme")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "atom-one-dark"))
            await type_text(pilot, "dracula")
            await wait_until(pilot, lambda: pilot.app.theme == "dracula")
            await pilot.press("enter")
            await wait_until(pilot, lambda: shows(pilot, "dracula  set"))
            assert load_settings().ui.theme == "dracula"
