"""A worker that gives no sign of life: the screen says so, and Esc ends it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests import tinygguf
from tests.conftest import workers
from tests.scripted import Gate, ScriptedEngine, delta
from tests.tui.conftest import Chatting, Found
from urial_tui.chat.store import Store
from urial_tui.engine.client import engine as client
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire import patience
from urial_tui.prompting.preamble_file import find_preamble
from urial_tui.settings import ChatSettings, EngineSettings, SamplingSettings, Settings


async def test_an_answer_whose_worker_stands_still_is_ended_by_one_key(
    chatting: Chatting,
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
    async with chatting(**real) as chat:
        await chat.asks("Who?")
        await chat.status_reads("writing")
        (pid,) = workers(home)
        os.kill(pid, signal.SIGSTOP)
        # Without the pause of `presses`: half a second later it is over.
        await chat.pilot.press("escape")
        assert "stopping" in chat.status
        await chat.reads("did not stop when asked to")
        assert chat.shows("Ctrl+R")
        (record,) = store.conversations()
        await chat.until(lambda: len(store.turns(record.id)) == 2)
        assert store.turns(record.id)[1].stop_reason == "died"
        assert workers(home) == []


async def test_an_answer_that_does_not_stop_is_ended_by_the_next_esc(
    chatting: Chatting, engine: ScriptedEngine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "TOLD_STOPPING", 0.1)
    monkeypatch.setattr(client, "stop_within", lambda _info: 3600.0)
    gate = Gate(deaf=True)
    engine.enqueue(delta("Half of"), gate)
    async with chatting() as chat:
        await chat.asks("Who?")
        await chat.until(gate.reached.is_set)
        await chat.presses("escape")
        await chat.status_reads("it does not stop; Esc ends it now, else in ")
        await chat.presses("escape")
        await chat.reads("did not stop when asked to")
        (record,) = store.conversations()
        await chat.until(lambda: len(store.turns(record.id)) == 2)
        assert store.turns(record.id)[1].text == "Half of"
        assert store.turns(record.id)[1].stop_reason == "died"
        await chat.presses("ctrl+r")
        await chat.is_ready()


async def test_a_load_without_a_sign_of_life_says_so_and_esc_ends_it(
    chatting: Chatting, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "TOLD_AFTER", 0.1)
    monkeypatch.setattr(patience, "stop_within", lambda _info: 0.5)
    engine.enqueue_load(Gate(deaf=True))
    async with chatting(ready=False) as chat:
        await chat.status_reads("; Esc ends it")
        await chat.presses("escape")
        await chat.reads("it did not stop")
        assert "no model" in chat.status
        await chat.presses("ctrl+r")
        await chat.is_ready()


async def test_esc_does_not_end_a_load_that_goes_on(
    chatting: Chatting, engine: ScriptedEngine
) -> None:
    gate = Gate()
    engine.enqueue_load(gate)
    async with chatting(ready=False) as chat:
        await chat.status_reads("loading")
        await chat.presses("escape")
        await chat.pauses()
        assert "loading" in chat.status
        gate.open()
        await chat.is_ready()
