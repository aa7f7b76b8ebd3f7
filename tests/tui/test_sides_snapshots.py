"""How the side-by-side screen looks, at the smallest usual size and at a roomy one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot

from tests.scripted import Gate, answer, delta
from tests.tui.conftest import shows, status, wait_until
from tests.tui.sides import Sides, answered, ask, open_sides, screen
from urial_tui.errors import EngineDied
from urial_tui.tui.app import UrialApp
from urial_tui.tui.duel import trial_view
from urial_tui.tui.widgets.prompt import Prompt

LEFT = """\
Learning to cook is a matter of a few habits:

1. **Taste** while you cook.
2. Keep your knife sharp.
3. Cook one dish until it is good.

```sh
repeat until good
```
"""
RIGHT = "Cooking is the art of cooking. " * 14

pytestmark = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])

Looks = Callable[[tuple[int, int], Callable[[Pilot[None]], Awaitable[None]]], bool]


@pytest.fixture(autouse=True)
def no_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes, the pictures tell no time."""
    monkeypatch.setattr(trial_view, "WAITING", float("inf"))


@pytest.fixture
def sides() -> Sides:
    return Sides()


@pytest.fixture
def looks(
    snap_compare: Callable[..., bool], make_app: Callable[..., UrialApp], sides: Sides
) -> Looks:
    """Open the screen, bring it into a state, and compare it with how it looked before."""

    def compare(size: tuple[int, int], prepare: Callable[[Pilot[None]], Awaitable[None]]) -> bool:
        async def still(pilot: Pilot[None]) -> None:
            await wait_until(pilot, lambda: "ready" in status(pilot))
            await open_sides(pilot)
            screen(pilot).query_one(Prompt).cursor_blink = False
            screen(pilot)._swap = lambda: True
            await prepare(pilot)

        return snap_compare(make_app(**sides.changes()), terminal_size=size, run_before=still)

    return compare


def test_empty(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await wait_until(pilot, lambda: shows(pilot, "no open votes"))

    assert looks(size, prepare)


def test_writing(looks: Looks, sides: Sides, size: tuple[int, int]) -> None:
    sides.engines[0].enqueue(*answer(LEFT))
    sides.engines[0].enqueue(delta(RIGHT[:100]), Gate())

    async def prepare(pilot: Pilot[None]) -> None:
        await ask(pilot, "How do I learn to cook?")
        await wait_until(pilot, lambda: shows(pilot, "writing · 100 tokens"))

    assert looks(size, prepare)


def test_to_be_voted(looks: Looks, sides: Sides, size: tuple[int, int]) -> None:
    sides.engines[0].enqueue(*answer(LEFT))
    sides.engines[0].enqueue(*answer(RIGHT))

    async def prepare(pilot: Pilot[None]) -> None:
        await ask(pilot, "How do I learn to cook?")
        await answered(pilot)

    assert looks(size, prepare)


def test_voted(looks: Looks, sides: Sides, size: tuple[int, int]) -> None:
    sides.engines[0].enqueue(*answer(LEFT))
    sides.engines[0].enqueue(*answer(RIGHT))

    async def prepare(pilot: Pilot[None]) -> None:
        await ask(pilot, "How do I learn to cook?")
        await answered(pilot)
        await pilot.press("a")
        await answered(pilot, "over")

    assert looks(size, prepare)


def test_blind(looks: Looks, sides: Sides, size: tuple[int, int]) -> None:
    sides.engines[0].enqueue(*answer(RIGHT))
    sides.engines[0].enqueue(*answer(LEFT))

    async def prepare(pilot: Pilot[None]) -> None:
        await pilot.press("f4")
        await ask(pilot, "How do I learn to cook?")
        await answered(pilot)

    assert looks(size, prepare)


def test_one_side_failed(looks: Looks, sides: Sides, size: tuple[int, int]) -> None:
    sides.engines[0].enqueue(*answer(LEFT))
    sides.engines[0].enqueue(
        delta("Cooking is"),
        EngineDied("The engine stopped: it was ended by SIGKILL.", "A smaller model needs less."),
    )

    async def prepare(pilot: Pilot[None]) -> None:
        await ask(pilot, "How do I learn to cook?")
        await answered(pilot, "over")

    assert looks(size, prepare)
