"""A recorded session happens again, event by event; what is no recording is one sentence."""

from __future__ import annotations

import os
import random
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.loaded import newest
from tests.test_faults import LONG, OPTIONS, PREAMBLE, QUESTION, WANDER, assert_sentence
from urial_tui.engine.client import recording as recording_module
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.client.recording import (
    FORMAT,
    Cut,
    Died,
    Received,
    RecordingEntry,
    RecordingHead,
    Sent,
    Started,
    read_recording,
)
from urial_tui.engine.client.replay import Replay
from urial_tui.engine.wire.commands import LoadModel, PreparePreamble
from urial_tui.engine.wire.events import Event, Finished, LoadProgress, Ready, TextDelta
from urial_tui.engine.wire.frames import MAX_FRAME, VERSION, encode, write_frame
from urial_tui.errors import EngineDied, EngineError, RecordingError

READY = encode(Ready(version=VERSION, library=""))

Outcome = tuple[list[Event], str]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sessions are recorded."""
    monkeypatch.setenv("URIAL_RECORD", str(tmp_path / "recordings"))
    return tmp_path / "recordings"


def only(directory: Path) -> Path:
    (file,) = directory.iterdir()
    return file


def outcome(events: Iterator[Event]) -> Outcome:
    """The events of a request, and the sentence that ended it if one did."""
    seen: list[Event] = []
    try:
        for event in events:
            seen.append(event)  # noqa: PERF402  # those before an error count
    except EngineError as error:
        return seen, str(error)
    return seen, ""


def session(engine: Engine, path: Path) -> Iterator[Outcome]:
    """Two loads, a preamble, a whole answer, a refused request; it ends where no model is left."""
    yield outcome(engine.load(path, options=OPTIONS))
    if not engine.models:
        return
    yield outcome(newest(engine).prepare(PREAMBLE))
    # A damaged recording may end anywhere.
    if not engine.models:
        return
    yield outcome(newest(engine).generate(preamble=PREAMBLE, turns=[QUESTION], max_tokens=16))
    yield outcome(engine.load(path.with_name("missing.gguf"), options=OPTIONS))
    loaded = outcome(engine.load(path, options=OPTIONS))
    yield loaded
    if loaded[1]:
        return
    yield outcome(
        newest(engine).generate(preamble=(), turns=[LONG], sampling=WANDER, max_tokens=40)
    )


def replayed(file: Path, pace: float = 0.0) -> Engine:
    return Engine(launch=Replay(read_recording(file), pace=pace).launch)


def test_a_recorded_session_is_replayed_with_equal_events(
    directory: Path, llama_gguf: Path
) -> None:
    with Engine() as engine:
        recorded = list(session(engine, llama_gguf))
    assert any(isinstance(event, TextDelta) for events, _ in recorded for event in events)
    assert "missing.gguf" in recorded[3][1]
    with replayed(only(directory)) as engine:
        assert list(session(engine, llama_gguf)) == recorded
        _, refused = outcome(newest(engine).prepare(()))
        assert "The recording ends here." in refused


def test_requests_that_are_left_out_do_not_disturb_the_others(
    directory: Path, llama_gguf: Path
) -> None:
    with Engine() as engine:
        engine.start()
        recorded = list(session(engine, llama_gguf))
        newest(engine).tokenize([QUESTION]).result()
    with replayed(only(directory)) as engine:
        assert outcome(engine.load(llama_gguf)) == recorded[0]
        # Its id is another one now, and that is the one that the events carry.
        events, _ = outcome(newest(engine).generate(preamble=(), turns=[]))
        assert [type(event) for event in events] == [type(event) for event in recorded[2][0]]
        assert {getattr(event, "id", 0) for event in events} == {2}
        assert newest(engine).tokenize([QUESTION]).result()


def test_several_answers_are_replayed_and_the_first_one_alone(
    directory: Path, llama_gguf: Path
) -> None:
    def asked(engine: Engine, samples: int) -> list[Event]:
        outcome(engine.load(llama_gguf, options=OPTIONS))
        events, said = outcome(
            newest(engine).generate(
                preamble=(), turns=[QUESTION], sampling=WANDER, max_tokens=12, samples=samples
            )
        )
        assert not said
        assert [type(event) for event in events].count(Finished) == samples
        # The line is clean: the next request gets its own events.
        assert isinstance(newest(engine).tokenize([QUESTION]).result(), tuple)
        return events

    with Engine() as engine:
        recorded = asked(engine, 3)
    ends = [event for event in recorded if isinstance(event, Finished)]
    assert sorted(event.sample for event in ends) == [0, 1, 2]
    with replayed(only(directory)) as engine:
        assert asked(engine, 3) == recorded
    with replayed(only(directory)) as engine:
        assert asked(engine, 1) == [e for e in recorded if getattr(e, "sample", 0) == 0]
    with replayed(only(directory)) as engine:
        outcome(engine.load(llama_gguf, options=OPTIONS))
        _, said = outcome(newest(engine).generate(preamble=(), turns=[QUESTION], samples=4))
        assert "The recording ends here." in said


def test_several_answers_that_are_abandoned_leave_a_clean_line(llama_gguf: Path) -> None:
    with Engine() as engine:
        outcome(engine.load(llama_gguf, options=OPTIONS))
        for ends in (0, 1):
            events = newest(engine).generate(
                preamble=(), turns=[QUESTION], sampling=WANDER, max_tokens=24, samples=3
            )
            seen = 0
            for event in events:
                seen += isinstance(event, Finished)
                if seen >= ends and isinstance(event, TextDelta | Finished):
                    break
            events.close()
            alone, said = outcome(
                newest(engine).generate(
                    preamble=(), turns=[QUESTION], sampling=WANDER, max_tokens=8
                )
            )
            assert not said
            assert [type(event) for event in alone].count(Finished) == 1


def test_what_was_asked_of_a_model_that_reads_along_is_not_taken_for_the_one_that_writes(
    directory: Path, llama_gguf: Path, endless_gguf: Path
) -> None:
    with Engine() as engine:
        first = outcome(engine.load(llama_gguf, options=OPTIONS))
        second = outcome(engine.load(endless_gguf, options=OPTIONS, purpose="watched"))
        again = outcome(engine.load(llama_gguf, options=OPTIONS))
    assert first != second
    with replayed(only(directory)) as engine:
        assert outcome(engine.load(llama_gguf, options=OPTIONS)) == first
        _, refused = outcome(engine.load(llama_gguf, options=OPTIONS))
        assert not refused
        assert newest(engine).info.path == str(llama_gguf)
    with replayed(only(directory)) as engine:
        asked = [
            outcome(engine.load(llama_gguf, options=OPTIONS)),
            outcome(engine.load(endless_gguf, options=OPTIONS, purpose="watched")),
            outcome(engine.load(llama_gguf, options=OPTIONS)),
        ]
        assert asked == [first, second, again]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT], ids=lambda n: n.name)
def test_a_death_is_replayed_with_its_sentence_and_what_came_after_it_too(
    number: signal.Signals, directory: Path, endless_gguf: Path, llama_gguf: Path
) -> None:
    def run(engine: Engine, moment: Callable[[Iterator[Event]], Iterator[Event]]) -> list[Outcome]:
        return [
            outcome(engine.load(endless_gguf, options=OPTIONS)),
            outcome(
                moment(
                    newest(engine).generate(
                        preamble=(), turns=[QUESTION], sampling=WANDER, max_tokens=3000
                    )
                )
            ),
            outcome(engine.load(llama_gguf, options=OPTIONS)),
            outcome(newest(engine).generate(preamble=PREAMBLE, turns=[QUESTION], max_tokens=8)),
        ]

    def killing(events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, TextDelta):
                assert engine.pid is not None
                os.kill(engine.pid, number)
            yield event

    with Engine() as engine:
        recorded = run(engine, killing)
    assert number.name in recorded[1][1]
    with replayed(only(directory)) as engine:
        assert run(engine, lambda events: events) == recorded


def test_the_death_of_an_idle_worker_is_replayed(directory: Path, llama_gguf: Path) -> None:
    def die(engine: Engine, kill: bool) -> str:
        ended = threading.Event()
        engine.watch(ended.set)
        outcome(engine.load(llama_gguf, options=OPTIONS))
        if kill:
            assert engine.pid is not None
            os.kill(engine.pid, signal.SIGKILL)
        assert ended.wait(60)
        error = engine.take_death()
        assert error is not None
        assert engine.take_death() is None
        return str(error)

    with Engine() as engine:
        said = die(engine, kill=True)
    assert "SIGKILL" in said
    with replayed(only(directory)) as engine:
        assert die(engine, kill=False) == said


def test_a_replay_at_the_recorded_pace_is_cancelled_and_closed_without_waiting(
    tmp_path: Path,
) -> None:
    """The recorded pauses are hours; the test's own time limit would tell."""
    file = tmp_path / "slow.urial"
    load = LoadModel(id=1, model=1, path="/a.gguf")
    slow = [
        Received(at=3600.0 * number, body=encode(LoadProgress(id=1, fraction=number / 100)))
        for number in range(100)
    ]
    write(file, Sent(at=0.0, body=encode(load)), *slow)
    with replayed(file, pace=1.0) as engine:
        events = engine.load(Path("a.gguf"))
        assert isinstance(next(events), LoadProgress)
        threading.Timer(0.05, engine.cancel).start()
        rest, said = outcome(events)
        assert len(rest) == 99
        assert "The recording ends here." in said
    with replayed(file, pace=1.0) as engine:
        threading.Timer(0.05, engine.close).start()
        _, said = outcome(engine.load(Path("a.gguf")))
        assert said


