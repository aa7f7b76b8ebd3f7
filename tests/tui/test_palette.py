"""The command palette and the help, which are made from the bindings."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual.app import SystemCommand
from textual.screen import Screen
from textual.widgets import Input, OptionList

from tests.scripted import ScriptedEngine, answer
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Chatting, Found
from urial_tui.settings import Settings
from urial_tui.tui.app import UrialApp
from urial_tui.tui.compare.compare_screen import CompareScreen
from urial_tui.tui.frame.help_screen import HelpScreen


async def open_palette(chat: ChatPage) -> list[str]:
    """Open it; what it offers without a search."""
    await chat.presses("ctrl+p")
    await chat.until(lambda: bool(offered(chat)))
    return offered(chat)


def offered(chat: ChatPage) -> list[str]:
    lists = chat.app.screen.query(OptionList)
    return [str(option.prompt) for listed in lists for option in listed.options]


class TestPalette:
    async def test_every_action_of_the_screen_is_offered_with_its_key(
        self, chatting: Chatting
    ) -> None:
        async with chatting() as chat:
            active = chat.app.screen.active_bindings.values()
            described = {one.binding.description for one in active if one.binding.id}
            offers = await open_palette(chat)
            assert "Answer again  F5" in offers
            assert described - {"Commands"} <= {offer.split("  ")[0] for offer in offers}

    async def test_an_action_is_found_and_done(
        self, chatting: Chatting, engine: ScriptedEngine
    ) -> None:
        async with chatting() as chat:
            await chat.exchanges("Hi", "One.")
            engine.enqueue(*answer("Two."))
            await open_palette(chat)
            await chat.types("again")
            await chat.until(lambda: offered(chat)[0].startswith("Answer again"))
            await chat.presses("enter")
            await chat.has_answers("Two.")

    async def test_other_screens_offer_their_own_actions(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.presses("f2")
            await chat.is_on(CompareScreen)
            offers = await open_palette(chat)
            assert "Change the base side  F2" in offers
            assert not any(offer.startswith("Answer again") for offer in offers)

    async def test_the_user_s_keys_are_told(self, chatting: Chatting) -> None:
        keys = Settings(keys={"chat.regenerate": "ctrl+b", "app.commands": "f12"})
        async with chatting(settings=keys) as chat:
            await chat.presses("f12")
            await chat.until(lambda: "Answer again  Ctrl+B" in offered(chat))

    async def test_commands_without_a_key_are_offered_too(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            assert "Theme  Choose other colours" in await open_palette(chat)

    async def test_what_is_typed_before_it_has_looked_anything_up_is_found(
        self, chatting: Chatting, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, goes_on = asyncio.Event(), asyncio.Event()

        async def find(app: UrialApp, screen: Screen[Any]) -> list[SystemCommand]:
            begun.set()
            await goes_on.wait()
            return []

        monkeypatch.setattr(UrialApp, "find_commands", find)
        async with chatting() as chat:
            await chat.presses("ctrl+p")
            await chat.until(begun.is_set)
            await chat.types("again")
            goes_on.set()
            await chat.until(lambda: offered(chat)[:1] == ["Answer again  F5"])


class TestPlaces:
    async def test_a_stored_conversation_is_opened_by_its_title(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.exchanges("About [red]sheep", "Baa.")
            await chat.presses("ctrl+n")
            await chat.until(lambda: not chat.answers)
            await open_palette(chat)
            assert not any("sheep" in offer for offer in offered(chat))
            await chat.types("sheep")
            await chat.until(lambda: offered(chat)[:1] == ["Open: About [red]sheep  tiny"])
            await chat.presses("enter")
            await chat.has_answers("Baa.")

    async def test_another_model_is_used(self, chatting: Chatting) -> None:
        names: list[str] = []

        def find(name: str, progress: object) -> Found:
            names.append(name)
            return Found(name=name)

        async with chatting(find_model=find, list_models=lambda: ["tiny", "other-[7b]"]) as chat:
            await open_palette(chat)
            await chat.types("other-")
            await chat.until(lambda: "Model: other-[7b]  " in offered(chat))
            await chat.presses("enter")
            await chat.until(lambda: names == ["tiny", "other-[7b]"])
            await chat.is_ready()


class TestHelp:
    async def test_it_lists_what_has_the_focus_and_what_is_everywhere(
        self, chatting: Chatting
    ) -> None:
        async with chatting(size=(120, 70)) as chat:
            await chat.presses("f1")
            await chat.reads("Answer again")
            for text in ("Prompt", "New line", "chat.regenerate", "Everywhere", "app.quit"):
                assert chat.shows(text)

    async def test_it_is_searched_by_key_word_and_id(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.presses("f1")
            for sought, found in (
                ("f5", "Answer again"),
                ("undo", "Alt+U"),
                ("chat.new", "Ctrl+N"),
            ):
                chat.app.screen.query_one(Input).value = sought
                await chat.until(lambda found=found: chat.shows(found))  # type: ignore[misc]
                assert not chat.shows("Other version before")
            chat.app.screen.query_one(Input).value = "no such thing"
            await chat.reads("No action has this in it.")

    async def test_it_scrolls_and_goes(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.presses("f1")
            await chat.reads("New line")
            assert not chat.shows("Everywhere")
            for _ in range(4):
                await chat.presses("pagedown")
            await chat.reads("Everywhere")
            await chat.presses("f1")
            await chat.until(lambda: not isinstance(chat.app.screen, HelpScreen))

    async def test_lines_fit_the_smallest_screen(self, chatting: Chatting) -> None:
        async with chatting() as chat:
            await chat.presses("f1")
            await chat.reads("New line")
            for _ in range(5):
                lines = chat.lines
                assert all(line.endswith("│") for line in lines[4:18])
                await chat.presses("pagedown")
