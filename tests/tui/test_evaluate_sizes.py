"""The evaluation's screens and dialogs in small windows: nothing that matters is out of view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.geometry import Region
from textual.widgets import Input

from tests.tui.evaluation_page import EvaluationPage
from urial_tui.tui.evaluate.judge_screen import JudgeScreen

SIZES = [(60, 20), (40, 12), (80, 24), (120, 20), (60, 30)]

Evaluating = Any


async def widths_in_view(page: EvaluationPage) -> list[int]:
    """What is seen of each line of the dialog that is typed in, in cells, once it has the focus."""
    widths = []
    screen = page.pilot.app.screen
    for line in screen.query(Input):

        def seen(line: Input = line) -> Region:
            return screen.find_widget(line).visible_region

        def is_seen(line: Input = line) -> bool:
            return line.has_focus and seen(line).height == line.region.height == 1

        line.focus()
        await page.until(is_seen)
        widths.append(seen().width)
    return widths


@pytest.mark.parametrize("size", SIZES)
async def test_new_runs_show_how_many_they_are_and_what_is_wrong(
    evaluating: Evaluating, size: tuple[int, int]
) -> None:
    async with evaluating(size=size) as page:
        await page.chooses_new()
        await page.until(lambda: page.shows("1 run: 1 model"))
        assert page.shows("tiny-endless")
        assert page.shows("F1")
        assert min(await widths_in_view(page)) >= 8
        long = {"endpoint": "http://127.0.0.1:41234", "there": f"organisation/{'long' * 9}"}
        await page.fills(**long)
        assert page.told_in("#new-runs-verdict").endswith(" in 1 context, not the marked model.")
        await page.reads("model.")
        await page.fills(endpoint="", there="")
        page.pilot.app.screen.query_one("#run-models").focus()
        await page.presses("space", "enter")
        await page.until(lambda: page.shows("✖ No model is marked"))


@pytest.mark.parametrize("size", SIZES)
async def test_judging_shows_its_judges_and_what_is_wrong(
    evaluating: Evaluating, finished_runs: Path, size: tuple[int, int]
) -> None:
    async with evaluating(size=size) as page:
        await page.lists(2)
        await page.presses("j")
        await page.until(lambda: isinstance(page.pilot.app.screen, JudgeScreen))
        await page.until(lambda: page.shows("tiny-endless"))
        assert min(await widths_in_view(page)) >= 8
        for path in finished_runs.iterdir():
            path.write_text("{")
        page.pilot.app.screen.query_one("#judges").focus()
        await page.presses("enter")
        await page.until(lambda: page.shows("✖ "))


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_all_keys_of_the_list_are_shown(
    evaluating: Evaluating, finished_runs: Path, size: tuple[int, int]
) -> None:
    async with evaluating(size=size) as page:
        await page.lists(2)
        await page.presses("space", "down", "space")
        for key in ("N new", "B blind", "Space 2 marked", "Esc back", "F1 all keys"):
            assert page.shows(key), key


@pytest.mark.parametrize("width", [40, 60, 80])
async def test_a_run_is_named_whatever_the_width(
    evaluating: Evaluating, finished_runs: Path, width: int
) -> None:
    async with evaluating(size=(width, 20)) as page:
        await page.until(lambda: page.shows("a, zero-shot"))
        assert page.shows("just now")


async def test_the_keys_of_a_dialog_are_told(evaluating: Evaluating, finished_runs: Path) -> None:
    async with evaluating() as page:
        await page.chooses_new()
        await page.presses("f1")
        await page.until(lambda: page.shows("Another model file"))
        assert page.shows("Run what is marked")
