"""How the screens look, at the smallest usual size and at a roomy one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.scripted import Gate, ScriptedEngine, answer, delta, prefill
from tests.tui.conftest import raising, shows, status, type_text, wait_until
from urial_tui.engine.wire.protocol import LoadProgress
from urial_tui.errors import EngineDied, ModelError
from urial_tui.settings import SamplingSettings, Settings
from urial_tui.tui.app import UrialApp
from urial_tui.tui.chat.status_line import StatusLine
from urial_tui.tui.widgets.prompt import Prompt

ANSWER = """\
Hello! Reading a file takes **three** steps:

1. Open it with `open`.
2. Read it, line by line.
3. Let `with` close it.

```python
with open("notes.txt", encoding="utf-8") as file:
    for line in file:
        print(line.rstrip())
```

Ask me if you want to know more."""

Compare = Callable[..., bool]
Prepare = Callable[[Pilot[None]], Awaitable[None]]

pytestmark = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


@pytest.fixture
def looks(
    snap_compare: Compare, make_app: Callable[..., UrialApp]
) -> Callable[[tuple[int, int], Prepare], bool]:
    """Bring an application into a state and compare it with how it looked before."""

    def compare(size: tuple[int, int], prepare: Prepare, **changes: Any) -> bool:
        async def still(pilot: Pilot[None]) -> None:
            pilot.app.screen.query_one(Prompt).cursor_blink = False
            await prepare(pilot)
            for line in pilot.app.screen.query(Input):
                line.cursor_blink = False

        return snap_compare(make_app(**changes), terminal_size=size, run_before=still)

    return compare


Looks = Callable[..., bool]


async def ready(pilot: Pilot[None]) -> None:
    await wait_until(pilot, lambda: "ready" in status(pilot))


def test_loading(looks: Looks, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    engine.enqueue_load(LoadProgress(id=0, fraction=0.43), Gate())

    async def prepare(pilot: Pilot[None]) -> None:
        await wait_until(pilot, lambda: "43%" in status(pilot))
        await type_text(pilot, "How do I read a file?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: shows(pilot, "waits for the model"))

    assert looks(size, prepare)


def test_empty(looks: Looks, size: tuple[int, int]) -> None:
    assert looks(size, ready)


def test_empty_in_the_light(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        pilot.app.theme = "urial-light"
        await pilot.press("shift+tab")

    assert looks(size, prepare)


def test_reading(looks: Looks, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    engine.enqueue(prefill("prompt", 512, 1190), Gate())

    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        await type_text(pilot, "How do I read a file?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "512 of 1,190 tokens" in status(pilot))

    assert looks(size, prepare)


def test_streaming(looks: Looks, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    engine.enqueue(delta(ANSWER[:180]), Gate())

    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        await type_text(pilot, "How do I read a file?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: shows(pilot, "with open"))

    assert looks(size, prepare)


@pytest.mark.parametrize("theme", ["urial-dark", "urial-light"])
def test_finished(looks: Looks, engine: ScriptedEngine, size: tuple[int, int], theme: str) -> None:
    engine.enqueue(*answer(ANSWER))

    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        pilot.app.theme = theme
        await type_text(pilot, "How do I read a file?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: shows(pilot, "75 tokens/s") and "ready" in status(pilot))

    assert looks(size, prepare)


def test_stopped(looks: Looks, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    engine.enqueue(delta(ANSWER[:60]), Gate())

    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        await type_text(pilot, "How do I read a file?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: shows(pilot, "Hello!"))
        await pilot.press("escape")
        await wait_until(pilot, lambda: shows(pilot, "■ stopped"))

    assert looks(size, prepare)


def test_dead_engine(looks: Looks, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    engine.enqueue(
        delta(ANSWER[:60]),
        EngineDied(
            "The engine stopped: it was ended by SIGKILL, as the system does when memory runs out.",
            "A smaller model or context needs less memory.",
        ),
    )

    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        await type_text(pilot, "How do I read a file?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: shows(pilot, "SIGKILL"))
        await type_text(pilot, "and this is kept")

    assert looks(size, prepare)


def test_missing_model(looks: Looks, size: tuple[int, int]) -> None:
    missing = ModelError("There is no model named 'tiny'.", "`urial models list` shows them.")

    async def prepare(pilot: Pilot[None]) -> None:
        await wait_until(pilot, lambda: shows(pilot, "Choose a model"))
        await pilot.press("escape")
        await wait_until(pilot, lambda: shows(pilot, "Ctrl+R loads"))

    assert looks(size, prepare, find_model=raising(missing))


def test_help(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        await pilot.press("f1")
        await wait_until(pilot, lambda: shows(pilot, "New line"))

    assert looks(size, prepare)


def test_commands(looks: Looks, size: tuple[int, int]) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        await pilot.press("ctrl+p")
        await wait_until(pilot, lambda: shows(pilot, "Answer again"))
        await type_text(pilot, "other")
        await wait_until(pilot, lambda: not shows(pilot, "Answer again"))

    assert looks(size, prepare)


@pytest.mark.parametrize("over", [False, True], ids=["written", "over"])
def test_several(looks: Looks, engine: ScriptedEngine, size: tuple[int, int], over: bool) -> None:
    texts = ("Hello! It is read line by line.", ANSWER[:180], ANSWER[40:])
    gate = Gate()
    engine.enqueue(*(delta(text, sample=n) for n, text in enumerate(texts)), gate)
    drawn = Settings(sampling=SamplingSettings(temperature=0.8, seed=7))

    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        await type_text(pilot, "How do I read a file?")
        await pilot.press("alt+a")
        await wait_until(pilot, gate.reached.is_set)
        # What is counted is told a moment later than what is written.
        await wait_until(pilot, lambda: pilot.app.screen.query_one(StatusLine).status.used == 929)
        await wait_until(pilot, lambda: shows(pilot, "if you want to know"))
        if over:
            gate.open()
            await wait_until(pilot, lambda: shows(pilot, "‹ 1/3 ›"))
            await pilot.press("down")
            await wait_until(pilot, lambda: shows(pilot, "▸ 2"))

    assert looks(size, prepare, settings=drawn)
