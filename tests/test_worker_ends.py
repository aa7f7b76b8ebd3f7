"""How the end of a worker is told: what it was doing decides what to do next.

And a worker that does not stop when it is asked to: it is noticed, and ended.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests import tinygguf
from tests.loaded import newest, writer_of
from tests.mutations import Gguf
from tests.test_faults import (
    OPTIONS,
    PREAMBLE,
    QUESTION,
    WANDER,
    answer,
    assert_sentence,
    load,
    refusal,
    worker,
)
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.engine.client import call
from urial_tui.engine.client import engine as client
from urial_tui.engine.client.death import Moment, explained_death
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire import patience
from urial_tui.engine.wire.commands import Cancel
from urial_tui.engine.wire.events import Event, Silence, TextDelta
from urial_tui.engine.wire.frames import ProtocolError, read_frame, write_frame
from urial_tui.engine.wire.values import TextSegment
from urial_tui.engine.wire.worker_log import WARNING, WorkerLog
from urial_tui.errors import EngineDied, EngineError

FAULTS = [signal.SIGABRT, signal.SIGSEGV, signal.SIGILL, signal.SIGBUS, signal.SIGKILL]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is told at once, and what does not stop is ended soon."""
    for module in (client, patience):
        monkeypatch.setattr(module, "stop_within", lambda _info: 0.5)
    monkeypatch.setattr(call, "LOOK_EVERY", 0.05)
    for name, seconds in (("TOLD_AFTER", 0.3), ("TOLD_STOPPING", 0.2)):
        monkeypatch.setattr(patience, name, seconds)


def falling(method: str, number: signal.Signals, module: str = "worker.loaded.LoadedModel") -> str:
    """A worker's setup: the first call of a method of the engine ends it."""
    room, name, owner = module.split(".")
    return (
        f"import os\nfrom urial_tui.engine.{room} import {name}\n"
        f"def fall(*_, **__): os.kill(os.getpid(), {int(number)})\n"
        f"{name}.{owner}.{method} = fall"
    )


def log_of(tmp_path: Path, *lines: str) -> WorkerLog:
    log = WorkerLog(tmp_path / "engine-1.log")
    with log.open() as file:
        file.write("".join(f"{line}\n" for line in lines).encode())
    return log


T = TypeVar("T")


def events_until(events: Iterator[Event], kind: type[T], count: int) -> Iterator[T]:
    """The first events of a kind; the iterator is left there."""
    found = (event for event in events if isinstance(event, kind))
    return itertools.islice(found, count)


def cancelled_when_silent(
    engine: Engine, events: Iterator[Event], shown: list[str]
) -> list[Silence]:
    """Read on, and stop as soon as silence is told; the worker has to be ended for it."""
    silences = []

    def read() -> Iterator[Event]:
        for event in events:
            if isinstance(event, Silence):
                silences.append(event)
                engine.cancel()
            if isinstance(event, TextDelta):
                shown.append(event.text)
            yield event

    error = refusal(read())
    assert isinstance(error, EngineDied)
    assert "did not stop when asked to" in error.message
    return silences


# -- the sentence ----------------------------------------------------------------------


@pytest.mark.parametrize("number", FAULTS, ids=lambda number: number.name)
@pytest.mark.parametrize("doing", ["loading", "first evaluation", "anything else"])
def test_each_moment_and_signal_has_its_advice(
    doing: str, number: signal.Signals, tmp_path: Path
) -> None:
    moment = Moment(doing=doing, model="x.gguf")  # type: ignore[arg-type]
    error = explained_death(-number, moment, log_of(tmp_path))
    assert_sentence(error)
    assert number.name in error.message
    assert ("x.gguf" in error.message) == (doing != "anything else")
    assert "nothing of the conversation is lost" in error.hint
    again = doing == "anything else" and number not in (signal.SIGILL, signal.SIGBUS)
    assert ("Load the model again" in error.hint) == again
    said = {
        signal.SIGILL: "`make setup`",
        signal.SIGBUS: "not whole",
        signal.SIGKILL: "less memory",
    }.get(number, "may be damaged" if doing != "anything else" else "Load")
    assert said in error.hint
    # What the doctor can't know better than the sentence does is left to the sentence.
    helps = number != signal.SIGBUS and (number == signal.SIGILL or doing != "anything else")
    assert ("`urial doctor`" in error.hint) == helps