# -- the file --------------------------------------------------------------------------


def write(file: Path, *entries: RecordingEntry, head: RecordingHead | None = None) -> None:
    with file.open("ab", buffering=0) as output:
        for entry in (head or RecordingHead(at=0.0, program="0"), *entries):
            write_frame(output.fileno(), entry)


def test_nothing_is_recorded_unless_it_is_asked_for(home: Path, llama_gguf: Path) -> None:
    with Engine() as engine:
        outcome(engine.load(llama_gguf, options=OPTIONS))
    assert not list(home.rglob("*.urial"))


def test_a_recording_is_private_and_each_engine_has_its_own(
    directory: Path, llama_gguf: Path
) -> None:
    before = os.umask(0)
    try:
        with Engine() as one, Engine() as two:
            for engine in (one, two):
                outcome(engine.load(llama_gguf, options=OPTIONS))
    finally:
        os.umask(before)
    files = list(directory.iterdir())
    assert len(files) == 2
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]


def test_a_recording_ends_at_its_limit_and_the_session_goes_on(
    directory: Path, llama_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "LIMIT", 2000)
    with Engine() as engine:
        *_, (events, said) = session(engine, llama_gguf)
    assert isinstance(events[-1], Finished)
    assert not said
    file = only(directory)
    assert file.stat().st_size < 2200
    assert isinstance(read_recording(file).entries[-1], Cut)
    with replayed(file) as engine:
        said_then = [said for _, said in session(engine, llama_gguf)]
    assert "The recording ends here. Leave the replay with Ctrl+Q." in said_then


