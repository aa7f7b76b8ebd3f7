"""What goes wrong below the engine: each ends in one sentence, and the engine can go on.

The workers are real. Where a fault has to strike at a moment that no outside hand can
hit, the worker's process injects it into itself before it starts to serve.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import tinygguf
from tests.loaded import load_only, newest, writer_of
from urial_tui.chat.session import Conversation
from urial_tui.chat.store import Store
from urial_tui.engine.client import connection
from urial_tui.engine.client.call import Call
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire.events import (
    Event,
    Finished,
    LoadProgress,
    Notice,
    PreambleReady,
    PrefillProgress,
    TextDelta,
)
from urial_tui.engine.wire.values import EngineOptions, KVType, Sampling, TextSegment, Turn
from urial_tui.errors import EngineDied, EngineError, UrialError

OPTIONS = EngineOptions(n_ctx=4096, threads=1)
PREAMBLE: Turn = (TextSegment(text="# Query:\nHello world\n\n# Answer:\nhope 中 helps\n\n" * 12),)
QUESTION: Turn = (TextSegment(text="# Query:\nfirst of all\n\n# Answer:\n"),)
LONG: Turn = (TextSegment(text="hope this helps " * 850),)
WANDER = Sampling(temperature=2.0, seed=3)

EVIL = "evil\x1b]0;owned\x07\x1b[2Jname\x9b31m\u202egnp\r"
"""Sets a terminal's title, clears its screen, colours and reverses what follows."""
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

SIGNALS = [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT]


def worker(setup: str) -> tuple[str, ...]:
    """The command line of the real worker, after `setup` has run in its process."""
    serve = "from urial_tui.engine.worker import main\nmain.main()"
    return (sys.executable, "-P", "-c", f"# urial_tui.engine.worker.main\n{setup}\n{serve}")


LITTLE_MEMORY = worker(
    "import resource\nresource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))"
)


def load(engine: Engine, path: Path, options: EngineOptions = OPTIONS) -> list[Event]:
    return load_only(engine, path, options)


def answer(engine: Engine, *, preamble: Turn = PREAMBLE, turn: Turn = QUESTION) -> list[Event]:
    return list(newest(engine).generate(preamble=preamble, turns=[turn], max_tokens=16))


def wandering(engine: Engine) -> Call[Finished]:
    """A long answer."""
    return newest(engine).generate(preamble=(), turns=[QUESTION], sampling=WANDER, max_tokens=3000)


def ids(events: list[Event]) -> tuple[int, ...]:
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.ids
    return last.ids


def source(events: list[Event]) -> str:
    (ready,) = [event for event in events if isinstance(event, PreambleReady)]
    return ready.source


def assert_sentence(error: UrialError) -> None:
    """One sentence, a next step, and nothing that only a programmer understands."""
    text = str(error)
    assert error.message.endswith("."), text
    assert error.hint, text
    assert len(text) < 700, text
    assert not RAW.search(text), text
    assert "\n" not in text
    assert "Traceback" not in text


def refusal(events: Iterator[Event]) -> EngineError:
    """The error that ends these events."""
    with pytest.raises(EngineError) as caught:
        list(events)
    assert_sentence(caught.value)
    return caught.value


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def greedy(llama_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, ...]:
    """The answer of the tiny model to QUESTION behind PREAMBLE, computed without a cache."""
    with Engine(cache_dir=tmp_path_factory.mktemp("cache")) as engine:
        load(engine, llama_gguf)
        return ids(answer(engine))


# -- model files -----------------------------------------------------------------------


def _offset(data: bytes, mark: bytes) -> int:
    found = data.find(mark)
    assert found > 0
    return found + len(mark)


