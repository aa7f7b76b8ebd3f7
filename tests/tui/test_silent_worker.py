"""A worker that gives no sign of life: the screen says so, and Esc ends it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests import tinygguf
from tests.conftest import workers
from tests.scripted import Gate, ScriptedEngine
from tests.tui.conftest import Found, Opened, shows, status, type_text, wait_until
from urial_tui.chat.store import Store
from urial_tui.engine.client import engine as client
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire import patience
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings


async def test_an_answer_whose_worker_stands_still_is_ended_by_one_key(
    opened: Opened,
    store: Store,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "stop_within", lambda _info: 0.5)
    # It writes on for as long as the keys may take on a busy machine.
    path = tinygguf.write_llama(tmp_path / "endless.gguf", endless=True, n_ctx_train=65_536)
    real = {
        "engine_factory": Engine,
        "find_model": lambda name, progress: Found(path=path),
        "preamble": find_preamble("zero-shot"),
        "settings": Settings(
            chat=ChatSettings(max_tokens=60_000),
            engine=EngineSettings(context=65_536, threads=1),
            sampling=SamplingSettings(temperature=2.0),
        ),
    }
    async with opened(**real) as pilot:
        await type_text(pilot, "Who?")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "writing" in status(pilot))
        (pid,) = workers(home)
        os.kill(pid, signal.SIGSTOP)
        await pilot.press("escape")
        assert "stopping" in status(pilot)
        await wait_until(pilot, lambda: shows(pilot, "did not stop when asked to"))
        assert shows(pilot, "Ctrl+R")
        (record,) = store.conversations()
        await wait_until(pilot, lambda: len(store.turns(record.id)) == 2)
        assert store.turns(record.id)[1].stop_reason == "died"
        assert workers(home) == []


async def test_a_load_without_a_sign_of_life_says_so_and_esc_ends_it(
    opened: Opened, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "TOLD_AFTER", 0.1)
    monkeypatch.setattr(patience, "stop_within", lambda _info: 0.5)
    engine.enqueue_load(Gate(deaf=True))
    async with opened(ready=False) as pilot:
        await wait_until(pilot, lambda: "; Esc ends it" in status(pilot))
        await pilot.press("escape")
        await wait_until(pilot, lambda: shows(pilot, "it did not stop"))
        assert "no model" in status(pilot)
        await pilot.press("ctrl+r")
        await wait_until(pilot, lambda: "ready" in status(pilot))


async def test_esc_does_not_end_a_load_that_goes_on(opened: Opened, engine: ScriptedEngine) -> None:
    gate = Gate()
    engine.enqueue_load(gate)
    async with opened(ready=False) as pilot:
        await wait_until(pilot, lambda: "loading" in status(pilot))
        await pilot.press("escape")
        await pilot.pause()
        assert "loading" in status(pilot)
        gate.open()
        await wait_until(pilot, lambda: "ready" in status(pilot))
