"""A notice or an error takes lines of a screen, and moves nothing to the left or right."""

from __future__ import annotations

from typing import Any

import pytest
from textual.screen import Screen

from tests.tui.conftest import Chatting
from urial_tui.errors import UrialError
from urial_tui.tui.evaluate.blind_screen import BlindScreen
from urial_tui.tui.evaluate.evaluate_screen import EvaluateScreen
from urial_tui.tui.evaluate.report_screen import ReportScreen
from urial_tui.tui.models.models_screen import ModelsScreen
from urial_tui.tui.prompts.edit_screen import EditScreen
from urial_tui.tui.prompts.prompts_screen import PromptsScreen
from urial_tui.tui.prompts.reaching_screen import ReachingScreen
from urial_tui.tui.prompts.versions_screen import VersionsScreen
from urial_tui.tui.widgets.banner import Banner
from urial_tui.tui.widgets.notice_line import NoticeLine

SCREENS: list[tuple[str, type[Screen[Any]]]] = [
    ("alt+p", PromptsScreen),
    ("alt+p e", EditScreen),
    ("alt+p t", ReachingScreen),
    ("alt+p y", VersionsScreen),
    ("alt+m", ModelsScreen),
    ("alt+e", EvaluateScreen),
    ("alt+e r", ReportScreen),
    ("alt+e space down space b", BlindScreen),
]


def columns(screen: Screen[Any]) -> dict[str, tuple[int, int]]:
    """Where what fills the screen begins, and its width, by its name or kind."""
    filling = [child for child in screen.children if child.display and child.size.height > 1]
    return {
        child.id or type(child).__name__: (child.region.x, child.region.width) for child in filling
    }


@pytest.mark.usefixtures("finished_runs")
@pytest.mark.parametrize(("keys", "kind"), SCREENS)
async def test_a_notice_moves_no_columns(
    chatting: Chatting, keys: str, kind: type[Screen[Any]]
) -> None:
    async with chatting(size=(80, 24)) as chat:
        for key in keys.split():
            await chat.presses(key)
            await chat.works_no_more()
        screen = await chat.is_on(kind)
        before = columns(screen)
        for notice in screen.query(NoticeLine):
            notice.say("It is told.")
        for banner in screen.query(Banner):
            banner.trouble = UrialError("It failed.", "Try again.")
        await chat.reads("It is told." if screen.query(NoticeLine) else "It failed.")
        after = columns(screen)
        assert before
        assert {name: after[name] for name in before} == before