def _bad_files(good: Path, directory: Path) -> Iterator[tuple[str, Path]]:
    """Files that are no model, by what is wrong with them."""
    data = good.read_bytes()
    vocabulary = _offset(data, b"tokenizer.ggml.tokens") + 2000
    contents = {
        "empty": b"",
        "cut in the magic": data[:3],
        "cut in the counts": data[:13],
        "cut in the first key": data[:30],
        "cut in the vocabulary": data[:vocabulary],
        "cut in the tensor table": data[: _offset(data, b"blk.0.attn_q.weight")],
        "cut in the tensors": data[: len(data) * 2 // 3],
        "without its last byte": data[:-1],
        "text": b"This is a model. " * 100,
        "HTML": b"<!DOCTYPE html><html><body>404</body></html>",
        "random": random.Random(1).randbytes(100_000),
        "of a later version": data[:4] + struct.pack("<I", 99) + data[8:],
        "of the first version": data[:4] + struct.pack("<I", 1) + data[8:],
        "of the other byte order": data[:4] + data[4:8][::-1] + data[8:],
        "with 2^60 tensors": data[:8] + struct.pack("<Q", 1 << 60) + data[16:],
        "with 2^60 keys": data[:16] + struct.pack("<Q", 1 << 60) + data[24:],
        "only zeros": bytes(100_000),
    }
    for name, content in contents.items():
        path = directory / f"{name}.gguf"
        path.write_bytes(content)
        yield name, path
    path = directory / "archive.gguf"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(good, "model.gguf")
    yield "archive", path
    yield "missing", directory / "missing.gguf"
    yield "a directory", directory
    yield "a device", Path(os.devnull)


def test_a_file_that_is_no_whole_model_is_refused_and_the_same_worker_goes_on(
    engine: Engine, llama_gguf: Path, tmp_path: Path, greedy: tuple[int, ...]
) -> None:
    load(engine, llama_gguf)
    pid = engine.pid
    for name, path in _bad_files(llama_gguf, tmp_path):
        error = refusal(engine.load(path))
        assert path.name in str(error), name
        assert not isinstance(error, EngineDied), name
        assert ids(answer(engine)) == greedy, name
    assert engine.pid == pid
    load(engine, llama_gguf)
    assert ids(answer(engine)) == greedy


def test_no_garbled_header_brings_the_client_down(
    llama_gguf: Path, tmp_path: Path, greedy: tuple[int, ...]
) -> None:
    data = llama_gguf.read_bytes()
    end = _offset(data, b"blk.1.ffn_down.weight") + 64
    draw = random.Random(2)
    path = tmp_path / "garbled.gguf"
    outcomes = set()
    with Engine(program=LITTLE_MEMORY) as engine:
        for round_ in range(36):
            garbled = bytearray(data)
            # The keys and the tensor table are small beside the vocabulary.
            low, high = [(0, 600), (end - 2000, end), (0, end)][round_ % 3]
            for _ in range(draw.choice((1, 1, 2, 8))):
                garbled[draw.randrange(low, high)] ^= 1 << draw.randrange(8)
            path.write_bytes(garbled)
            try:
                load(engine, path)
                answer(engine)
                outcomes.add("answered")
            except EngineError as error:
                assert_sentence(error)
                outcomes.add(type(error).__name__)
        assert "EngineError" in outcomes
        load(engine, llama_gguf)
        assert ids(answer(engine)) == greedy


def test_weights_that_are_no_numbers_are_told_and_leave_nothing_behind(
    engine: Engine, llama_gguf: Path, tmp_path: Path, greedy: tuple[int, ...]
) -> None:
    load(engine, tinygguf.write_llama(tmp_path / "nan.gguf", nan=True))
    for sampling in (Sampling(), WANDER, Sampling(repetition_penalty=1.3)):
        error = refusal(
            newest(engine).generate(preamble=PREAMBLE, turns=[QUESTION], sampling=sampling)
        )
        assert "not a number" in str(error)
        assert not isinstance(error, EngineDied)
    load(engine, llama_gguf)
    assert ids(answer(engine)) == greedy


def test_a_header_that_claims_a_terabyte_is_refused_without_reading_it(
    engine: Engine, llama_gguf: Path, tmp_path: Path
) -> None:
    data = bytearray(llama_gguf.read_bytes())
    # token_embd.weight: its name, the number of dimensions, then their sizes.
    at = _offset(bytes(data), b"token_embd.weight") + 4 + 8
    data[at : at + 8] = struct.pack("<Q", 1 << 32)
    path = tmp_path / "huge.gguf"
    path.write_bytes(data)
    assert not isinstance(refusal(engine.load(path)), EngineDied)
    assert engine.alive


@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
def test_a_context_that_memory_can_not_hold_is_refused_with_its_size(
    kv_type: KVType, tmp_path: Path, llama_gguf: Path, greedy: tuple[int, ...]
) -> None:
    path = tinygguf.write_llama(tmp_path / "long.gguf", n_ctx_train=1 << 27)
    options = EngineOptions(n_ctx=1 << 24, threads=1, kv_type=kv_type)
    with Engine(program=LITTLE_MEMORY) as engine:
        error = refusal(engine.load(path, options=options))
        assert re.search(r"context of 16,777,216 tokens .*\d [MG]B", error.message)
        assert "smaller context" in error.hint
        load(engine, llama_gguf)
        assert ids(answer(engine)) == greedy


def test_a_preamble_longer_than_the_context_names_both_lengths(
    engine: Engine, llama_gguf: Path
) -> None:
    load(engine, llama_gguf, EngineOptions(n_ctx=512, threads=1))
    error = refusal(newest(engine).prepare(LONG))
    assert re.search(r"has \d,\d{3} tokens, but the context holds only 512", error.message)
    assert "shorter preamble" in error.hint
    assert ids(answer(engine, preamble=()))


# -- names and texts -------------------------------------------------------------------


def test_escape_sequences_in_metadata_and_file_names_are_never_passed_on(
    engine: Engine, tmp_path: Path
) -> None:
    path = tinygguf.write_llama(
        tmp_path / f"{EVIL}.gguf", name=EVIL, metadata={"general.description": EVIL}
    )
    events = load(engine, path, EngineOptions(n_ctx=10_000_000, threads=1))
    assert not RAW.search(newest(engine).info.name)
    assert not RAW.search(newest(engine).info.description)
    assert not any(RAW.search(event.message) for event in events if isinstance(event, Notice))
    newest(engine).unload()
    path.write_bytes(b"GGUF")
    refusal(engine.load(path))
    path.unlink()
    refusal(engine.load(path))
    refusal(engine.load(path, adapter=path))


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are Unicode there")
def test_a_file_name_that_is_no_text_is_refused_and_the_engine_goes_on(
    engine: Engine, llama_gguf: Path, tmp_path: Path
) -> None:
    name = tmp_path / os.fsdecode(b"latin-\xe9.gguf")
    name.write_bytes(llama_gguf.read_bytes())
    assert "Rename" in refusal(engine.load(name)).hint
    load(engine, llama_gguf)
    refusal(newest(engine).prepare((TextSegment(text="half a \ud83d character"),)))
    assert ids(answer(engine))


# -- the cache -------------------------------------------------------------------------


def _flip(data: bytes, index: int) -> bytes:
    return data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]


