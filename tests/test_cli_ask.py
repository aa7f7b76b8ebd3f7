"""`urial ask` as a process: what it prints, how it ends, and what it leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import tinygguf
from tests.conftest import workers
from urial_tui import paths
from urial_tui.chat.store import Store
from urial_tui.chat.turns import TurnRecord
from urial_tui.sanitize import sanitize

URIAL = (sys.executable, "-m", "urial_tui")
HANGS = 60.0
"""Seconds after which a process that should have done something is taken to hang."""

EVIL = "evil\x1b]0;owned\x07\x1b[2Jname\x9b31m\u202egnp\r"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
PROGRESS = "\r\x1b[K"
"""What redraws the line of progress; only ever seen on a terminal."""

WIDE = """
[engine]
threads = 1
[sampling]
top_k = 300
top_p = 1.0
min_p = 0.0
repetition_penalty = 1.0
"""
"""Settings under which, with a high temperature, any token may be drawn."""
ENDLESS = ("--temperature", "2", "--seed", "3", "--max-tokens", "3500")


@pytest.fixture(autouse=True)
def settings(home: Path) -> Path:
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    path.write_text("[engine]\nthreads = 1")
    return path


@pytest.fixture
def long_preamble(tmp_path: Path) -> Path:
    path = tmp_path / "long.toml"
    path.write_text(
        'name = "long"\ntitle = "Long"\ndescription = "Fills a context."\nmethod = "urial"\n'
        'system = "Answer."\n[format]\nsystem = "{system}\\n\\n"\n'
        'query = "# Query:\\n{query}\\n\\n"\nanswer = "# Answer:\\n{answer}\\n\\n"\n'
        'stop = ["\\n\\n# Query:", "\\n# Query:"]\n[[examples]]\n'
        f'query = "Who?"\nanswer = "{("hope this helps " * 1000).strip()}"\n'
    )
    return path


def ask(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `urial ask` to its end, without a terminal."""
    options = {"stdin": subprocess.DEVNULL, "capture_output": True} | options
    command = [*URIAL, "ask", *arguments]
    done: Any = subprocess.run(command, timeout=HANGS, check=False, **options)
    # Not in text mode, which would turn a carriage return into a newline.
    return subprocess.CompletedProcess(
        command, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def stored() -> list[TurnRecord]:
    """The turns of the only conversation in the database."""
    with Store() as store:
        (conversation,) = store.conversations()
        return store.turns(conversation.id)


def assert_sentence(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """One line for the user on standard error, nothing on standard output."""
    assert done.returncode == code, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("urial: ")
    assert line.endswith(".")
    assert not RAW.search(line)
    assert "Traceback" not in line
    assert "internal error" not in line
    return line


class Asking:
    """A running `urial ask`, whose output is read piece by piece.

    Args:
        terminal: Standard error is a terminal, and the process' controlling one.
    """

    def __init__(self, *arguments: str, terminal: bool = False) -> None:
        self._read = {"output": b"", "errors": b""}
        self.leader = -1
        command = [*URIAL, "ask", *arguments]
        follower = -1
        if terminal:
            self.leader, follower = pty.openpty()
            adopt = (
                "import fcntl, os, sys, termios; os.setsid(); "
                "fcntl.ioctl(2, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
            )
            command = [sys.executable, "-c", adopt, *command]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=follower if terminal else subprocess.PIPE,
        )
        if terminal:
            os.close(follower)

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        if self.leader >= 0:
            os.close(self.leader)

    @property
    def output(self) -> str:
        """Standard output so far."""
        return self._read["output"].decode("utf-8", "replace")

    @property
    def errors(self) -> str:
        """Standard error so far."""
        return self._read["errors"].decode("utf-8", "replace")

    def read_until(self, seen: Callable[[], bool]) -> None:
        """Read both streams until something is seen in them, or both have ended."""
        assert self.process.stdout is not None
        names = {self.process.stdout.fileno(): "output"}
        names[self.process.stderr.fileno() if self.process.stderr else self.leader] = "errors"
        deadline = time.monotonic() + HANGS
        while names and not seen():
            assert time.monotonic() < deadline, f"hangs: {self.output!r} {self.errors!r}"
            for fd in select.select(list(names), [], [], 1.0)[0]:
                try:
                    data = os.read(fd, 65_536)
                except OSError:  # Linux: the terminal's other end is closed
                    data = b""
                if not data:
                    del names[fd]
                    continue
                self._read[names[fd]] += data

    def end(self) -> int:
        """Read to the end; the exit code."""
        self.read_until(lambda: False)
        return self.process.wait(HANGS)


# -- answers ---------------------------------------------------------------------------


def test_the_answer_alone_is_on_standard_output_and_in_the_store(llama_gguf: Path) -> None:
    done = ask("Who?", "-m", str(llama_gguf), "--max-tokens", "12")
    assert done.returncode == 0
    assert done.stderr == ""
    question, answer = stored()
    assert question.text == "Who?"
    assert answer.stop_reason in ("eos", "length")
    assert done.stdout.rstrip("\n")
    assert done.stdout.endswith("\n")
    again = ask("-", "-m", str(llama_gguf), "--max-tokens", "12", stdin=None, input=b"Who?\n")
    assert again.stdout == done.stdout


def test_one_json_object_holds_the_answer_and_what_it_cost(llama_gguf: Path) -> None:
    command = ("Who?", "-m", str(llama_gguf), "--max-tokens", "12", "--no-store", "--json")
    first, second = (json.loads(ask(*command).stdout) for _ in range(2))
    assert first["text"] == second["text"]
    assert (first["preamble_source"], second["preamble_source"]) == ("computed", "disk")
    assert 0 < first["tokens"]["generated"] <= 12
    assert second["tokens"]["reused"] >= second["tokens"]["preamble"] > 100
    assert first["stop_reason"] in ("eos", "length")
    assert set(first) >= {"model", "preamble", "timings"}
    assert not paths.database_file().exists()


# -- several answers ---------------------------------------------------------------------

HEAD = re.compile(r"^--- (\d+) of (\d+), seed (\d+) ---\n", re.MULTILINE)
VARIED = ("-p", "zero-shot", "--temperature", "2", "--max-tokens", "12")


def shown(output: str, of: int) -> dict[int, str]:
    """The texts on standard output by their seeds; their numbers are as they have to be."""
    start, *parts = HEAD.split(output)
    assert start == ""
    assert parts[0::4] == [str(number + 1) for number in range(len(parts) // 4)]
    assert set(parts[1::4]) == {str(of)}
    seeds = [int(seed) for seed in parts[2::4]]
    assert seeds == list(range(seeds[0], seeds[0] + len(seeds)))
    return dict(zip(seeds, parts[3::4], strict=True))


def test_several_answers_stand_in_order_behind_their_numbers_and_seeds(llama_gguf: Path) -> None:
    command = ("Who?", "-m", str(llama_gguf), *VARIED, "-n", "3", "--seed", "7")
    done = ask(*command)
    assert (done.returncode, done.stderr) == (0, "")
    texts = shown(done.stdout, of=3)
    assert list(texts) == [7, 8, 9]
    assert len(set(texts.values())) == 3
    assert ask(*command).stdout == done.stdout


def test_several_answers_are_siblings_and_one_stands_at_the_first(llama_gguf: Path) -> None:
    done = ask("Who?", "-m", str(llama_gguf), *VARIED, "-n", "10", "--seed", "7")
    texts = shown(done.stdout, of=10)
    with Store() as store:
        (conversation,) = store.conversations()
        question, *answers = store.turns(conversation.id)
        assert conversation.leaf == answers[0].id
    assert [answer.parent_id for answer in answers] == [question.id] * 10
    assert [answer.sampling and answer.sampling.seed for answer in answers] == list(texts)
    assert all(answer.stop_reason in ("eos", "length") for answer in answers)
    assert [f"{sanitize(answer.text)}\n" for answer in answers] == list(texts.values())


def test_a_list_of_json_objects_holds_several_answers(llama_gguf: Path) -> None:
    command = ("Who?", "-m", str(llama_gguf), *VARIED, "--no-store", "--json")
    one = json.loads(ask(*command, "--seed", "7", "-n", "1").stdout)
    done = ask(*command, "-n", "3")
    assert done.stderr == ""
    several = json.loads(done.stdout)
    for number, document in enumerate(several):
        assert list(document) == [*one, "sample", "seed"]
        assert document["timings"].keys() == one["timings"].keys()
        assert document["sample"] == number
        assert document["seed"] == several[0]["seed"] + number
        assert 0 < document["tokens"]["generated"] <= 12
    again = json.loads(ask(*command, "-n", "3", "--seed", str(several[0]["seed"])).stdout)
    assert [answer["text"] for answer in again] == [answer["text"] for answer in several]
    assert not paths.database_file().exists()


def test_a_seed_that_was_drawn_is_told_and_has_the_answers_written_again(
    llama_gguf: Path,
) -> None:
    command = ("Who?", "-m", str(llama_gguf), *VARIED, "--no-store")
    done = ask(*command, "-n", "2")
    (line,) = done.stderr.splitlines()
    told = re.search(r"-n 2 --seed (\d+)", line)
    assert told is not None
    assert next(iter(shown(done.stdout, of=2))) == int(told[1])
    assert ask(*command, *told[0].split()).stdout == done.stdout


@pytest.mark.parametrize("number", ["0", "-1", "65", "1000", "1.5", "text", ""])
def test_a_number_of_answers_that_is_none_is_one_sentence(number: str, llama_gguf: Path) -> None:
    line = assert_sentence(ask("Who?", "-m", str(llama_gguf), *VARIED, "-n", number), code=2)
    assert f"{number!r} is no whole number from 1 to 64" in line


def test_several_answers_that_would_be_the_same_are_refused_at_once(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.gguf")
    line = assert_sentence(ask("Who?", "-m", missing, "-n", "3"), code=2)
    assert "At temperature 0 all 3 answers would be the same." in line
    last = ("--temperature", "1", "--seed", "4294967294")
    line = assert_sentence(ask("Who?", "-m", missing, *last, "-n", "3"), code=2)
    assert "4294967292" in line


@pytest.mark.parametrize("form", ["text", "json"])
def test_ctrl_c_ends_all_answers_and_keeps_those_that_were_begun(
    form: str, endless_gguf: Path
) -> None:
    # The context has room for three of them at once.
    command = ("W?", "-m", str(endless_gguf), "-p", "zero-shot", *ENDLESS[:4])
    several = ("--max-tokens", "1200", "-n", "9", *(["--json"] if form == "json" else []))
    with Asking(*command, *several) as asking:
        if form == "text":
            asking.read_until(lambda: len(asking.output) > 60)
        else:
            deadline = time.monotonic() + HANGS
            while not _has_answer(3):
                assert time.monotonic() < deadline
                time.sleep(0.01)
        asking.process.send_signal(signal.SIGINT)
        assert asking.end() == 130
    assert asking.errors == ""
    _, *answers = stored()
    assert 1 < len(answers) < 9
    assert {answer.stop_reason for answer in answers} <= {"cancelled", "length"}
    assert answers[0].text
    if form == "text":
        texts = shown(asking.output, of=9)
        assert list(texts.values()) == [
            text if text.endswith("\n") else f"{text}\n"
            for text in (sanitize(answer.text) for answer in answers)
            if text
        ]
    else:
        documents = json.loads(asking.output)
        assert [document["sample"] for document in documents] == list(range(9))
        assert [d["text"] for d in documents][: len(answers)] == [a.text for a in answers]
        assert {d["text"] for d in documents[len(answers) :]} == {""}


def test_ctrl_c_before_the_first_word_of_several_answers_prints_nothing(
    deep_gguf: Path, long_preamble: Path
) -> None:
    command = ("Who?", "-m", str(deep_gguf), "-p", str(long_preamble), *ENDLESS, "-n", "3")
    with Asking(*command, terminal=True) as asking:
        asking.read_until(_moments(asking)["preamble"])
        os.write(asking.leader, b"\x03")
        assert asking.end() == 130
    assert asking.output == ""
    assert [turn.text for turn in stored()[1:]] in ([], [""])


def test_a_failure_of_several_answers_is_one_sentence(tmp_path: Path) -> None:
    model = tinygguf.write_llama(tmp_path / "nan.gguf", nan=True)
    command = ("Who?", "-m", str(model), *VARIED, "--seed", "1", "-n", "3")
    for form in ((), ("--json",)):
        line = assert_sentence(ask(*command, *form))
        assert "not a number" in line
    with Store() as store:
        for conversation in store.conversations():
            _, answer = store.turns(conversation.id)
            assert (answer.text, answer.stop_reason) == ("", "failed")


def test_a_worker_that_dies_leaves_all_answers_that_were_begun(
    home: Path, endless_gguf: Path
) -> None:
    command = ("W?", "-m", str(endless_gguf), "-p", "zero-shot", *ENDLESS[:4])
    with Asking(*command, "--max-tokens", "1200", "-n", "9") as asking:
        asking.read_until(lambda: len(asking.output) > 60)
        (pid,) = workers(home)
        os.kill(pid, signal.SIGKILL)
        assert asking.end() == 1
    (line,) = asking.errors.splitlines()
    assert line.startswith("urial: The engine stopped")
    _, *answers = stored()
    assert 1 < len(answers) < 9
    assert {answer.stop_reason for answer in answers} == {"died"}
    assert len(shown(asking.output, of=9)) == sum(answer.text != "" for answer in answers)


def test_a_reader_that_has_seen_enough_ends_all_answers_quietly(endless_gguf: Path) -> None:
    command = ("W?", "-m", str(endless_gguf), "-p", "zero-shot", *ENDLESS[:4])
    done = shell(
        '"$@" | head -c 40; exit ${PIPESTATUS[0]}', *command, "--max-tokens", "1200", "-n", "9"
    )
    assert (done.returncode, done.stderr) == (1, "")
    _, *answers = stored()
    assert {answer.stop_reason for answer in answers} == {"cancelled"}


# -- what can't be read ----------------------------------------------------------------


def _bad_models(good: Path, directory: Path) -> Iterator[Path]:
    data = good.read_bytes()
    contents = {
        "empty": b"",
        "header": data[:13],
        "vocabulary": data[: data.find(b"tokenizer.ggml.tokens") + 2000],
        "tensors": data[: len(data) * 2 // 3],
        "text": b"This is a model. " * 100,
        EVIL: b"GGUF",
    }
    for name, content in contents.items():
        path = directory / f"{name}.gguf"
        path.write_bytes(content)
        yield path
    path = directory / "archive.gguf"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(good, "model.gguf")
    yield path
    yield directory / f"missing {EVIL}.gguf"
    yield directory
    path = directory / "terabyte.gguf"
    path.write_bytes(data)
    os.truncate(path, 1 << 40)
    yield path


def test_a_bad_model_file_is_one_sentence(llama_gguf: Path, tmp_path: Path) -> None:
    for path in _bad_models(llama_gguf, tmp_path):
        line = assert_sentence(ask("Who?", "-m", str(path)))
        assert "gguf" in line or path.is_dir()


def test_a_model_too_big_for_memory_is_refused_with_what_it_needs(
    llama_gguf: Path, tmp_path: Path
) -> None:
    path = tmp_path / "terabyte.gguf"
    path.write_bytes(llama_gguf.read_bytes())
    os.truncate(path, 1 << 40)
    line = assert_sentence(ask("Who?", "-m", str(path)))
    assert re.search(r"does not fit: it needs 1\.\d\d TB", line)
    assert "smaller" in line


BAD_SETTINGS = {
    "no TOML": b"[engine\nthreads = 1",
    "wrong type": b'[engine]\nthreads = "two"',
    "unknown key": b"[engine]\nthread = 1",
    "out of range": b"[engine]\nthreads = -1",
    "no UTF-8": b"[chat]\nmodel = '\xe9'",
    "escape sequences": b'[engine]\n"\\u001b[2J\\u009b" = 1',
}


@pytest.mark.parametrize("mistake", BAD_SETTINGS)
def test_unsound_settings_are_one_sentence_with_the_file(
    mistake: str, llama_gguf: Path, settings: Path
) -> None:
    settings.write_bytes(BAD_SETTINGS[mistake])
    line = assert_sentence(ask("Who?", "-m", str(llama_gguf)))
    assert str(settings) in line


def test_settings_that_can_not_be_read_are_one_sentence(llama_gguf: Path, settings: Path) -> None:
    settings.unlink()
    settings.mkdir()
    assert str(settings) in assert_sentence(ask("Who?", "-m", str(llama_gguf)))
    settings.rmdir()
    settings.write_text("")
    settings.chmod(0)
    if not os.access(settings, os.R_OK):
        assert "denied" in assert_sentence(ask("Who?", "-m", str(llama_gguf)))


def test_an_unsound_preamble_is_one_sentence(llama_gguf: Path, tmp_path: Path) -> None:
    contents = {
        "text.toml": b"no preamble at all",
        "latin.toml": b"name = '\xe9'",
        "other.toml": b"[engine]\nthreads = 1",
        f"{EVIL}.toml": b"\x1b[2J",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "directory.toml").mkdir()
    for name in (*contents, "directory.toml", "missing.toml", "."):
        assert_sentence(ask("Who?", "-m", str(llama_gguf), "-p", str(tmp_path / name)))
    assert_sentence(ask("Who?", "-m", str(llama_gguf), "-p", f"no-such{EVIL}"))


def test_a_preamble_longer_than_the_context_keeps_the_question(
    llama_gguf: Path, long_preamble: Path, settings: Path
) -> None:
    settings.write_text("[engine]\ncontext = 1024\nthreads = 1")
    line = assert_sentence(ask("Who?", "-m", str(llama_gguf), "-p", str(long_preamble)))
    assert re.search(r"preamble has \d,\d{3} tokens, but the context holds only 1,024", line)
    question, *_ = stored()
    assert question.text == "Who?"


# -- places that can't be written --------------------------------------------------------


def _file_at(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("in the way")


def test_a_cache_that_can_not_be_written_costs_a_notice(llama_gguf: Path) -> None:
    command = ("Who?", "-m", str(llama_gguf), "--max-tokens", "8")
    good = ask(*command)
    cache = paths.preamble_cache_dir()
    for file in cache.iterdir():
        file.unlink()
    cache.rmdir()
    _file_at(cache)
    done = ask(*command)
    assert (done.returncode, done.stdout) == (0, good.stdout)
    (line,) = done.stderr.splitlines()
    assert str(cache) in line


def test_a_log_that_can_not_be_written_costs_nothing(llama_gguf: Path) -> None:
    _file_at(paths.log_dir())
    done = ask("Who?", "-m", str(llama_gguf), "--max-tokens", "8")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_database_that_can_not_be_opened_is_told_before_the_answer(llama_gguf: Path) -> None:
    _file_at(paths.database_file().parent)
    command = ("Who?", "-m", str(llama_gguf), "--max-tokens", "8")
    told = assert_sentence(ask(*command))
    assert str(paths.database_file()) in told
    assert "--no-store" in told
    assert ask(*command, "--no-store").returncode == 0


# -- streams ---------------------------------------------------------------------------


def shell(line: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which "$@" is `urial ask` with these arguments."""
    return subprocess.run(
        ["bash", "-c", line, "bash", *URIAL, "ask", *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=HANGS,
        check=False,
    )


def test_a_reader_that_has_seen_enough_ends_the_answer_quietly(endless_gguf: Path) -> None:
    command = ("W?", "-m", str(endless_gguf), *ENDLESS)
    done = shell('"$@" | head -c 1; exit ${PIPESTATUS[0]}', *command)
    assert (done.returncode, done.stderr) == (1, "")
    assert len(done.stdout) == 1
    question, answer = stored()
    assert (question.text, answer.stop_reason) == ("W?", "cancelled")
    assert answer.text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_full_disk_behind_standard_output_is_one_sentence(
    form: tuple[str, ...], llama_gguf: Path
) -> None:
    command = ("Who?", "-m", str(llama_gguf), "--max-tokens", "12", *form)
    line = assert_sentence(shell('"$@" > /dev/full', *command))
    assert "No space left" in line
    assert [turn.role for turn in stored()] == ["user", "assistant"]


def test_closed_streams_are_no_failure(llama_gguf: Path) -> None:
    command = ("Who?", "-m", str(llama_gguf), "--max-tokens", "12", "--no-store")
    good = ask(*command)
    assert shell('"$@" <&-', *command).stdout == good.stdout
    for closed in (">&-", "<&- >&- 2>&-"):
        done = shell(f'"$@" {closed}', *command)
        assert (done.returncode, done.stderr) == (0, ""), closed
    assert shell('"$@" 2>&-', *command).stdout == good.stdout


def test_no_question_is_wrong_usage(llama_gguf: Path) -> None:
    for line in ('"$@" <&-', '"$@" < /dev/null', '"$@" - <&-', '"$@" 0> /dev/null'):
        done = shell(line, "-m", str(llama_gguf))
        assert "urial ask" in assert_sentence(done, code=2), line
    assert_sentence(ask(" \n", "-m", str(llama_gguf)), code=2)
    assert not paths.database_file().exists()


# -- output safety -----------------------------------------------------------------------


def test_no_control_character_of_a_model_reaches_the_output(
    tmp_path: Path, recurrent_gguf: Path, settings: Path
) -> None:
    settings.write_text(WIDE)
    evil = tinygguf.write_llama(tmp_path / f"{EVIL}.gguf", name=EVIL)
    seen = ""
    for model in (evil, recurrent_gguf):
        command = ("Who?", "-m", str(model), "--temperature", "9", "--max-tokens", "400")
        for seed in range(2):
            done = ask(*command, "--seed", str(seed), "--no-store")
            assert not RAW.search(done.stdout + done.stderr)
            seen += done.stdout
        document = ask(*command, "--seed", "1", "--no-store", "--json").stdout
        assert not RAW.search(document)
        assert "\x1b" in json.loads(document)["model"] or model != evil
    # The models do say such characters: their visible stand-ins are there.
    assert {"\N{SYMBOL FOR ESCAPE}", "\N{SYMBOL FOR BELL}"} <= set(seen)


def test_on_a_terminal_only_the_line_of_progress_is_redrawn_and_it_goes(
    tmp_path: Path, long_preamble: Path
) -> None:
    evil = tinygguf.write_llama(tmp_path / f"{EVIL}.gguf", name=EVIL, n_layer=8)
    command = ("Who?", "-m", str(evil), "-p", str(long_preamble), *ENDLESS[:4])
    with Asking(*command, "--max-tokens", "50", terminal=True) as asking:
        assert asking.end() == 0
    assert "Loading the model" in asking.errors
    assert "Reading the preamble" in asking.errors
    shown = asking.errors.replace("\r\n", "\n")
    assert not RAW.search(shown.replace(PROGRESS, ""))
    # What says why the answer ended may follow.
    assert re.search(r"\r\x1b\[K(urial: [^\r]*\n)*\Z", shown)
    assert not RAW.search(asking.output)


# -- interrupts --------------------------------------------------------------------------

_START = """
import os, sys
from urial_tui import interrupts
from urial_tui.__main__ import main
interrupts.end_at_once()
sys.stderr.write("up\\n")
sys.stderr.flush()
sys.exit(main())
"""


def test_ctrl_c_while_the_program_starts_is_told_in_a_word(endless_gguf: Path) -> None:
    # Spread over what happens before the first event: imports, settings, worker, database.
    for step in range(14):
        with subprocess.Popen(
            [sys.executable, "-c", _START, "ask", "Who?", "-m", str(endless_gguf), *ENDLESS],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            assert process.stderr.readline() == "up\n"
            time.sleep(step * 0.025)
            process.send_signal(signal.SIGINT)
            errors = process.communicate(timeout=HANGS)[1]
            assert process.returncode == 130, (step, errors)
            assert errors.strip() in ("", "urial: Interrupted."), step


def _moments(asking: Asking) -> dict[str, Callable[[], bool]]:
    return {
        "load": lambda: "Loading" in asking.errors,
        "preamble": lambda: "Reading the preamble" in asking.errors,
        "decode": lambda: len(asking.output) > 20,
    }


@pytest.mark.parametrize("moment", ["load", "preamble", "decode"])
def test_ctrl_c_ends_the_answer_and_keeps_what_is_there(
    moment: str, deep_gguf: Path, long_preamble: Path
) -> None:
    preamble = "zero-shot" if moment == "decode" else str(long_preamble)
    command = ("Who?", "-m", str(deep_gguf), "-p", preamble, *ENDLESS)
    with Asking(*command, terminal=True) as asking:
        asking.read_until(_moments(asking)[moment])
        # As the keyboard does it: to every process in the terminal's foreground.
        os.write(asking.leader, b"\x03")
        assert asking.end() == 130
    assert "Traceback" not in asking.errors
    assert "urial:" not in asking.errors.replace("urial: Interrupted.", "")
    question, *answers = stored()
    assert question.text == "Who?"
    if moment == "decode":
        (answer,) = answers
        assert answer.stop_reason == "cancelled"
        assert len(answer.text) > 10
        assert asking.output.endswith("\n")
    else:
        assert asking.output == ""
        assert [turn.text for turn in answers] in ([], [""])


def test_ctrl_c_ends_a_worker_that_stands_still(home: Path, endless_gguf: Path) -> None:
    # The real wait is longer than a test should be.
    impatient = (
        "import sys\nfrom urial_tui.engine.client import engine as client\n"
        "client.stop_within = lambda info: 0.5\n"
        "from urial_tui.__main__ import main\nsys.exit(main())"
    )
    command = [sys.executable, "-c", impatient, "ask", "Who?", "-m", str(endless_gguf), *ENDLESS]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(20)
        (pid,) = workers(home)
        os.kill(pid, signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=HANGS)
        assert process.returncode == 130
    (line,) = errors.decode().splitlines()
    assert "did not stop when asked to" in line
    assert stored()[1].text


@pytest.mark.parametrize("moment", ["load", "preamble"])
def test_a_second_ctrl_c_ends_it_at_once(
    moment: str, home: Path, deep_gguf: Path, long_preamble: Path
) -> None:
    command = ("Who?", "-m", str(deep_gguf), "-p", str(long_preamble), *ENDLESS)
    with Asking(*command, terminal=True) as asking:
        asking.read_until(_moments(asking)[moment])
        (pid,) = workers(home)
        os.kill(pid, signal.SIGSTOP)
        os.write(asking.leader, b"\x03")
        time.sleep(0.2)
        os.write(asking.leader, b"\x03")
        assert asking.end() == 130
    assert "Traceback" not in asking.errors


def test_ctrl_c_with_json_prints_what_there_is(endless_gguf: Path) -> None:
    command = ("Who?", "-m", str(endless_gguf), "-p", "zero-shot", *ENDLESS, "--json")
    with Asking(*command) as asking:
        # Nothing is printed before the end: wait for the store to have the first text.
        deadline = time.monotonic() + HANGS
        while not _has_answer():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        asking.process.send_signal(signal.SIGINT)
        assert asking.end() == 130
    assert json.loads(asking.output)["stop_reason"] == "cancelled"
    assert stored()[1].text == json.loads(asking.output)["text"]


def _has_answer(of: int = 1) -> bool:
    """Whether so many answers are stored."""
    if not paths.database_file().exists():
        return False
    with Store() as store:
        return any(record.turns > of for record in store.conversations())


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("load", signal.SIGTERM),
        ("preamble", signal.SIGKILL),
        ("decode", signal.SIGTERM),
        ("decode", signal.SIGKILL),
        ("decode", signal.SIGHUP),
    ],
)
def test_a_killed_command_leaves_its_turns_and_no_worker(
    moment: str, number: signal.Signals, deep_gguf: Path, long_preamble: Path
) -> None:
    preamble = "zero-shot" if moment == "decode" else str(long_preamble)
    command = ("Who?", "-m", str(deep_gguf), "-p", preamble, *ENDLESS)
    with Asking(*command, terminal=True) as asking:
        asking.read_until(_moments(asking)[moment])
        asking.process.send_signal(number)
        assert asking.end() == -number
    question, *answers = stored()
    assert question.text == "Who?"
    if moment == "decode":
        # The first text was stored at once, the rest every half second.
        (answer,) = answers
        assert answer.text
        start = sanitize(answer.text)[:10]
        assert asking.output.startswith(start)


@pytest.mark.parametrize(
    ("moment", "number"),
    [("load", signal.SIGABRT), ("preamble", signal.SIGKILL), ("decode", signal.SIGSEGV)],
)
def test_a_worker_that_dies_is_told_and_the_turns_stay(
    moment: str,
    number: signal.Signals,
    deep_gguf: Path,
    long_preamble: Path,
    home: Path,
) -> None:
    preamble = "zero-shot" if moment == "decode" else str(long_preamble)
    command = ("Who?", "-m", str(deep_gguf), "-p", preamble, *ENDLESS)
    with Asking(*command, terminal=True) as asking:
        asking.read_until(_moments(asking)[moment])
        (pid,) = workers(home)
        os.kill(pid, number)
        assert asking.end() == 1
    line = re.split("[\r\n]", asking.errors.replace(PROGRESS, "\n").strip())[-1]
    assert line.startswith("urial: The engine stopped")
    assert number.name in line
    question, *answers = stored()
    assert question.text == "Who?"
    assert [turn.stop_reason for turn in answers] in ([], ["died"])
    assert (len(answers) == 1 and answers[0].text != "") == (moment == "decode")