def test_a_disk_that_fails_ends_the_recording_and_not_the_session(
    directory: Path, llama_gguf: Path
) -> None:
    with Engine() as engine:
        outcome(engine.load(llama_gguf, options=OPTIONS))
        file = only(directory)
        file.unlink()
        file.mkdir()
        events, said = outcome(newest(engine).generate(preamble=(), turns=[QUESTION], max_tokens=8))
    assert isinstance(events[-1], Finished)
    assert not said


def test_a_place_that_can_not_be_recorded_to_is_told(directory: Path, llama_gguf: Path) -> None:
    directory.write_text("in the way")
    with Engine() as engine:
        with pytest.raises(EngineError, match="can't be recorded") as caught:
            list(engine.load(llama_gguf))
        assert_sentence(caught.value)
        assert "URIAL_RECORD" in caught.value.hint
        assert not engine.alive


def test_a_recording_that_is_cut_off_anywhere_is_read_up_to_there(
    directory: Path, llama_gguf: Path, tmp_path: Path
) -> None:
    with Engine() as engine:
        recorded = list(session(engine, llama_gguf))
    data = only(directory).read_bytes()
    whole = read_recording(only(directory))
    head = 4 + len(encode(whole.head))
    cut = tmp_path / "cut.urial"
    draw = random.Random(5)
    for end in sorted(draw.randrange(head, len(data)) for _ in range(25)):
        cut.write_bytes(data[:end])
        entries = read_recording(cut).entries
        assert entries == whole.entries[: len(entries)]
        with replayed(cut) as engine:
            for events, said in session(engine, llama_gguf):
                assert said or any((events, said) == one for one in recorded)


