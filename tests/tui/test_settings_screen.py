"""The settings screen, driven by its keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scripted import ScriptedEngine
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Chatting
from tests.tui.settings_page import SettingsPage
from urial_tui import paths
from urial_tui.settings import load_settings
from urial_tui.tui.frame.settings_screen import SettingsScreen


async def look_for(chat: ChatPage, words: str = "") -> SettingsPage:
    """Open the settings, and search."""
    settings = await chat.leads_to(SettingsPage)
    await settings.seeks(words)
    return settings


@pytest.fixture
def file() -> Path:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text("# mine\n[chat]\nmax_tokens = 40 # short\n")
    return path


class TestLooking:
    async def test_each_setting_is_told_with_its_default_and_range(
        self, chatting: Chatting
    ) -> None:
        async with chatting() as chat:
            settings = await look_for(chat, "top p")
            assert settings.shows("No setting has this in it.")
            await settings.presses("escape")
            await settings.types("top")
            await settings.presses("down")
            await settings.reads("sampling.top_p · 0 to 1 · default 0.95")
            assert settings.shows("that together have this probability")
            assert not settings.shows("temperature")

    async def test_it_says_what_the_file_sets(self, chatting: Chatting, file: Path) -> None:
        async with chatting(size=(200, 24)) as chat:
            settings = await look_for(chat, "max_")
            await settings.reads("40  set")
            assert settings.shows(str(file))

    async def test_escape_leaves_the_search_and_then_the_screen(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            settings = await look_for(chat, "seed")
            await settings.presses("escape")
            await settings.reads("temperature")
            await settings.presses("escape")
            await settings.until(lambda: not isinstance(settings.app.screen, SettingsScreen))

    async def test_an_unsound_file_is_told_instead(self, chatting: Chatting, file: Path) -> None:
        file.write_text("[chat\n")
        async with chatting() as chat:
            await chat.presses("ctrl+s")
            await chat.reads("not valid TOML")
            assert not isinstance(chat.app.screen, SettingsScreen)


class TestChanging:
    async def test_a_value_is_written_and_holds_with_the_next_answer(
        self, chatting: Chatting, engine: ScriptedEngine, file: Path
    ) -> None:
        async with chatting() as chat:
            settings = await look_for(chat, "max_tokens")
            await settings.types_value("33")
            await settings.presses("enter")
            await settings.reads("It holds with the next answer")
            assert file.read_text() == "# mine\n[chat]\nmax_tokens = 33 # short\n"
            await settings.presses("escape", "escape")
            await chat.exchanges("Hi", "Yes.")
            assert engine.requests[-1].max_tokens == 33

    async def test_a_wrong_value_is_told_while_it_is_typed_and_not_written(
        self, chatting: Chatting, file: Path
    ) -> None:
        async with chatting() as chat:
            settings = await look_for(chat, "repetition")
            await settings.types_value("99")
            await settings.reads("✖ The setting sampling.repetition_penalty")
            assert settings.shows("is 99, but has to lie between 0.01")
            assert settings.shows("Enter write  Esc leave it")
            await settings.presses("escape", "escape")
            await settings.types("temp")
            await settings.types_value("hot")
            await settings.reads("'hot', but has to be a number.")
            await settings.presses("enter")
            await settings.reads("'hot', but has to be a number.")
            await settings.presses("escape")
            await settings.reads("0.0  default")
            assert "temperature" not in file.read_text()

    async def test_choices_are_gone_through(
        self, chatting: Chatting, engine: ScriptedEngine, file: Path
    ) -> None:
        async with chatting() as chat:
            settings = await look_for(chat, "kv_type")
            for expected in ("q8_0", "q4_0", "f16", "q8_0"):
                await settings.presses("enter")
                await settings.until(lambda expected=expected: settings.shows(f"{expected}  set"))  # type: ignore[misc]
            assert load_settings().engine.kv_type == "q8_0"
            assert settings.shows("when the model is loaded again: Ctrl+R does it")
            await settings.presses("ctrl+r")
            await settings.until(lambda: len(engine.loads) == 2)

    async def test_a_setting_goes_back_to_its_default(self, chatting: Chatting, file: Path) -> None:
        async with chatting() as chat:
            settings = await look_for(chat, "max_tokens")
            await settings.presses("f5")
            await settings.reads("512  default")
            assert load_settings().chat.max_tokens == 512

    async def test_a_setting_that_may_be_none_is_emptied(
        self, chatting: Chatting, file: Path
    ) -> None:
        async with chatting() as chat:
            settings = await look_for(chat, "seed")
            await settings.types_value("7")
            await settings.presses("enter")
            await settings.reads("7  set")
            await settings.types_value("")
            await settings.presses("enter")
            await settings.reads("none  default")
            assert load_settings().sampling.seed is None

    async def test_a_file_that_was_changed_meanwhile_is_read_again(
        self, chatting: Chatting, file: Path
    ) -> None:
        async with chatting() as chat:
            settings = await look_for(chat, "max_tokens")
            file.write_text("[chat]\nmax_tokens = 77\n")
            await settings.types_value("5")
            await settings.presses("enter")
            await settings.reads("by another program")
            assert settings.shows("77  set")
            assert file.read_text() == "[chat]\nmax_tokens = 77\n"

    async def test_the_theme_is_chosen_by_looking(self, chatting: Chatting, file: Path) -> None:
        async with chatting() as chat:
            settings = await look_for(chat, "theme")
            await settings.presses("enter")
            await settings.reads("atom-one-dark")
            await settings.types("dracula")
            await settings.until(lambda: settings.app.theme == "dracula")
            await settings.presses("enter")
            await settings.reads("dracula  set")
            assert load_settings().ui.theme == "dracula"
