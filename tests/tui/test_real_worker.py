"""The chat on a real worker with a tiny model."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.conftest import workers
from tests.tui.conftest import Found, Opened, shows, status, type_text, wait_until
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.client.engine import Engine
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.sanitize import sanitize
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings
from urial_tui.tui.drawing.answer_text import AnswerText
from urial_tui.tui.widgets.prompt import Prompt

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


async def ask(pilot: Pilot[None], text: str) -> None:
    await type_text(pilot, text)
    await pilot.press("enter")


async def test_what_is_shown_is_what_is_stored(
    opened: Opened, real: dict[str, object], store: Store
) -> None:
    async with opened(**real) as pilot:
        for question in ("one", "two"):
            await ask(pilot, question)
            await wait_until(pilot, lambda: answered(pilot, store))
        shown = [widget.source for widget in pilot.app.query(AnswerText)]
        assert shown == [sanitize(t.text) for t in stored_turns(store) if t.role == "assistant"]
        assert any(shown)


async def test_a_killed_worker_is_told_and_loaded_again(
    opened: Opened, real: dict[str, object], store: Store, home: Path
) -> None:
    async with opened(**real) as pilot:
        (pid,) = workers(home)
        os.kill(pid, signal.SIGKILL)
        await ask(pilot, "one")
        await wait_until(pilot, lambda: shows(pilot, "it was ended by SIGKILL"))
        await pilot.press("ctrl+r")
        await wait_until(pilot, lambda: "ready" in status(pilot))
        await ask(pilot, "two")
        await wait_until(pilot, lambda: answered(pilot, store))
        assert [t.text for t in stored_turns(store) if t.role == "user"] == ["one", "two"]


async def test_a_damaged_model_is_a_banner(
    opened: Opened, real: dict[str, object], llama_gguf: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(llama_gguf.read_bytes()[:5000])
    real["find_model"] = lambda name, progress: Found(path=damaged)
    async with opened(ready=False, **real) as pilot:
        await wait_until(pilot, lambda: shows(pilot, "Choose a model"))
        await pilot.press("escape")
        await wait_until(pilot, lambda: shows(pilot, "✖") and shows(pilot, "Ctrl+R"))
        assert "no model" in status(pilot)


def answered(pilot: Pilot[None], store: Store) -> bool:
    """Whether every question that was sent has its whole answer, on the screen and on the disk."""
    turns = stored_turns(store)
    return (
        not pilot.app.screen.query_one(Prompt).text
        and "ready" in status(pilot)
        and bool(turns)
        and turns[-1].stop_reason is not None
    )


def stored_turns(store: Store) -> list[TurnRecord]:
    listed = store.conversations()
    return store.turns(listed[0].id) if listed else []
