"""A worker that dies while nothing is asked of it: told at once, one key, and nothing is gone."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import workers
from tests.scripted import ScriptedEngine
from tests.tui.conftest import Chatting, Found
from urial_tui.chat.store import Store
from urial_tui.engine.client.engine import Engine
from urial_tui.errors import EngineDied
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import ChatSettings, EngineSettings, Settings

DEATH = EngineDied(
    'The engine stopped: it was ended by SIGSEGV. Its last words: "out of luck".',
    "Load the model again; nothing of the conversation is lost.",
)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT], ids=lambda number: number.name
)
async def test_the_death_of_an_idle_worker_is_told_before_anything_is_asked(
    number: signal.Signals, chatting: Chatting, llama_gguf: Path, store: Store, home: Path
) -> None:
    real = {
        "engine_factory": Engine,
        "find_model": lambda name, progress: Found(path=llama_gguf),
        "preamble": find_preamble("zero-shot"),
        "settings": Settings(
            chat=ChatSettings(max_tokens=8), engine=EngineSettings(context=1024, threads=1)
        ),
    }
    async with chatting(**real) as chat:
        await chat.asks("kept\n")
        await chat.has_taken()
        await chat.types("half a question")
        (pid,) = workers(home)
        os.kill(pid, number)
        await chat.reads(f"ended by {number.name}")
        assert "no model" in chat.status
        assert chat.shows("Ctrl+R")
        assert chat.shows("kept")
        assert chat.prompt.text == "half a question"

        await chat.presses("ctrl+r")
        await chat.is_ready()
        assert not chat.shows(number.name)
        assert chat.prompt.text == "half a question"
        await chat.presses("enter")
        (record,) = store.conversations()
        await chat.until(lambda: len(store.turns(record.id)) == 4)
        await chat.is_ready()
        assert [turn.text for turn in store.turns(record.id)][::2] == ["kept", "half a question"]


async def test_a_death_in_the_reload_after_a_death_is_told_as_well(
    chatting: Chatting, engine: ScriptedEngine
) -> None:
    async with chatting() as chat:
        await chat.asks("first")
        await chat.reads("Certainly.")
        await chat.is_ready()
        await chat.types("half a question")
        for number in ("SIGBUS", "SIGKILL"):
            engine.enqueue_load(EngineDied(f"The engine stopped: {number} once more.", "Load it."))
            engine.die(DEATH)
            await chat.reads("Its last words")
            await chat.presses("ctrl+r")
            await chat.until(lambda n=number: chat.shows(f"{n} once more"))  # type: ignore[misc]
            assert "no model" in chat.status
            assert chat.shows("Certainly.")
            assert chat.prompt.text == "half a question"
            await chat.presses("ctrl+r")
            await chat.is_ready()
        await chat.presses("enter")
        await chat.until(lambda: chat.text.count("Certainly.") == 2)


async def test_a_question_asked_into_the_moment_of_death_waits_for_the_reload_or_stays(
    chatting: Chatting, engine: ScriptedEngine, store: Store
) -> None:
    async with chatting() as chat:
        engine.die(DEATH)
        await chat.reads("Its last words")
        await chat.asks("into the void")
        await chat.reads("waits for the model")
        await chat.presses("ctrl+r")
        await chat.reads("Certainly.")
        (record,) = store.conversations()
        assert [turn.role for turn in store.turns(record.id)] == ["user", "assistant"]
