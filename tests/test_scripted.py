"""What the tests rely on: a scripted worker is to its client what a real one is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scripted import (
    TINY,
    Gate,
    ScriptedEngine,
    ScriptedWorker,
    answer,
    delta,
    finished,
    ids_of,
    prefill,
    shown_turns,
)
from urial_tui.engine.client import connection
from urial_tui.engine.client.call import Call
from urial_tui.engine.client.death import Moment
from urial_tui.engine.client.model import Model
from urial_tui.engine.wire.commands import Generate, LoadModel, ScoreSide, Shutdown, Trace
from urial_tui.engine.wire.events import (
    Event,
    Failed,
    Finished,
    Loaded,
    LoadProgress,
    PreambleReady,
    PrefillProgress,
    PromptReady,
    Ready,
    Scored,
    TextDelta,
    Traced,
    TracedTokens,
)
from urial_tui.engine.wire.frames import decode_event
from urial_tui.engine.wire.values import Device, TextSegment, TokenSegment, Turn
from urial_tui.engine.wire.worker_log import WorkerLog
from urial_tui.errors import EngineDied, EngineError

DEATH = EngineDied("The engine stopped.", "Load the model again.")
HELLO: tuple[Turn, ...] = ((TextSegment(text="Hello"),),)
TRACE = Trace(id=0, model=0, preamble=(), turns=HELLO, answer=())


@pytest.fixture
def engine() -> Iterator[ScriptedEngine]:
    with ScriptedEngine() as engine:
        yield engine


@pytest.fixture
def model(engine: ScriptedEngine) -> Model:
    return engine.load(TINY).result()


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, TextDelta)]


class TestAnswers:
    def test_the_ends_of_an_answer_are_made_where_they_are_missing(
        self, engine: ScriptedEngine, model: Model
    ) -> None:
        engine.enqueue(*answer("abc"))
        ready, *deltas, end = model.generate(preamble=(), turns=HELLO, close="\n")
        assert isinstance(ready, PromptReady)
        assert ready.turns == ((ids_of("Hello"),),)
        assert texts(deltas) == ["a", "b", "c"]
        assert isinstance(end, Finished)
        assert (end.text, end.ids, end.tail) == ("abc", ids_of("abc"), "\n")
        (request,) = engine.requests
        assert shown_turns(request) == "Hello"

    def test_an_end_that_is_enqueued_is_the_end(self, engine: ScriptedEngine, model: Model) -> None:
        engine.enqueue(delta("a"), finished("a", "length"), delta("never"))
        events = list(model.generate(preamble=(), turns=HELLO))
        assert texts(events) == ["a"]
        assert isinstance(events[-1], Finished)
        assert events[-1].stop_reason == "length"

    def test_each_sample_has_its_end(self, engine: ScriptedEngine, model: Model) -> None:
        parts = delta("a"), delta("b", sample=1), finished("b", sample=1), delta("c", sample=2)
        engine.enqueue(*parts)
        events = list(model.generate(preamble=(), turns=HELLO, samples=3))
        ends = [event for event in events if isinstance(event, Finished)]
        assert [(end.sample, end.text) for end in ends] == [(1, "b"), (0, "a"), (2, "c")]

    def test_who_has_read_its_end_finds_the_engine_idle(
        self, engine: ScriptedEngine, model: Model
    ) -> None:
        gate = Gate()
        engine.enqueue(gate, delta("a"))
        call = model.generate(preamble=(), turns=HELLO)
        assert engine._connection is not None
        # The thread that has read the end does not get to putting the call away.
        with engine._connection._lock:
            gate.open()
            assert call.result().text == "a"
            assert not engine.busy
        assert model.generate(preamble=(), turns=HELLO).result().text == "Certainly."

    def test_it_starts_with_its_prefix(self, engine: ScriptedEngine, model: Model) -> None:
        engine.enqueue(delta("b"))
        prefix = (TextSegment(text="a"),)
        end = model.generate(preamble=(), turns=HELLO, prefix=prefix).result()
        assert end.text == "ab"

    def test_a_script_waits_at_a_gate_and_calls_what_it_is_given(
        self, engine: ScriptedEngine, model: Model
    ) -> None:
        gate, called = Gate(), threading.Event()
        engine.enqueue(delta("a"), gate, called.set, delta("b"))
        call = model.generate(preamble=(), turns=HELLO)
        assert gate.reached.wait(60)
        assert not called.is_set()
        gate.open()
        assert call.result().text == "ab"
        assert called.is_set()


class TestCancelling:
    def test_at_a_gate_ends_an_answer_where_it_is(
        self, engine: ScriptedEngine, model: Model
    ) -> None:
        engine.enqueue(delta("a", pending="é"), gate := Gate(), delta("never"))
        call = model.generate(preamble=(), turns=HELLO, close="\n")
        assert gate.reached.wait(60)
        call.cancel()
        end = call.result()
        assert (end.stop_reason, end.text, end.tail) == ("cancelled", "a", "é\n")

    def test_ends_all_samples(self, engine: ScriptedEngine, model: Model) -> None:
        engine.enqueue(delta("a"), gate := Gate())
        call = model.generate(preamble=(), turns=HELLO, samples=2)
        assert gate.reached.wait(60)
        call.cancel()
        ends = [event for event in call if isinstance(event, Finished)]
        assert [(end.stop_reason, end.text) for end in ends] == [
            ("cancelled", "a"),
            ("cancelled", ""),
        ]

    def test_ends_what_is_still_in_the_line(self, engine: ScriptedEngine, model: Model) -> None:
        engine.enqueue(Gate())
        first = model.generate(preamble=(), turns=HELLO)
        second = model.generate(preamble=(), turns=HELLO)
        second.cancel()
        first.cancel()
        assert first.result().stop_reason == "cancelled"
        end = second.result()
        assert (end.stop_reason, end.text) == ("cancelled", "")

    def test_ends_everything_else_with_a_refusal(
        self, engine: ScriptedEngine, model: Model
    ) -> None:
        gates = [Gate() for _ in range(4)]
        engine.enqueue_prepare(gates[0])
        engine.enqueue_read_ahead(gates[1])
        engine.enqueue_trace(gates[2])
        engine.enqueue_load(gates[3])
        calls: tuple[Call[Any], ...] = (
            model.prepare(()),
            model.prepare((), turns=HELLO),
            model.trace(TRACE),
            engine.load(Path("/models/other.gguf")),
        )
        for gate, call in zip(gates, calls, strict=True):
            assert gate.reached.wait(60)
            call.cancel()
            with pytest.raises(EngineError, match=r"^Stopped\."):
                call.result()
        assert engine.models == (model,)

    def test_does_not_end_what_waits_at_a_deaf_gate(
        self, engine: ScriptedEngine, model: Model
    ) -> None:
        gate = Gate(deaf=True)
        engine.enqueue(gate, delta("never"))
        call = model.generate(preamble=(), turns=HELLO)
        assert gate.reached.wait(60)
        call.cancel()
        time.sleep(0.1)
        assert not call.over
        gate.open()
        assert call.result().stop_reason == "cancelled"


class TestFailures:
    def test_a_refusal_ends_its_request_alone(self, engine: ScriptedEngine, model: Model) -> None:
        engine.enqueue(delta("a"), EngineError("It is too long.", "Ask less."))
        with pytest.raises(EngineError) as caught:
            model.generate(preamble=(), turns=HELLO).result()
        assert (caught.value.message, caught.value.hint) == ("It is too long.", "Ask less.")
        assert model.generate(preamble=(), turns=HELLO).result().text == "Certainly."

    def test_a_load_that_is_refused_leaves_nothing_loaded(self, engine: ScriptedEngine) -> None:
        engine.enqueue_load(EngineError("It is damaged."))
        with pytest.raises(EngineError, match="damaged"):
            engine.load(TINY).result()
        assert engine.models == ()
        assert engine.alive

    def test_a_death_in_mid_answer_ends_the_worker(
        self, engine: ScriptedEngine, model: Model
    ) -> None:
        engine.enqueue(delta("a"), DEATH)
        call = model.generate(preamble=(), turns=HELLO)
        seen: list[Event] = []
        with pytest.raises(EngineDied, match=r"^The engine stopped\."):
            seen.extend(call)
        assert not engine.alive
        assert not model.loaded

    def test_a_death_in_mid_answer_ends_what_is_in_the_line_as_well(
        self, engine: ScriptedEngine, model: Model
    ) -> None:
        gate = Gate()
        engine.enqueue(gate, DEATH)
        calls = [model.generate(preamble=(), turns=HELLO) for _ in range(3)]
        gate.open()
        for call in calls:
            with pytest.raises(EngineDied, match=r"^The engine stopped\."):
                call.result()

    def test_one_worker_follows_another(self, engine: ScriptedEngine) -> None:
        for number in range(3):
            engine.enqueue(EngineDied(f"Death {number}."))
            model = engine.load(TINY).result()
            with pytest.raises(EngineDied, match=f"Death {number}"):
                model.generate(preamble=(), turns=HELLO).result()
        model = engine.load(TINY).result()
        assert model.generate(preamble=(), turns=HELLO).result().text == "Certainly."
        assert len(engine.loads) == 4

    def test_it_dies_while_nothing_is_asked_of_it(
        self, engine: ScriptedEngine, model: Model
    ) -> None:
        heard = threading.Event()
        engine.watch(heard.set)
        engine.die(DEATH)
        assert heard.wait(60)
        assert str(engine.take_death()) == str(DEATH)
        assert engine.take_death() is None
        assert not model.loaded


class TestModels:
    def test_what_is_loaded_is_told_of(self, engine: ScriptedEngine) -> None:
        engine.enqueue_load(LoadProgress(id=0, fraction=0.5))
        call = engine.load(TINY, adapter=Path("/models/lora.gguf"))
        progress, loaded = call
        assert isinstance(progress, LoadProgress)
        assert isinstance(loaded, Loaded)
        model = call.result()
        assert model.info.content == "what is in /models/tiny.gguf"
        assert model.info.adapter_content == "what is in /models/lora.gguf"
        assert engine.loads == [TINY]

    def test_what_is_loaded_to_read_along_is_kept_apart(
        self, engine: ScriptedEngine, model: Model
    ) -> None:
        engine.pieces["watched"] = (b"x", b"y")
        watched = engine.load(TINY, purpose="watched").result()
        assert (engine.loads, engine.watched_loads) == ([TINY], [(TINY, None)])
        assert watched.vocabulary().result().pieces == (b"x", b"y")
        assert model.vocabulary().result().pieces[65] == b"A"
        watched.unload().result()
        assert engine.models == (model,)

    def test_a_model_that_is_not_loaded_is_refused(
        self, engine: ScriptedEngine, model: Model
    ) -> None:
        model.unload().result()
        with pytest.raises(EngineError, match="No model is loaded"):
            model.tokenize(HELLO).result()

    def test_a_token_is_a_code_point(self, model: Model) -> None:
        assert model.tokenize(HELLO).result() == ((ids_of("Hello"),),)

    def test_a_preamble_and_what_is_read_ahead_have_scripts_of_their_own(
        self, engine: ScriptedEngine, model: Model
    ) -> None:
        engine.enqueue_read_ahead(prefill("prompt", 5, 9))
        engine.enqueue_prepare(prefill("preamble", 4, 8))
        for call, stage in (
            (model.prepare(()), "preamble"),
            (model.prepare((), turns=HELLO), "prompt"),
        ):
            progress, ready = call
            assert isinstance(progress, PrefillProgress)
            assert isinstance(ready, PreambleReady)
            assert progress.stage == stage
        assert engine.read_ahead == [HELLO]

    def test_an_answer_is_traced(self, engine: ScriptedEngine, model: Model) -> None:
        engine.enqueue_trace(TracedTokens(id=0, total=0, tokens=(), pieces={}))
        told, end = model.trace(TRACE)
        assert isinstance(told, TracedTokens)
        assert isinstance(end, Traced)
        assert engine.traces[0].turns == HELLO

    def test_an_answer_is_scored(self, engine: ScriptedEngine, model: Model) -> None:
        engine.enqueue_score(prefill("prompt", 5, 9))
        request = ScoreSide(id=0, model=0, context=(), answer=TokenSegment(ids=()))
        progress, end = model.score(request)
        assert isinstance(progress, PrefillProgress)
        assert isinstance(end, Scored)

    def test_the_devices_are_told(self, engine: ScriptedEngine) -> None:
        card = Device(name="CUDA0", description="A card", kind="gpu")
        engine.cards = (card,)
        assert engine.devices() == (card,)

    def test_who_asks_one_that_has_not_greeted_is_told_when_it_is_closed(
        self, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "EXIT_TIMEOUT", 0.05)
        engine.greeting = Gate()
        told: list[EngineError] = []

        def ask() -> None:
            try:
                # As the doctor does: the second would start a worker of its own.
                engine.library()
                engine.devices()
            except EngineError as error:
                told.append(error)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        assert engine.greeting.reached.wait(60)
        engine.close()
        asking.join(60)
        assert [type(error) for error in told] == [EngineDied]
        assert "not running" in told[0].message
        assert not engine.alive

    def test_one_whose_start_is_under_way_is_ended_too(
        self, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "EXIT_TIMEOUT", 0.05)
        engine.greeting = Gate()
        starting, go_on = threading.Event(), threading.Event()
        start_threads = connection.Connection.__init__

        def start(line: connection.Connection, *arguments: Any) -> None:
            starting.set()
            assert go_on.wait(60)
            start_threads(line, *arguments)

        monkeypatch.setattr(connection.Connection, "__init__", start)
        told: list[EngineError] = []

        def ask() -> None:
            try:
                engine.devices()
            except EngineError as error:
                told.append(error)

        asking = threading.Thread(target=ask, daemon=True)
        closing = threading.Thread(target=engine.close, daemon=True)
        asking.start()
        assert starting.wait(60)
        closing.start()
        closing.join(0.2)
        go_on.set()
        for thread in (closing, asking):
            thread.join(60)
        assert [type(error) for error in told] == [EngineDied]
        assert not engine.alive


class TestTheSeam:
    """The worker alone, as the client's threads have it."""

    @pytest.fixture
    def worker(self, engine: ScriptedEngine, tmp_path: Path) -> ScriptedWorker:
        return ScriptedWorker(engine, WorkerLog(tmp_path / "log"))

    def read(self, worker: ScriptedWorker) -> Event | None:
        frame = worker.read()
        return None if frame is None else decode_event(frame)

    def test_it_is_ready_before_anything_is_asked(self, worker: ScriptedWorker) -> None:
        assert isinstance(self.read(worker), Ready)
        assert worker.alive

    @pytest.mark.parametrize("end", ["kill", "hang_up", "die"])
    def test_who_waits_for_an_event_hears_of_its_end(
        self, worker: ScriptedWorker, end: str
    ) -> None:
        assert isinstance(self.read(worker), Ready)
        ended: list[Event | None] = []
        reading = threading.Thread(target=lambda: ended.append(self.read(worker)))
        reading.start()
        if end == "die":
            worker.die(DEATH)
        else:
            getattr(worker, end)()
        reading.join(60)
        assert ended == [None]
        assert not worker.alive
        worker.reap()
        with pytest.raises(BrokenPipeError):
            worker.write(Shutdown())

    def test_it_ends_behind_what_was_asked_of_it(
        self, engine: ScriptedEngine, worker: ScriptedWorker
    ) -> None:
        engine.enqueue(delta("a"))
        worker.write(LoadModel(id=1, model=1, path="/models/tiny.gguf"))
        worker.write(Generate(id=2, model=1, preamble=(), turns=HELLO))
        worker.write(Shutdown())
        events = list(iter(lambda: self.read(worker), None))
        assert [type(event) for event in events] == [
            Ready,
            LoadProgress,
            Loaded,
            PromptReady,
            TextDelta,
            Finished,
        ]
        assert [getattr(event, "id", 0) for event in events] == [0, 1, 1, 2, 2, 2]
        assert not worker.alive

    def test_what_was_asked_of_it_is_cancelled_where_the_line_is_closed(
        self, engine: ScriptedEngine, worker: ScriptedWorker
    ) -> None:
        engine.enqueue_load(Gate(deaf=True))
        worker.write(LoadModel(id=1, model=1, path="/models/tiny.gguf"))
        worker.hang_up()
        ready, failed = iter(lambda: self.read(worker), None)
        assert isinstance(ready, Ready)
        assert isinstance(failed, Failed)

    def test_its_death_is_what_the_script_says_or_that_it_was_killed(
        self, engine: ScriptedEngine, worker: ScriptedWorker, tmp_path: Path
    ) -> None:
        worker.die(DEATH)
        assert worker.death(Moment()) is DEATH
        killed = ScriptedWorker(engine, WorkerLog(tmp_path / "log"))
        killed.kill()
        assert "SIGKILL" in killed.death(Moment()).message
        assert "did not stop" in killed.death(Moment(silent_for=3.0)).message
