"""Windows of few lines: the lines go to what is looked at."""

from __future__ import annotations

import pytest

from tests.tui.conftest import Opened, screen_text, shows, type_text, wait_until

SMALL = [(40, 12), (40, 10)]


@pytest.mark.parametrize("size", SMALL)
async def test_the_keys_are_there_and_what_is_searched_for(
    opened: Opened, size: tuple[int, int]
) -> None:
    async with opened(size=size) as pilot:
        await pilot.press("f1")
        await wait_until(pilot, lambda: shows(pilot, "Up, then earlier"))
        await type_text(pilot, "regen")
        await wait_until(pilot, lambda: shows(pilot, "Answer again"))
        assert shows(pilot, "regen")


@pytest.mark.parametrize("size", SMALL)
@pytest.mark.parametrize(("key", "row"), [("f8", "tiny"), ("ctrl+t", "urial-k1")])
async def test_the_rows_of_a_choice_are_there(
    opened: Opened, size: tuple[int, int], key: str, row: str
) -> None:
    async with opened(size=size, list_models=lambda: ["tiny", "other"]) as pilot:
        await pilot.press(key)
        await wait_until(pilot, lambda: len(pilot.app.screen_stack) > 1)
        await pilot.pause()
        lines = [line for line in screen_text(pilot).splitlines() if "▌" in line or "▎" in line]
        assert len(lines) >= 3
        assert any(row in line for line in lines)


@pytest.mark.parametrize("size", SMALL)
async def test_settings_show_more_than_one(opened: Opened, size: tuple[int, int]) -> None:
    async with opened(size=size) as pilot:
        await pilot.press("ctrl+s")
        await wait_until(pilot, lambda: shows(pilot, "Settings"))
        assert shows(pilot, "model")
        assert shows(pilot, "preamble")
