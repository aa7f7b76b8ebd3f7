"""How the chat looks at the smallest usual size: what is drawn, and what stands where."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests.scripted import Gate, ScriptedEngine, delta
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Looks, ready, wait_until
from urial_tui.errors import EngineDied
from urial_tui.settings import SamplingSettings, Settings
from urial_tui.tui.chat.status_line import StatusLine

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
QUESTION = "How do I read a file?"


def test_empty(looks: Looks) -> None:
    keys = "Enter send  Ctrl+J new line  Esc stop  Ctrl+O open  F1 all keys  Ctrl+Q quit"
    assert looks(ready, keys=keys)


@pytest.mark.parametrize("theme", ["urial-dark", "urial-light"])
def test_finished(looks: Looks, engine: ScriptedEngine, theme: str) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        pilot.app.theme = theme
        chat = ChatPage(pilot, engine)
        await chat.exchanges(QUESTION, ANSWER)
        await chat.reads("75 tokens/s")

    assert looks(prepare)


def test_dead_engine(looks: Looks, engine: ScriptedEngine) -> None:
    engine.enqueue(
        delta(ANSWER[:60]),
        EngineDied(
            "The engine stopped: it was ended by SIGKILL, as the system does when memory runs out.",
            "A smaller model or context needs less memory.",
        ),
    )

    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        chat = ChatPage(pilot, engine)
        await chat.asks(QUESTION)
        await chat.reads("SIGKILL")
        await chat.types("and this is kept")

    assert looks(prepare)


def test_several(looks: Looks, engine: ScriptedEngine) -> None:
    texts = ("Hello! It is read line by line.", ANSWER[:180], ANSWER[40:])
    gate = Gate()
    engine.enqueue(*(delta(text, sample=n) for n, text in enumerate(texts)), gate)
    drawn = Settings(sampling=SamplingSettings(temperature=0.8, seed=7))

    async def prepare(pilot: Pilot[None]) -> None:
        await ready(pilot)
        chat = ChatPage(pilot, engine)
        await chat.types(QUESTION)
        await chat.presses("alt+a")
        await wait_until(pilot, gate.reached.is_set)
        # What is counted is told a moment later than what is written.
        await wait_until(pilot, lambda: pilot.app.screen.query_one(StatusLine).status.used == 929)
        await chat.reads("if you want to know")
        gate.open()
        await chat.reads("‹ 1/3 ›")
        await chat.presses("down")
        await chat.reads("▸ 2")

    assert looks(prepare, settings=drawn)
