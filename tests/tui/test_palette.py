"""The command palette and the help, which are made from the bindings."""

from __future__ import annotations

from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from tests.scripted import ScriptedEngine, answer
from tests.tui.conftest import Found, Opened, screen_text, shows, status, type_text, wait_until
from tests.tui.test_chat_screen import converse, markdown
from urial_tui.settings import Settings
from urial_tui.tui.compare.compare_screen import CompareScreen
from urial_tui.tui.frame.help_screen import HelpScreen


async def open_palette(pilot: Pilot[None]) -> list[str]:
    """Open it; what it offers without a search."""
    await pilot.press("ctrl+p")
    await wait_until(pilot, lambda: bool(offered(pilot)))
    return offered(pilot)


def offered(pilot: Pilot[None]) -> list[str]:
    lists = pilot.app.screen.query(OptionList)
    return [str(option.prompt) for listed in lists for option in listed.options]


class TestPalette:
    async def test_every_action_of_the_screen_is_offered_with_its_key(self, opened: Opened) -> None:
        async with opened() as pilot:
            active = pilot.app.screen.active_bindings.values()
            described = {one.binding.description for one in active if one.binding.id}
            offers = await open_palette(pilot)
            assert "Answer again  F5" in offers
            assert described - {"Commands"} <= {offer.split("  ")[0] for offer in offers}

    async def test_an_action_is_found_and_done(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "Hi", "One.")
            engine.enqueue(*answer("Two."))
            await open_palette(pilot)
            await type_text(pilot, "again")
            await wait_until(pilot, lambda: offered(pilot)[0].startswith("Answer again"))
            await pilot.press("enter")
            await wait_until(pilot, lambda: markdown(pilot) == ["Two."])

    async def test_other_screens_offer_their_own_actions(self, opened: Opened) -> None:
        async with opened() as pilot:
            await pilot.press("f2")
            await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
            offers = await open_palette(pilot)
            assert "Change the base side  F2" in offers
            assert not any(offer.startswith("Answer again") for offer in offers)

    async def test_the_user_s_keys_are_told(self, opened: Opened) -> None:
        keys = Settings(keys={"chat.regenerate": "ctrl+b", "app.commands": "f12"})
        async with opened(settings=keys) as pilot:
            await pilot.press("f12")
            await wait_until(pilot, lambda: "Answer again  Ctrl+B" in offered(pilot))

    async def test_commands_without_a_key_are_offered_too(self, opened: Opened) -> None:
        async with opened() as pilot:
            assert "Theme  Choose other colours" in await open_palette(pilot)


class TestPlaces:
    async def test_a_stored_conversation_is_opened_by_its_title(
        self, opened: Opened, engine: ScriptedEngine
    ) -> None:
        async with opened() as pilot:
            await converse(pilot, engine, "About [red]sheep", "Baa.")
            await pilot.press("ctrl+n")
            await wait_until(pilot, lambda: not markdown(pilot))
            await open_palette(pilot)
            assert not any("sheep" in offer for offer in offered(pilot))
            await type_text(pilot, "sheep")
            await wait_until(pilot, lambda: offered(pilot)[:1] == ["Open: About [red]sheep  tiny"])
            await pilot.press("enter")
            await wait_until(pilot, lambda: markdown(pilot) == ["Baa."])

    async def test_another_model_is_used(self, opened: Opened, engine: ScriptedEngine) -> None:
        names: list[str] = []

        def find(name: str, progress: object) -> Found:
            names.append(name)
            return Found(name=name)

        async with opened(find_model=find, list_models=lambda: ["tiny", "other-[7b]"]) as pilot:
            await open_palette(pilot)
            await type_text(pilot, "other-")
            await wait_until(pilot, lambda: "Model: other-[7b]  " in offered(pilot))
            await pilot.press("enter")
            await wait_until(pilot, lambda: names == ["tiny", "other-[7b]"])
            await wait_until(pilot, lambda: "ready" in status(pilot))


class TestHelp:
    async def test_it_lists_what_has_the_focus_and_what_is_everywhere(self, opened: Opened) -> None:
        async with opened(size=(120, 70)) as pilot:
            await pilot.press("f1")
            await wait_until(pilot, lambda: shows(pilot, "Answer again"))
            for text in ("Prompt", "New line", "chat.regenerate", "Everywhere", "app.quit"):
                assert shows(pilot, text)

    async def test_it_is_searched_by_key_word_and_id(self, opened: Opened) -> None:
        async with opened() as pilot:
            await pilot.press("f1")
            for sought, found in (
                ("f5", "Answer again"),
                ("undo", "Alt+U"),
                ("chat.new", "Ctrl+N"),
            ):
                pilot.app.screen.query_one(Input).value = sought
                await wait_until(pilot, lambda found=found: shows(pilot, found))  # type: ignore[misc]
                assert not shows(pilot, "Other version before")
            pilot.app.screen.query_one(Input).value = "no such thing"
            await wait_until(pilot, lambda: shows(pilot, "No action has this in it."))

    async def test_it_scrolls_and_goes(self, opened: Opened) -> None:
        async with opened() as pilot:
            await pilot.press("f1")
            await wait_until(pilot, lambda: shows(pilot, "New line"))
            assert not shows(pilot, "Everywhere")
            for _ in range(4):
                await pilot.press("pagedown")
            await wait_until(pilot, lambda: shows(pilot, "Everywhere"))
            await pilot.press("f1")
            await wait_until(pilot, lambda: not isinstance(pilot.app.screen, HelpScreen))

    async def test_lines_fit_the_smallest_screen(self, opened: Opened) -> None:
        async with opened() as pilot:
            await pilot.press("f1")
            await wait_until(pilot, lambda: shows(pilot, "New line"))
            for _ in range(5):
                lines = screen_text(pilot).splitlines()
                assert all(line.endswith("│") for line in lines[4:18])
                await pilot.press("pagedown")
