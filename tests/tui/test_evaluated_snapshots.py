"""How blind judging and the items of an evaluation look at the smallest usual size."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from tests.evaluate.blind import FIRST, SECOND, opened, output
from tests.evaluate.judged import answer, scored, written
from tests.evaluate.test_browsing import told
from tests.tui.blind_page import BlindPage
from tests.tui.conftest import Looks, wait_until
from tests.tui.evaluations import ScreenApp, slow_clock
from tests.tui.items_page import ItemsPage
from urial_tui.evaluate.blind_pairs import read_shared
from urial_tui.evaluate.output_file import write_outputs
from urial_tui.tui.evaluate.blind_screen import BlindScreen
from urial_tui.tui.evaluate.items_screen import ItemsScreen

SHORT = """\
Learning to cook is a matter of a few habits:

1. **Taste** while you cook.
2. Keep your knife sharp.
"""
LONG = "Cooking is the art of cooking. " * 14

LooksAlone = Callable[[Screen[Any], Callable[[Pilot[None]], Awaitable[None]], str], bool]


@pytest.fixture
def looks_alone(looks: Looks) -> LooksAlone:
    """Open a screen, bring it into a state, and compare it with how it looked before."""

    def compare(
        screen: Screen[Any], do: Callable[[Pilot[None]], Awaitable[None]], keys: str
    ) -> bool:
        async def prepare(pilot: Pilot[None]) -> None:
            await wait_until(pilot, lambda: pilot.app.screen is screen)
            await do(pilot)

        return looks(prepare, keys=keys, app=ScreenApp(screen))

    return compare


@pytest.fixture
def blind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlindScreen:
    """A judging of five pairs, whose order is known."""
    monkeypatch.chdir(tmp_path)
    files = Path("first.json"), Path("second.json")
    for path, name, text in zip(files, (FIRST, SECOND), (SHORT, LONG), strict=True):
        write_outputs(path, [output(number, name, text) for number in range(5)])
    judging = opened(read_shared(*files), Path("blind.json"), seed=7)
    judging.judge("same")
    judging.finish()
    return BlindScreen(*files, Path("blind.json"), clock=slow_clock())


def test_a_pair(looks_alone: LooksAlone, blind: BlindScreen) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await BlindPage(pilot).reads("pair 2 of 5")

    assert looks_alone(blind, prepare, "↑↓ scroll  U undo  V view  Esc end  F1 keys")


def test_a_result(looks_alone: LooksAlone, blind: BlindScreen) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        page = BlindPage(pilot)
        await page.reads("pair 2 of 5")
        await page.judges("s")
        await page.reads("pair 3 of 5")
        await page.judges_all("habits")
        await page.looks_at_result()
        await page.reads("Kept in")

    assert looks_alone(blind, prepare, "Esc back")


@pytest.fixture
def items(tmp_path: Path) -> ItemsScreen:
    """Two runs over some items, of which one is judged."""
    first = [answer(1, SHORT, FIRST, **told("end"))]
    first += [answer(n, "I can't help with that.", FIRST, **told("cut")) for n in (2, 30)]
    second = [answer(number, LONG, SECOND, category="safety") for number in (1, 2, 30)]
    judged = [scored(1, SHORT, 4.5, 3, 2, 1, 5, generator_cand=FIRST)]
    judged += [scored(1, LONG, 2, 3, 2, 1, 5, generator_cand=SECOND)]
    names = ("first.json", "second.json", "one.json", "other.json")
    parts = (first, second, judged[:1], judged[1:])
    return ItemsScreen(
        [written(tmp_path / name, part) for name, part in zip(names, parts, strict=True)]
    )


def test_items(looks_alone: LooksAlone, items: ItemsScreen) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        page = ItemsPage(pilot)
        await page.is_measured()
        await page.filters("f4")
        await page.lists(1, 2)

    assert looks_alone(items, prepare, "↑↓ select  Enter look at it  Esc back  F1 keys")


def test_an_item(looks_alone: LooksAlone, items: ItemsScreen) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        page = ItemsPage(pilot)
        await page.is_measured()
        await page.looks_at_item()
        await page.reads("ended by itself")

    assert looks_alone(
        items, prepare, "↑↓ scroll  P N item before, after  ←→ answers  Esc list  F1 keys"
    )