def test_the_last_words_are_those_of_the_failure(tmp_path: Path) -> None:
    log = log_of(tmp_path, "an older failure")
    log.mark()
    assert log.last_words() == ""
    with log.file.open("a") as file:
        file.write("/tmp/build-1/vendor/llama.cpp/ggml/ops.cpp:12: GGML_ASSERT(n > 0) failed\n")
        file.write(f"{WARNING}llama_kv_cache: using full-size SWA cache\n{WARNING}\n\n")
    assert log.last_words() == "ops.cpp:12: GGML_ASSERT(n > 0) failed"
    with log.file.open("a") as file:
        file.write("y" * 100_000)
    assert len(log.last_words()) == 200


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGILL], ids=lambda n: n.name)
def test_a_load_that_ends_the_worker_again_is_told_as_such(
    number: signal.Signals, llama_gguf: Path, tmp_path: Path
) -> None:
    program = worker(falling("_make_context", number))
    with Engine(program=program) as engine:
        first = refusal(engine.load(llama_gguf, options=OPTIONS))
        assert "while it loaded tiny-llama.gguf:" in first.message
        second = refusal(engine.load(llama_gguf, options=OPTIONS))
        assert "while it loaded tiny-llama.gguf, as it did before" in second.message
        for error in (first, second):
            assert number.name in error.message
            assert "Load the model again" not in error.hint
        other = tmp_path / "other.gguf"
        other.write_bytes(llama_gguf.read_bytes())
        assert "before" not in refusal(engine.load(other, options=OPTIONS)).message


def test_a_first_evaluation_that_ends_the_worker_is_told_as_such(llama_gguf: Path) -> None:
    program = worker(falling("decode", signal.SIGILL, "native.context.LlamaContext"))
    with Engine(program=program) as engine:
        for before in (False, True):
            load(engine, llama_gguf)
            error = refusal(newest(engine).prepare(PREAMBLE))
            assert "in the first evaluation of tiny-llama.gguf" in error.message
            assert ("as it did before" in error.message) == before
            assert "`make setup`" in error.hint


def test_a_death_after_an_evaluation_may_be_an_accident(endless_gguf: Path) -> None:
    with Engine() as engine:
        for _ in range(2):
            load(engine, endless_gguf)
            events = newest(engine).generate(
                preamble=PREAMBLE, turns=[QUESTION], sampling=WANDER, max_tokens=3000
            )
            for event in events_until(events, TextDelta, 2):
                assert isinstance(event, TextDelta)
            assert engine.pid is not None
            os.kill(engine.pid, signal.SIGSEGV)
            error = refusal(events)
            assert "evaluation" not in error.message
            assert error.hint.startswith("Load the model again;")


def test_a_model_file_that_is_shortened_while_it_is_used_is_told(tmp_path: Path) -> None:
    path = tinygguf.write_llama(tmp_path / "x.gguf", n_layer=40)
    with Engine() as engine:
        load(engine, path)
        os.truncate(path, 20_000)
        with pytest.raises(EngineError) as caught:
            answer(engine)
    # Where the weights were copied or moved, nothing of the file is read any more.
    if isinstance(caught.value, EngineDied):
        assert_sentence(caught.value)
        assert "SIGBUS" in caught.value.message
        assert "not whole" in caught.value.hint


def test_the_words_of_llama_cpp_are_quoted_where_it_gives_up(
    llama_gguf: Path, tmp_path: Path
) -> None:
    file = Gguf.parse(llama_gguf.read_bytes())
    path = tmp_path / "x.gguf"
    path.write_bytes(file.put_number("llama.block_count", 4, 0).encoded)
    with Engine() as engine:
        error = refusal(engine.load(path, options=OPTIONS))
    assert isinstance(error, EngineDied)
    assert 'Its last words: "llama-model.cpp:' in error.message
    assert "GGML_ASSERT(hparams.n_layer_all > 0" in error.message
    assert "get it again, or choose another" in error.hint


# -- silence ---------------------------------------------------------------------------


def test_a_worker_that_stands_still_is_told_and_ended_when_asked(
    impatient: None, endless_gguf: Path, tmp_path: Path
) -> None:
    with Engine() as engine, Store(tmp_path / "conversations.db") as store:
        load(engine, endless_gguf)
        conversation = Conversation.new(store)
        pid = engine.pid
        assert pid is not None
        writer = writer_of(newest(engine))
        events = iter(conversation.ask(writer, "Who?", sampling=WANDER, max_tokens=3000))
        shown = [event.text for event in events_until(events, TextDelta, 5)]
        os.kill(pid, signal.SIGSTOP)
        silences = cancelled_when_silent(engine, events, shown)
        assert silences[0].ends_in is None
        assert all(silence.ends_in is not None for silence in silences[1:])
        assert store.turns(conversation.record.id)[-1].text == "".join(shown) != ""
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        load(engine, endless_gguf)
        assert engine.alive


