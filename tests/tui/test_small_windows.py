"""Windows of few lines: the lines go to what is looked at."""

from __future__ import annotations

import pytest
from textual.widgets import OptionList

from tests.tui.conftest import Chatting
from tests.tui.prompts_page import PromptsPage
from tests.tui.settings_page import SettingsPage

SMALL = [(40, 12), (40, 10)]


@pytest.mark.parametrize("size", SMALL)
async def test_the_keys_are_there_and_what_is_searched_for(
    chatting: Chatting, size: tuple[int, int]
) -> None:
    async with chatting(size=size) as chat:
        await chat.presses("f1")
        await chat.reads("Up, then earlier")
        await chat.types("regen")
        await chat.reads("Answer again")
        assert chat.shows("regen")


@pytest.mark.parametrize(
    ("size", "rows"),
    [
        ((80, 24), ["Esc               Stop the answer, keep its text            chat.stop"]),
        ((40, 12), ["Esc           Stop the answer, keep", "its text"]),
        ((30, 8), ["Esc", "Stop the answer, keep", "its text"]),
    ],
)
async def test_the_keys_are_laid_out_for_the_width(
    chatting: Chatting, size: tuple[int, int], rows: list[str]
) -> None:
    async with chatting(size=(120, 40)) as chat:
        await chat.presses("f1")
        await chat.resizes(*size)
        await chat.types("chat.stop")
        await chat.reads(rows[0])
        lines = [line.strip(" │") for line in chat.lines]
        first = lines.index(rows[0])
        assert lines[first : first + len(rows)] == rows
        assert chat.shows("the name for [keys]") == (size == (80, 24))


@pytest.mark.parametrize("size", SMALL)
@pytest.mark.parametrize(("key", "row"), [("f8", "tiny"), ("ctrl+t", "urial-k1")])
async def test_the_rows_of_a_choice_are_there(
    chatting: Chatting, size: tuple[int, int], key: str, row: str
) -> None:
    async with chatting(size=size, list_models=lambda: ["tiny", "other"]) as chat:
        await chat.presses(key)
        await chat.until(lambda: not chat.is_on_top)
        lines = [line for line in chat.lines if "▌" in line or "▎" in line]
        assert len(lines) >= 3
        assert any(row in line for line in lines)


@pytest.mark.parametrize("size", SMALL)
async def test_settings_show_more_than_one(chatting: Chatting, size: tuple[int, int]) -> None:
    async with chatting(size=size) as chat:
        settings = await chat.leads_to(SettingsPage)
        await settings.reads("Settings")
        assert settings.shows("model")
        assert settings.shows("preamble")


@pytest.mark.parametrize("key", ["f8", "ctrl+t"])
async def test_a_name_to_choose_takes_one_row(chatting: Chatting, key: str) -> None:
    names = ["tiny", "a-model-with-a-longer-name"]
    async with chatting(size=(40, 12), list_models=lambda: names) as chat:
        await chat.presses(key)
        await chat.until(lambda: not chat.is_on_top)
        models, others = chat.app.screen.query(OptionList)
        for listed in (models, others):
            assert listed.option_count > 1
            assert listed.virtual_size.height == listed.option_count


async def test_the_bar_of_a_list_stays_in_sight(chatting: Chatting) -> None:
    async with chatting(size=(80, 24)) as chat:
        prompts = await chat.leads_to(PromptsPage)
        await prompts.lists()
        await prompts.presses("end")
        assert prompts.selected == "zero-shot"
        await prompts.resizes(40, 12)
        await prompts.until(lambda: prompts.shows("zero-shot"))
