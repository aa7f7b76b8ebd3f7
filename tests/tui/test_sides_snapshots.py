"""How the side-by-side screen looks at the smallest usual size."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests.scripted import answer
from tests.tui.conftest import Looks, ready
from tests.tui.duel_page import DuelPage, Sides
from urial_tui.tui.duel import trial_view

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


@pytest.fixture(autouse=True)
def no_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes, the pictures tell no time."""
    monkeypatch.setattr(trial_view, "WAITING", float("inf"))


@pytest.fixture
def sides() -> Sides:
    return Sides()


def test_empty(looks: Looks, sides: Sides) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        duel = DuelPage(pilot)
        await duel.opens()
        await duel.reads("no open votes")

    keys = "Enter ask both  F2 F3 sides  F4 blind  Esc chat  F1 all keys"
    assert looks(prepare, keys=keys, **sides.changes())


def test_to_be_voted(looks: Looks, sides: Sides) -> None:
    sides.engines[0].enqueue(*answer(LEFT))
    sides.engines[0].enqueue(*answer(RIGHT))

    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        duel = DuelPage(pilot)
        await duel.opens()
        await duel.hears("How do I learn to cook?")

    keys = "A B T N vote  ↑↓ scroll  Tab prompt  F6 view  Esc chat  F1 all keys"
    assert looks(prepare, keys=keys, **sides.changes())