def test_a_worker_that_does_not_stop_is_ended_when_asked_again(
    impatient: None, endless_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (client, patience):
        monkeypatch.setattr(module, "stop_within", lambda _info: 3600.0)
    with Engine() as engine:
        load(engine, endless_gguf)
        pid = engine.pid
        assert pid is not None
        answer = newest(engine).generate(
            preamble=(), turns=[QUESTION], sampling=WANDER, max_tokens=3000
        )
        for _ in events_until(answer, TextDelta, 5):
            pass
        engine.insist()
        os.kill(pid, signal.SIGSTOP)
        with monkeypatch.context() as patch:
            patch.setattr(patience, "TOLD_STOPPING", 3600.0)
            engine.cancel()
            # Pressed twice: nobody was told yet that it does not stop.
            engine.cancel()
        assert engine.alive
        silences = cancelled_when_silent(engine, answer, [])
        assert [silence.ends_in is not None for silence in silences] == [True]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("moment", ["start", "load", "write"])
def test_a_worker_that_stands_still_can_be_ended_at_any_moment(
    moment: str, impatient: None, llama_gguf: Path
) -> None:
    with Engine() as engine:
        if moment == "load":
            load(engine, llama_gguf)
        engine.start()
        pid = engine.pid
        assert pid is not None
        if moment == "write":
            load(engine, llama_gguf)
        os.kill(pid, signal.SIGSTOP)
        # More than a pipe takes, so that the client waits while it writes.
        long = "hope this helps " * 10_000
        request = (
            newest(engine).prepare((TextSegment(text=long),))
            if moment == "write"
            else engine.load(llama_gguf, options=OPTIONS)
        )
        timer = threading.Timer(0.3, engine.cancel)
        timer.start()
        error = refusal(request)
        assert "did not stop when asked to" in error.message
        assert not engine.alive


def test_a_loop_in_native_code_is_ended(
    impatient: None, sliding_window_gguf: Path, tmp_path: Path
) -> None:
    # Rotating no dimensions makes llama.cpp count up to where it already is, for ever.
    file = Gguf.parse(sliding_window_gguf.read_bytes())
    path = tmp_path / "x.gguf"
    path.write_bytes(file.put_number("gemma3.rope.dimension_count", 4, 0).encoded)
    with Engine() as engine:
        load(engine, path)
        pid = engine.pid
        assert pid is not None
        silences = cancelled_when_silent(engine, newest(engine).prepare(PREAMBLE), [])
        assert silences[0].ends_in is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_silence_is_worded_by_what_was_asked() -> None:
    assert Silence(id=1, seconds=20.4).in_words("Esc") == ("no sign of life for 20 s; Esc ends it")
    assert Silence(id=1, seconds=2.0, ends_in=8.0).in_words("Esc") == (
        "it does not stop; Esc ends it now, else in 8 s"
    )
    assert "else in 1 s" in Silence(id=1, seconds=9.9, ends_in=0.1).in_words("Esc")


def test_a_worker_that_obeys_is_not_ended(endless_gguf: Path) -> None:
    with Engine() as engine:
        load(engine, endless_gguf)
        for _ in range(3):
            events = newest(engine).generate(
                preamble=(), turns=[QUESTION], sampling=WANDER, max_tokens=3000
            )
            for event in events:
                if isinstance(event, TextDelta):
                    engine.cancel()
        assert engine.alive


# -- frames ----------------------------------------------------------------------------


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for end in (read, write):
        with contextlib.suppress(OSError):
            os.close(end)


def test_a_frame_that_comes_in_pieces_is_read_whole(pipe: tuple[int, int]) -> None:
    read, write = pipe
    body = b"x" * 1000
    data = len(body).to_bytes(4, "little") + body

    def send() -> None:
        for piece in (data[:2], data[2:500], data[500:]):
            time.sleep(0.01)
            os.write(write, piece)

    sender = threading.Thread(target=send)
    sender.start()
    assert read_frame(read) == body
    sender.join()
    write_frame(write, Cancel(id=7))
    os.write(write, data[:10])
    assert read_frame(read) is not None
    os.close(write)
    assert read_frame(read) is None


def test_a_frame_of_an_unbelievable_length_is_refused(pipe: tuple[int, int]) -> None:
    read, write = pipe
    os.write(write, b"\xff" * 4)
    with pytest.raises(ProtocolError):
        read_frame(read)