STATE_DAMAGE: dict[str, Callable[[bytes, bytes], bytes]] = {
    "empty": lambda _data, _other: b"",
    "cut in the head": lambda data, _other: data[:20],
    "cut in the header": lambda data, _other: data[:100],
    "cut in the state": lambda data, _other: data[: len(data) // 2],
    "without its last byte": lambda data, _other: data[:-1],
    "longer": lambda data, _other: data + b"\0",
    "magic": lambda data, _other: b"X" + data[1:],
    "checksum": lambda data, _other: _flip(data, 12),
    "header length": lambda data, _other: data[:40] + b"\xff\xff\xff\xff" + data[44:],
    "header": lambda data, _other: _flip(data, 60),
    "a bit of the state": lambda data, _other: _flip(data, len(data) - 2000),
    "a bit at the end": lambda data, _other: _flip(data, len(data) - 1),
    "another preamble's": lambda _data, other: other,
    "text": lambda _data, _other: b"no state at all\n" * 50,
}


def test_a_damaged_or_foreign_state_file_changes_no_answer_and_is_replaced(
    llama_gguf: Path, tmp_path: Path, greedy: tuple[int, ...]
) -> None:
    other: Turn = (TextSegment(text="Answer with a list of code and numbers. " * 9),)
    with Engine(cache_dir=tmp_path) as engine:
        load(engine, llama_gguf)
        answer(engine, preamble=other)
        (other_file,) = tmp_path.glob("*.kv")
        assert ids(answer(engine)) == greedy
        (file,) = set(tmp_path.glob("*.kv")) - {other_file}
        data, foreign = file.read_bytes(), other_file.read_bytes()
        for name, damage in STATE_DAMAGE.items():
            answer(engine, preamble=())
            file.write_bytes(damage(data, foreign))
            events = answer(engine)
            assert source(events) == "computed", name
            assert ids(events) == greedy, name
            assert file.read_bytes() == data, name
            answer(engine, preamble=())
            assert source(answer(engine)) == "disk", name
    assert sorted(tmp_path.glob("*.kv")) == sorted([file, other_file])
    assert not list(tmp_path.glob("*.part"))


def test_a_directory_in_the_place_of_a_state_file_costs_only_the_speed_up(
    llama_gguf: Path, tmp_path: Path, greedy: tuple[int, ...]
) -> None:
    with Engine(cache_dir=tmp_path) as engine:
        load(engine, llama_gguf)
        answer(engine)
        (file,) = tmp_path.glob("*.kv")
        file.unlink()
        (file / "inside").mkdir(parents=True)
        answer(engine, preamble=())
        events = answer(engine)
    assert ids(events) == greedy
    assert any(isinstance(event, Notice) for event in events)
    assert list(tmp_path.glob("*.kv")) == [file]


def _full_disk(_directory: Path) -> tuple[str, ...]:
    return worker(
        "import errno, os\n"
        "def full(fd): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        "os.fsync = full"
    )


def _short_files(_directory: Path) -> tuple[str, ...]:
    return worker("import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))")


def _file_in_place(directory: Path) -> None:
    directory.write_text("not a directory")


def _read_only(directory: Path) -> None:
    directory.mkdir(mode=0o500)
    if os.access(directory, os.W_OK):
        pytest.skip("this user may write everywhere; a file in its place stands for it")


@pytest.mark.parametrize("prepare", [_full_disk, _short_files, _file_in_place, _read_only])
def test_a_cache_that_can_not_be_written_is_told_and_costs_no_answer(
    prepare: Callable[[Path], tuple[str, ...] | None],
    llama_gguf: Path,
    tmp_path: Path,
    greedy: tuple[int, ...],
) -> None:
    cache = tmp_path / "cache"
    with Engine(cache_dir=cache, program=prepare(cache)) as engine:
        load(engine, llama_gguf)
        events = answer(engine)
    assert ids(events) == greedy
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert "can't be kept on disk" in notice.message
    assert str(cache) in notice.message
    # What is remembered of the files' contents is small enough to be kept.
    assert {file.name for file in cache.glob("*")} <= {"contents.json"}


# -- the log ---------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["a file in its place", "a full disk"])
def test_a_log_that_can_not_be_written_costs_no_answer(
    trouble: str, llama_gguf: Path, tmp_path: Path, greedy: tuple[int, ...]
) -> None:
    log = tmp_path / "logs" / "engine-1.log"
    program = None
    if trouble == "a full disk":
        program = worker("import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))")
    else:
        log.parent.write_text("not a directory")
    with Engine(log_file=log, program=program) as engine:
        refusal(engine.load(tmp_path / "missing.gguf"))
        load(engine, llama_gguf)
        assert ids(answer(engine)) == greedy
        assert engine.pid is not None
        model = newest(engine)
        os.kill(engine.pid, signal.SIGKILL)
        assert "SIGKILL" in str(refusal(model.prepare(())))


def test_old_logs_go_and_the_last_words_of_a_worker_are_told_safely(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"engine-{number}.log").touch()
    last_words = r"import os; os.write(2, b'\x1b[2Jout of \x9b luck\n'); os._exit(7)"
    with Engine(log_file=tmp_path / "engine-x.log", program=worker(last_words)) as engine:
        error = refusal(engine.load(tmp_path / "any.gguf"))
    assert isinstance(error, EngineDied)
    assert "exited with code 7" in error.message
    assert 'last words: "\N{SYMBOL FOR ESCAPE}[2Jout of \ufffd luck".' in error.message
    assert len(list(tmp_path.glob("engine-*.log"))) < 12


# -- the worker dies -------------------------------------------------------------------


def kill_at(
    engine: Engine, events: Iterator[Event], moment: type[Event], number: signal.Signals
) -> list[Event]:
    """Kill the worker at each event of a kind, and read on."""
    seen = []
    for event in events:
        seen.append(event)
        if isinstance(event, moment) and engine.alive:
            assert engine.pid is not None
            os.kill(engine.pid, number)
    return seen


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_worker_killed_at_any_moment_is_told_by_signal_and_started_again(
    number: signal.Signals,
    llama_gguf: Path,
    endless_gguf: Path,
    tmp_path: Path,
    greedy: tuple[int, ...],
) -> None:
    with Engine(cache_dir=tmp_path) as engine:
        for preamble, turn, moment in (
            (LONG, QUESTION, PrefillProgress),
            (PREAMBLE, LONG, PrefillProgress),
            ((), QUESTION, TextDelta),
        ):
            load(engine, endless_gguf)
            model = newest(engine)
            events = model.generate(
                preamble=preamble, turns=[turn], sampling=WANDER, max_tokens=3000
            )
            with pytest.raises(EngineDied) as caught:
                kill_at(engine, events, moment, number)
            assert_sentence(caught.value)
            assert number.name in caught.value.message
            assert "nothing of the conversation is lost" in caught.value.hint
            assert not engine.alive
            # Without a model, every request says what to do.
            assert "Load" in refusal(model.prepare(())).hint
        load(engine, llama_gguf)
        assert ids(answer(engine)) == greedy


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_worker_that_crashes_in_mid_load_is_told_by_signal(
    number: signal.Signals, llama_gguf: Path, tmp_path: Path, greedy: tuple[int, ...]
) -> None:
    # The event is sent from the native loader's callback; only the first worker falls.
    marker = tmp_path / "fallen"
    crash = worker(
        f"import os, pathlib\nfrom urial_tui.engine.worker import main as worker\n"
        f"from urial_tui.engine.wire.events import LoadProgress\n"
        f"write, marker = worker.write_frame, pathlib.Path({str(marker)!r})\n"
        f"def fall(fd, event):\n"
        f"    if isinstance(event, LoadProgress) and not marker.exists():\n"
        f"        marker.touch()\n"
        f"        os.kill(os.getpid(), {int(number)})\n"
        f"    write(fd, event)\n"
        f"worker.write_frame = fall"
    )
    with Engine(program=crash) as engine:
        error = refusal(engine.load(llama_gguf))
        assert isinstance(error, EngineDied)
        assert number.name in error.message
        assert engine.models == ()
        load(engine, llama_gguf)
        assert ids(answer(engine)) == greedy


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_the_text_that_a_dead_worker_sent_is_kept(
    number: signal.Signals, engine: Engine, endless_gguf: Path, tmp_path: Path
) -> None:
    with Store(tmp_path / "conversations.db") as store:
        load(engine, endless_gguf)
        conversation = Conversation.new(store)
        shown: list[str] = []

        def asked() -> Iterator[Event]:
            for event in conversation.ask(
                writer_of(newest(engine)), "Who?", sampling=WANDER, max_tokens=3000
            ):
                if isinstance(event, TextDelta):
                    shown.append(event.text)
                yield event

        with pytest.raises(EngineDied):
            kill_at(engine, asked(), TextDelta, number)
        question, partial = store.turns(conversation.record.id)
        assert (question.text, partial.stop_reason) == ("Who?", "died")
        assert partial.text == "".join(shown) != ""
        load(engine, endless_gguf)
        list(conversation.ask(writer_of(newest(engine)), "And now?", max_tokens=4))
        assert [turn.role for turn in store.turns(conversation.record.id)] == [
            "user",
            "assistant",
        ] * 2


def test_a_worker_that_does_not_end_is_ended(
    llama_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "EXIT_TIMEOUT", 0.2)
    hang = worker(
        "import time\nfrom urial_tui.engine.worker import commands\n"
        "commands.CommandTable.close = lambda self: time.sleep(1000)"
    )
    with Engine(program=hang) as engine:
        load(engine, llama_gguf)
        pid = engine.pid
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_that_stands_still_is_ended(
    llama_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "EXIT_TIMEOUT", 0.2)
    with Engine() as engine:
        load(engine, llama_gguf)
        pid = engine.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# -- the client dies -------------------------------------------------------------------

_CLIENT = """
import os, sys
from pathlib import Path
from urial_tui.engine.client.call import Call
from urial_tui.engine.client.engine import Engine
from urial_tui.engine.wire import values
moment, path, cache, text = sys.argv[1:]
engine = Engine(cache_dir=Path(cache))
def run(events):
    for event in events:
        if type(event).__name__ == moment:
            print(engine.pid, flush=True)
            sys.stdin.read()
if moment == "start":
    engine.start()
    print(engine.pid, flush=True)
    sys.stdin.read()
run(engine.load(Path(path), options=values.EngineOptions(n_ctx=4096, threads=1)))
turn = (values.TextSegment(text=text),)
wander = values.Sampling(temperature=2.0, seed=3)
run(engine.models[-1].generate(preamble=(), turns=[turn], sampling=wander, max_tokens=3000))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize("moment", ["start", "LoadProgress", "PrefillProgress", "TextDelta"])
def test_a_worker_goes_when_its_client_is_gone(
    moment: str, number: signal.Signals, endless_gguf: Path, home: Path
) -> None:
    text = "hope this helps " * (850 if moment == "PrefillProgress" else 2)
    # The fixture `no_worker_left` finds a worker that stays by its cache directory.
    command = [sys.executable, "-c", _CLIENT, moment, str(endless_gguf), str(home / "cache"), text]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        os.kill(pid, 0)
        process.send_signal(number)
        assert process.wait(60) == -number


# -- the line --------------------------------------------------------------------------


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    for program in ((str(tmp_path / "nothing"),), (str(tmp_path),)):
        with Engine(program=program) as engine:
            with pytest.raises(EngineError) as caught:
                engine.load(tmp_path / "any.gguf")
            assert_sentence(caught.value)
            assert "can't be started" in caught.value.message
            assert not engine.alive


def test_a_missing_library_is_told_with_the_way_to_install_it(tmp_path: Path) -> None:
    blocked = worker(
        "import importlib.util, sys\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: "
        "None if name == 'llama_cpp' else find(name, *rest)"
    )
    with Engine(program=blocked) as engine:
        error = refusal(engine.load(tmp_path / "any.gguf"))
        assert "llama-cpp-python is not installed" in error.message
        assert "Install" in error.hint
        assert not engine.alive
        # And again: the second try starts a worker of its own.
        assert refusal(engine.load(tmp_path / "any.gguf")).message == error.message


def _stand_in(body: str) -> tuple[str, ...]:
    """A peer that is no worker of this version."""
    imports = (
        "import os, struct, sys, time\n"
        "from urial_tui.engine.wire.events import *\nfrom urial_tui.engine.wire.frames import *"
    )
    return (sys.executable, "-P", "-c", f"# urial_tui.engine.worker.main\n{imports}\n{body}")


READY = "write_frame(1, Ready(version=VERSION, library=''))\n"
STRANGERS = {
    "another version": (
        "write_frame(1, Ready(version=VERSION + 1, library='')); sys.stdin.read()",
        "another version",
    ),
    "another greeting": ("write_frame(1, LoadProgress(id=1, fraction=1.0))", "another version"),
    "an event of tomorrow": (
        "body = b'\\x81\\xa2ev\\xa8tomorrow'\n"
        "os.write(1, struct.pack('<I', len(body)) + body); sys.stdin.read()",
        "does not understand",
    ),
    "a huge length": ("os.write(1, b'\\xff\\xff\\xff\\xff'); sys.stdin.read()", "understand"),
    "printed text": ("print('hello world, this is no frame', flush=True); time.sleep(9)", "under"),
    "no UTF-8": (
        "body = b'\\x83\\xa2ev\\xa6notice\\xa2id\\x01\\xa7message\\xa1\\xff'\n"
        "os.write(1, struct.pack('<I', len(body)) + body); sys.stdin.read()",
        "does not understand",
    ),
    "no msgpack": (
        "os.write(1, struct.pack('<I', 3) + b'\\xc1\\xc1\\xc1'); time.sleep(9)",
        "under",
    ),
    "nothing": ("", "exited with code 0"),
    "half a frame": ("os.write(1, struct.pack('<I', 100) + b'abc')", "exited with code 0"),
    "garbage later": (
        READY + "read_frame(0); os.write(1, b'\\xff' * 9); sys.stdin.read()",
        "does not understand",
    ),
    "half an answer": (
        READY + "read_frame(0); write_frame(1, LoadProgress(id=1, fraction=0.5))",
        "exited with code 0",
    ),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_peer_that_does_not_keep_the_protocol_is_told_and_ended(
    stranger: str, tmp_path: Path
) -> None:
    body, said = STRANGERS[stranger]
    with Engine(program=_stand_in(body)) as engine:
        error = refusal(engine.load(tmp_path / "any.gguf"))
        assert said in error.message
        assert "memory" not in str(error)
        assert not engine.alive


def test_a_signal_handler_may_cancel_while_a_call_is_made(
    deep_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The handler runs in the thread that it interrupts, which holds the line's lock.
    with Engine() as engine:
        load(engine, deep_gguf)
        stopped = connection.Connection._stopped
        interrupted = False

        def interrupt(line: connection.Connection) -> None:
            nonlocal interrupted
            stopped(line)
            if not interrupted:
                interrupted = True
                first.cancel()
                os.kill(os.getpid(), signal.SIGINT)

        before = signal.signal(signal.SIGINT, lambda *_: engine.cancel())
        first = wandering(engine)
        try:
            monkeypatch.setattr(connection.Connection, "_stopped", interrupt)
            second = wandering(engine)
        finally:
            signal.signal(signal.SIGINT, before)
        assert interrupted
        assert first.result().stop_reason == "cancelled"
        second.cancel()
        assert second.result().stop_reason == "cancelled"


def test_an_interrupt_leaves_the_call_and_the_line_as_they_are(
    endless_gguf: Path, llama_gguf: Path, greedy: tuple[int, ...]
) -> None:
    with Engine() as engine:
        load(engine, endless_gguf)
        call = wandering(engine)
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            call.result()
        call.close()
        assert engine.alive
        load(engine, llama_gguf)
        assert ids(answer(engine)) == greedy


# -- cancelling ------------------------------------------------------------------------


def test_a_load_that_is_cancelled_leaves_the_engine_ready(
    engine: Engine, llama_gguf: Path, greedy: tuple[int, ...]
) -> None:
    for _ in range(5):
        # A tiny model may be loaded before the cancellation is seen.
        with contextlib.suppress(EngineError):
            for event in engine.load(llama_gguf, options=OPTIONS):
                if isinstance(event, LoadProgress):
                    engine.cancel()
        assert engine.alive
    load(engine, llama_gguf)
    assert ids(answer(engine)) == greedy


def test_cancelling_in_every_chunk_of_prefill_changes_no_later_answer(
    engine: Engine, llama_gguf: Path, greedy: tuple[int, ...]
) -> None:
    load(engine, llama_gguf)
    for preamble, turn in ((PREAMBLE, LONG), (LONG, QUESTION)):
        for chunk in range(1, 8):
            seen = 0
            for event in newest(engine).generate(preamble=preamble, turns=[turn], max_tokens=4):
                if isinstance(event, PrefillProgress):
                    seen += 1
                    if seen == chunk:
                        engine.cancel()
            assert isinstance(event, Finished)
        assert ids(answer(engine)) == greedy
