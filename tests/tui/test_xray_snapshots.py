"""How the x-ray looks, at the smallest usual size and at a roomy one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.scripted import Gate, ScriptedEngine, delta, finished
from tests.tui.conftest import Found, shows, status, type_text, wait_until
from tests.tui.test_compare_snapshots import TEXT, tokens
from tests.tui.test_reading import told
from urial_tui.engine.wire.protocol import LoadProgress
from urial_tui.tui.app import UrialApp
from urial_tui.tui.compare.pick_side import PickSideScreen
from urial_tui.tui.widgets.prompt import Prompt

MODEL = "gemma-3-270m"
TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
Prepare = Callable[[Pilot[None]], Awaitable[None]]
Looks = Callable[..., bool]

pytestmark = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


@pytest.fixture
def looks(snap_compare: Callable[..., bool], make_app: Callable[..., UrialApp]) -> Looks:
    """Open the chat, bring it into a state, and compare how it looks."""

    def compare(size: tuple[int, int], prepare: Prepare, **changes: Any) -> bool:
        async def still(pilot: Pilot[None]) -> None:
            pilot.app.screen.query_one(Prompt).cursor_blink = False
            await wait_until(pilot, lambda: "ready" in status(pilot))
            await prepare(pilot)

        arguments: dict[str, Any] = {
            "model": MODEL,
            "find_model": lambda name, progress: Found(name=name, chat_template=TEMPLATE),
            "list_models": lambda: [MODEL, f"{MODEL}-sft", "notes-[7b].gguf"],
        }
        return snap_compare(make_app(**(arguments | changes)), terminal_size=size, run_before=still)

    return compare


async def choose(pilot: Pilot[None]) -> None:
    await pilot.press("f8")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, PickSideScreen))


async def turn_on(pilot: Pilot[None]) -> None:
    await choose(pilot)
    await pilot.press("enter", "enter")
    await wait_until(pilot, lambda: f"{MODEL}-sft (chat)" in status(pilot))


async def ask(pilot: Pilot[None]) -> None:
    await type_text(pilot, "How do I learn a language?")
    await pilot.press("enter")


def test_choosing_the_second_side(looks: Looks, size: tuple[int, int]) -> None:
    assert looks(size, choose)


def test_loading_the_second_side(
    looks: Looks, engine: ScriptedEngine, size: tuple[int, int]
) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        engine.enqueue_load(LoadProgress(id=0, fraction=0.43), Gate())
        await choose(pilot)
        await pilot.press("enter", "enter")
        await wait_until(pilot, lambda: "43%" in status(pilot))

    assert looks(size, prepare)


def test_writing(looks: Looks, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    ranked = tokens(TEXT)[:-1]
    engine.enqueue(delta(TEXT), told(*ranked[: len(ranked) * 2 // 3]), Gate())

    async def prepare(pilot: Pilot[None]) -> None:
        await turn_on(pilot)
        await ask(pilot)
        await wait_until(pilot, lambda: shows(pilot, "unshifted"))

    assert looks(size, prepare)


def test_an_answer(looks: Looks, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    engine.enqueue(delta(TEXT), told(*tokens(TEXT)[:-1]), finished(TEXT))

    async def prepare(pilot: Pilot[None]) -> None:
        await turn_on(pilot)
        await ask(pilot)
        await wait_until(pilot, lambda: shows(pilot, "75 tokens/s") and "ready" in status(pilot))

    assert looks(size, prepare)
