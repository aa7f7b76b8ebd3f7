"""A worker that dies while nothing is asked of it: told at once, one key, and nothing is gone."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.conftest import workers
from tests.scripted import ScriptedEngine
from tests.tui.conftest import Found, Opened, screen_text, shows, status, type_text, wait_until
from urial_tui.chat.store import Store
from urial_tui.engine.client.engine import Engine
from urial_tui.errors import EngineDied
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import ChatSettings, EngineSettings, Settings
from urial_tui.tui.widgets.prompt import Prompt

DEATH = EngineDied(
    'The engine stopped: it was ended by SIGSEGV. Its last words: "out of luck".',
    "Load the model again; nothing of the conversation is lost.",
)


async def ready(pilot: Pilot[None]) -> None:
    await wait_until(pilot, lambda: "ready" in status(pilot))


def prompt(pilot: Pilot[None]) -> str:
    return pilot.app.screen.query_one(Prompt).text


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT], ids=lambda number: number.name
)
async def test_the_death_of_an_idle_worker_is_told_before_anything_is_asked(
    number: signal.Signals, opened: Opened, llama_gguf: Path, store: Store, home: Path
) -> None:
    real = {
        "engine_factory": Engine,
        "find_model": lambda name, progress: Found(path=llama_gguf),
        "preamble": find_preamble("zero-shot"),
        "settings": Settings(
            chat=ChatSettings(max_tokens=8), engine=EngineSettings(context=1024, threads=1)
        ),
    }
    async with opened(**real) as pilot:
        await type_text(pilot, "kept\n")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "ready" in status(pilot) and not prompt(pilot))
        await type_text(pilot, "half a question")
        (pid,) = workers(home)
        os.kill(pid, number)
        await wait_until(pilot, lambda: shows(pilot, f"ended by {number.name}"))
        assert "no model" in status(pilot)
        assert shows(pilot, "Ctrl+R")
        assert shows(pilot, "kept")
        assert prompt(pilot) == "half a question"

        await pilot.press("ctrl+r")
        await ready(pilot)
        assert not shows(pilot, number.name)
        assert prompt(pilot) == "half a question"
        await pilot.press("enter")
        (record,) = store.conversations()
        await wait_until(pilot, lambda: len(store.turns(record.id)) == 4)
        await ready(pilot)
        assert [turn.text for turn in store.turns(record.id)][::2] == ["kept", "half a question"]


async def test_a_death_in_the_reload_after_a_death_is_told_as_well(
    opened: Opened, engine: ScriptedEngine
) -> None:
    async with opened() as pilot:
        await type_text(pilot, "first")
        await pilot.press("enter")
        await wait_until(pilot, lambda: shows(pilot, "Certainly."))
        await ready(pilot)
        await type_text(pilot, "half a question")
        for number in ("SIGBUS", "SIGKILL"):
            engine.enqueue_load(EngineDied(f"The engine stopped: {number} once more.", "Load it."))
            engine.die(DEATH)
            await wait_until(pilot, lambda: shows(pilot, "Its last words"))
            await pilot.press("ctrl+r")
            await wait_until(pilot, lambda n=number: shows(pilot, f"{n} once more"))  # type: ignore[misc]
            assert "no model" in status(pilot)
            assert shows(pilot, "Certainly.")
            assert prompt(pilot) == "half a question"
            await pilot.press("ctrl+r")
            await ready(pilot)
        await pilot.press("enter")
        await wait_until(pilot, lambda: screen_text(pilot).count("Certainly.") == 2)


async def test_a_question_asked_into_the_moment_of_death_waits_for_the_reload_or_stays(
    opened: Opened, engine: ScriptedEngine, store: Store
) -> None:
    async with opened() as pilot:
        engine.die(DEATH)
        await wait_until(pilot, lambda: shows(pilot, "Its last words"))
        await type_text(pilot, "into the void")
        await pilot.press("enter")
        await wait_until(pilot, lambda: shows(pilot, "waits for the model"))
        await pilot.press("ctrl+r")
        await wait_until(pilot, lambda: shows(pilot, "Certainly."))
        (record,) = store.conversations()
        assert [turn.role for turn in store.turns(record.id)] == ["user", "assistant"]