NO_RECORDINGS: dict[str, bytes | RecordingEntry] = {
    "empty": b"",
    "text": b"This is no recording. " * 100,
    "a huge length": b"\xff\xff\xff\xff",
    "no msgpack": b"\x03\x00\x00\x00\xc1\xc1\xc1",
    "nested without end": b"\x00\x00\x01\x00" + b"\x91" * 65536,
    "without a head": Cut(at=0.0),
    "of another version": RecordingHead(at=0.0, program="99\x1b[2J\u202e" * 50, format=FORMAT + 1),
    "of another protocol": RecordingHead(at=0.0, program="99", protocol=99),
}


@pytest.mark.parametrize("what", NO_RECORDINGS)
def test_what_is_no_recording_is_refused_with_a_sentence(what: str, tmp_path: Path) -> None:
    content = NO_RECORDINGS[what]
    file = tmp_path / "file.urial"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        with file.open("wb", buffering=0) as output:
            write_frame(output.fileno(), content)
    with pytest.raises(RecordingError) as caught:
        read_recording(file)
    assert_sentence(caught.value)


def test_places_that_hold_no_file_are_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(MAX_FRAME)
    for path in (pipe, huge, tmp_path, tmp_path / "missing", Path(os.devnull)):
        with pytest.raises(RecordingError) as caught:
            read_recording(path)
        assert_sentence(caught.value)


def test_a_command_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file.urial"
    write(file, Sent(at=0.0, body=b"\x81\xa3cmd\xa8tomorrow"))
    with pytest.raises(RecordingError) as caught:
        Replay(read_recording(file))
    assert_sentence(caught.value)


def test_an_event_that_is_none_ends_the_replayed_worker_as_it_ended_the_real_one(
    tmp_path: Path,
) -> None:
    file = tmp_path / "file.urial"
    load = Sent(at=0.0, body=encode(LoadModel(id=7, model=1, path="/a.gguf")))
    write(file, load, Received(at=float("nan"), body=b"\xc1garbage"))
    with replayed(file, pace=1.0) as engine, pytest.raises(EngineDied, match="not understand"):
        list(engine.load(Path("a.gguf")))


def test_no_damage_to_a_recording_is_more_than_a_sentence(
    directory: Path, llama_gguf: Path, tmp_path: Path
) -> None:
    with Engine() as engine:
        list(session(engine, llama_gguf))
    data = only(directory).read_bytes()
    file = tmp_path / "damaged.urial"
    draw = random.Random(6)
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(draw.choice((1, 3, 20))):
            damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged)
        try:
            with replayed(file) as engine:
                for _, said in session(engine, llama_gguf):
                    assert "\n" not in said
        except RecordingError as error:
            assert_sentence(error)


def test_the_time_that_a_user_took_is_known(tmp_path: Path) -> None:
    file = tmp_path / "file.urial"
    load, prepare = (
        encode(LoadModel(id=1, model=1, path="a")),
        encode(PreparePreamble(id=2, model=1, preamble=())),
    )
    died = Died(at=12.0, message="It died.", hint="")
    write(
        file,
        *(Started(at=0.0), Received(at=0.5, body=READY), Sent(at=1.0, body=load)),
        *(Received(at=2.0, body=b"x"), Sent(at=5.0, body=prepare), died),
        *(Started(at=15.0), Received(at=16.0, body=READY), Sent(at=16.5, body=load)),
    )
    assert [e.pause for e in Replay(read_recording(file)).exchanges] == [0.5, 3.0, 3.0]
