"""The worker killed again and again, wherever it is: what was stored stays, and it goes on.

The moments are drawn from a seed and struck by a timer, so they fall between two events as
well as into native code. What is drawn is the same in every run; what it hits is not.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from pathlib import Path

import pytest

from tests.conftest import workers
from tests.loaded import load_only, newest, writer_of
from tests.rounds import ROUNDS
from tests.test_faults import OPTIONS, SIGNALS, assert_sentence
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import TextDelta
from urial_tui.engine.wire.values import Sampling
from urial_tui.errors import EngineDied

PHASES = {"load": 0.4, "prefill": 0.3, "decode": 0.3, "idle": 0.02}
"""Seconds from the start of a phase in which the worker is killed."""

KILLS = 8 * ROUNDS
"""In each phase; `ROUNDS=3` makes a hundred of them."""

WANDER = Sampling(temperature=2.0, seed=7)
QUESTIONS = {"prefill": "hope this helps " * 700, "decode": "Who?"}


def open_files() -> int:
    """File descriptors of this process."""
    return len(os.listdir("/dev/fd"))  # noqa: PTH208  # some are gone when they are looked at


def kill_later(pid: int, number: signal.Signals, delay: float) -> threading.Timer:
    timer = threading.Timer(delay, os.kill, (pid, number))
    timer.start()
    return timer


class Session:
    """An engine and a store, and what was shown of each answer."""

    def __init__(self, engine: Engine, store: Store, model: Path) -> None:
        self.engine = engine
        self.store = store
        self.shown: dict[int, str] = {}
        """Text by conversation."""
        self.killed: list[int] = []
        self._model = model
        self._ended = threading.Event()
        engine.watch(self._ended.set)

    def load(self) -> None:
        load_only(self.engine, self._model, OPTIONS)

    def ask(self, question: str, max_tokens: int = 3000) -> None:
        conversation = Conversation.new(self.store)
        self.shown[conversation.record.id] = ""
        for event in conversation.ask(
            writer_of(newest(self.engine)), question, sampling=WANDER, max_tokens=max_tokens
        ):
            if isinstance(event, TextDelta):
                self.shown[conversation.record.id] += event.text

    def killed_in(self, phase: str, delay: float, number: signal.Signals) -> EngineDied:
        """How the death is told: by the request that it hits, or else at once."""
        if phase == "load":
            self.engine.close()
        else:
            self.load()
        self._ended.clear()
        self.engine.start()
        assert self.engine.pid is not None
        self.killed.append(self.engine.pid)
        kill = kill_later(self.engine.pid, number, delay)
        try:
            if phase == "load":
                self.load()
            elif phase != "idle":
                self.ask(QUESTIONS[phase])
            assert self._ended.wait(60)
            error = self.engine.take_death()
        except EngineDied as died:
            error = died
        kill.join()
        assert error is not None
        return error

    def turns(self) -> dict[int, list[TurnRecord]]:
        """All that is stored, by conversation."""
        return {id_: self.store.turns(id_) for id_ in self.shown}


def test_deaths_lose_nothing_that_was_stored_and_leave_nothing_behind(
    endless_gguf: Path, tmp_path: Path, home: Path
) -> None:
    draw = random.Random(20)
    kills = [
        (phase, draw.uniform(0.01, span), draw.choice(SIGNALS))
        for phase, span in PHASES.items()
        for _ in range(KILLS)
    ]
    draw.shuffle(kills)
    hit_in_the_middle = 0
    with Store(tmp_path / "conversations.db") as store, Engine() as engine:
        session = Session(engine, store, endless_gguf)
        session.load()
        # The first writes open files that the store keeps open.
        session.ask("First", max_tokens=4)
        engine.close()
        files, threads, before = open_files(), threading.active_count(), session.turns()
        for phase, delay, number in kills:
            error = session.killed_in(phase, delay, number)
            assert_sentence(error)
            assert number.name in error.message, phase
            assert (engine.pid, engine.models, workers(home)) == (None, (), [])
            after = session.turns()
            assert {id_: after[id_] for id_ in before} == before
            for id_ in after.keys() - before.keys():
                question, answer = after[id_]
                assert question.text == QUESTIONS[phase].strip()
                assert answer.text == session.shown[id_]
                assert answer.stop_reason in ("died", "length")
                hit_in_the_middle += answer.stop_reason == "died"
            before = after
        session.load()
        session.ask("Last", max_tokens=4)
        assert store.turns(list(session.shown)[-1])[-1].generated == 4
        engine.close()
        assert open_files() <= files
    assert hit_in_the_middle > KILLS
    # The last watcher may just be on its way out.
    assert threading.active_count() <= threads + 1
    for pid in session.killed:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
