"""The chat on a real worker with a tiny model."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import workers
from tests.tui.chat_page import ChatPage
from tests.tui.conftest import Chatting, Found
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.client.engine import Engine
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.sanitize import sanitize
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings

SETTINGS = Settings(
    chat=ChatSettings(max_tokens=400),
    engine=EngineSettings(context=2048, threads=1),
    sampling=SamplingSettings(temperature=2.0, seed=1),
)


@pytest.fixture
def real(llama_gguf: Path) -> dict[str, object]:
    """The arguments that make the application a real one."""
    return {
        "engine_factory": Engine,
        "find_model": lambda name, progress: Found(path=llama_gguf),
        "preamble": find_preamble("zero-shot"),
        "settings": SETTINGS,
    }


async def test_what_is_shown_is_what_is_stored(
    chatting: Chatting, real: dict[str, object], store: Store
) -> None:
    async with chatting(**real) as chat:
        for question in ("one", "two"):
            await chat.asks(question)
            await chat.until(lambda: answered(chat, store))
        stored = [turn.text for turn in stored_turns(store) if turn.role == "assistant"]
        assert chat.answers == [sanitize(text) for text in stored]
        assert any(chat.answers)


async def test_a_killed_worker_is_told_and_loaded_again(
    chatting: Chatting, real: dict[str, object], store: Store, home: Path
) -> None:
    async with chatting(**real) as chat:
        (pid,) = workers(home)
        os.kill(pid, signal.SIGKILL)
        await chat.asks("one")
        await chat.reads("it was ended by SIGKILL")
        await chat.presses("ctrl+r")
        await chat.is_ready()
        await chat.asks("two")
        await chat.until(lambda: answered(chat, store))
        assert [t.text for t in stored_turns(store) if t.role == "user"] == ["one", "two"]


async def test_a_damaged_model_is_a_banner(
    chatting: Chatting, real: dict[str, object], llama_gguf: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(llama_gguf.read_bytes()[:5000])
    real["find_model"] = lambda name, progress: Found(path=damaged)
    async with chatting(ready=False, **real) as chat:
        await chat.reads("Choose a model")
        await chat.presses("escape")
        await chat.until(lambda: chat.shows("✖") and chat.shows("Ctrl+R"))
        assert "no model" in chat.status


def answered(chat: ChatPage, store: Store) -> bool:
    """Whether every question that was sent has its whole answer, on the screen and on the disk."""
    turns = stored_turns(store)
    return not chat.prompt.text and chat.ready and bool(turns) and turns[-1].stop_reason is not None


def stored_turns(store: Store) -> list[TurnRecord]:
    listed = store.conversations()
    return store.turns(listed[0].id) if listed else []
